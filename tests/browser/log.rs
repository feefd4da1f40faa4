//! The Delivery Log, live.

use serde_json::json;

use super::chrome::{Browser, SOON};
use super::{paths, site};
use crate::running::site::Running;
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};

#[tokio::test]
async fn embedded_attempts_appear_as_they_are_made() {
    let (_kept, running) = site::embedded(&[]).await;
    attempts_appear_as_they_are_made(running).await;
}

#[tokio::test]
async fn on_servers_attempts_appear_as_they_are_made() {
    let (_kept, running) = site::on_servers("page-live", &[]).await;
    attempts_appear_as_they_are_made(running).await;
}

async fn attempts_appear_as_they_are_made(running: Running) {
    let answer = "<img src=x onerror=alert(1)>";
    let receiver = Receiver::start(move |_| Answer::ok().body(answer));
    let id = running.webhook("live", &receiver.url(), None).await;
    let browser = Browser::start(&running).await;
    browser.open(&paths::log(&id)).await;
    browser.wait_for_text("No attempts yet").await;
    // Gone if the page were loaded again.
    browser.script("window.unchanged = true", vec![]).await;
    site::publish(&running).await;
    browser
        .wait_for_row(&["request.completed", "delivered", answer])
        .await;
    let text = browser.text().await;
    assert!(!text.contains("No attempts yet"), "{text}");
    let unchanged = browser.script("return window.unchanged", vec![]).await;
    assert_eq!(unchanged, true);
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn rows_stay_where_they_are_when_the_log_says_that_it_is_live() {
    let (_kept, running) = site::embedded(&[]).await;
    let receiver = Receiver::start(|_| Answer::ok());
    let id = running.webhook("live", &receiver.url(), None).await;
    site::publish(&running).await;
    let browser = Browser::start(&running).await;
    browser.open(&paths::log(&id)).await;
    browser.wait_for_row(&["request.completed"]).await;
    let tops = "const live = document.querySelector('[data-live]');
        return [true, false].map((hidden) => {
          live.hidden = hidden;
          return document.querySelector('tbody tr').getBoundingClientRect().top;
        });";
    let tops = browser.script(tops, vec![]).await;
    assert_eq!(tops[0], tops[1], "whoever aims at a row does not miss it");
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn what_failed_is_sent_again_by_hand() {
    let (_kept, running) = site::embedded(&[("PRISM_RETRY_MAX_ATTEMPTS", "1")]).await;
    let receiver = Receiver::start({
        let before = std::sync::atomic::AtomicUsize::new(0);
        move |_| match before.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Answer::status(500),
            _ => Answer::ok(),
        }
    });
    let id = running.webhook("failing", &receiver.url(), None).await;
    let browser = Browser::start(&running).await;
    browser.open(&paths::log(&id)).await;
    site::publish(&running).await;
    browser.wait_for_row(&["rejected", "500", "given up"]).await;
    browser.click("button", "Retry delivery …").await;
    browser.wait_for_row(&["delivered"]).await;
    assert_eq!(receiver.count(), 2);
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn what_is_looked_for_is_found_by_its_id_its_time_and_that_it_failed() {
    let (_kept, running) = site::embedded(&[("PRISM_RETRY_MAX_ATTEMPTS", "1")]).await;
    let receiver = Receiver::start(|request| match request.json()["n"].as_u64() {
        Some(1) => Answer::status(500),
        _ => Answer::ok(),
    });
    let id = running.webhook("ours", &receiver.url(), None).await;
    let mut events = Vec::new();
    for n in 0..3 {
        let event = json!({"event": "request.completed", "n": n});
        events.push(running.publish(&event).await);
    }
    let browser = Browser::start(&running).await;
    browser.open(&paths::log(&id)).await;
    browser.wait_for_row(&["rejected", "500"]).await;
    let rows = async || {
        let script = "return document.querySelectorAll('tbody tr').length";
        browser.script(script, vec![]).await.as_u64().unwrap()
    };
    eventually(SOON, "all attempts", async || {
        (rows().await == 3).then_some(())
    })
    .await;

    browser.choose("Outcome", "failed: any but delivered").await;
    browser.click("button", "Filter").await;
    browser.find("link", "Show all").await;
    browser.wait_for_row(&["rejected", "500"]).await;
    assert_eq!(rows().await, 1);

    browser.click("link", "Show all").await;
    eventually(SOON, "all attempts", async || {
        (rows().await == 3).then_some(())
    })
    .await;
    browser.fill("Event or delivery", &events[2]).await;
    browser.click("button", "Filter").await;
    browser.find("link", "Show all").await;
    browser.wait_for_row(&["delivered"]).await;
    assert_eq!(rows().await, 1);
    let path = browser.path().await;
    assert!(
        path.contains(&events[2]),
        "a link to it can be sent: {path}"
    );

    let long_ago = format!("{}?until=2001-01-01T00:00", paths::log(&id));
    browser.open(&long_ago).await;
    browser
        .wait_for_text("No attempt on record is like that")
        .await;
    browser.screenshot("log-found").await;
    browser.close().await;
    running.stop().await;
}
