//! Dead letters: seen with their reason, sent round again, thrown away after asking.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::chrome::{Browser, SOON};
use super::{paths, site};
use crate::running::site::Running;
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};

const SETTINGS: &[(&str, &str)] = &[("PRISM_RETRY_MAX_ATTEMPTS", "1")];

/// An endpoint that fails until told otherwise, and so many dead letters of its webhook.
pub async fn dead(running: &Running, many: usize) -> (String, Arc<AtomicBool>, Receiver) {
    let well = Arc::new(AtomicBool::new(false));
    let now = well.clone();
    let receiver = Receiver::start(move |_| match now.load(Ordering::Relaxed) {
        true => Answer::ok(),
        false => Answer::status(500),
    });
    let id = running.webhook("failing", &receiver.url(), None).await;
    for _ in 0..many {
        site::publish(running).await;
    }
    there_are(running, many).await;
    (id, well, receiver)
}

async fn there_are(running: &Running, many: usize) {
    eventually(SOON, &format!("{many} dead letters"), async || {
        let found = running.get("/dead-letters?limit=200").await.is(200);
        (found.items().len() == many).then_some(())
    })
    .await;
}

#[tokio::test]
async fn embedded_a_dead_letter_is_requeued() {
    let (_kept, running) = site::embedded(SETTINGS).await;
    a_dead_letter_is_requeued(running).await;
}

#[tokio::test]
async fn on_servers_a_dead_letter_is_requeued() {
    let (_kept, running) = site::on_servers("page-dead", SETTINGS).await;
    a_dead_letter_is_requeued(running).await;
}

async fn a_dead_letter_is_requeued(running: Running) {
    let (id, well, receiver) = dead(&running, 3).await;
    let mut browser = Browser::start(&running).await;
    browser.open(&paths::dead_letters(&id)).await;
    browser
        .wait_for_row(&[
            "attempts exhausted",
            "answered with 500",
            "request.completed",
        ])
        .await;
    // Nothing is selected, nothing is done.
    browser.click("button", "Requeue selected").await;
    browser.find("heading", "No dead letter is selected").await;
    browser.wait_for_text("Select at least one").await;
    browser.forgive("422");
    well.store(true, Ordering::Relaxed);
    browser.open(&paths::dead_letters(&id)).await;
    let found = running.get("/dead-letters").await;
    let first = found.items()[0]["id"].as_str().unwrap().to_owned();
    browser.click("checkbox", &format!("Select {first}")).await;
    browser.click("button", "Requeue selected").await;
    browser.wait_for_text("1 of 1 requeued").await;
    receiver.wait_for(4, SOON).await;
    there_are(&running, 2).await;
    // The rest, at a rate.
    browser.open(paths::DEAD_LETTERS).await;
    browser
        .fill("At most so many a second (optional)", "50")
        .await;
    browser.click("button", "Requeue all that match…").await;
    browser.click("button", "Requeue 2 dead letters").await;
    browser.wait_for_text("2 of 2 requeued").await;
    there_are(&running, 0).await;
    browser.open(&paths::log(&id)).await;
    browser.wait_for_row(&["delivered", "by hand"]).await;
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn dead_letters_are_thrown_away_after_asking() {
    let (_kept, running) = site::embedded(SETTINGS).await;
    let (id, _well, receiver) = dead(&running, 2).await;
    let browser = Browser::start(&running).await;
    browser.open(&paths::dead_letters(&id)).await;
    browser.click("button", "Purge all that match…").await;
    browser.find("heading", "Purge 2 dead letters?").await;
    browser.screenshot("dead-letters-purge").await;
    let text = browser.text().await;
    for said in ["failing", "attempts exhausted"] {
        assert!(text.contains(said), "{text}");
    }
    browser.click("link", "Keep them").await;
    browser.wait_for_row(&["attempts exhausted"]).await;
    browser.click("button", "Purge all that match…").await;
    browser.click("button", "Purge for good").await;
    browser.wait_for_text("2 of 2 purged").await;
    browser.click("link", "To the dead letters").await;
    browser.wait_for_text("No dead letters.").await;
    assert_eq!(receiver.count(), 2);
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_slow_requeue_is_watched_and_stopped() {
    let (_kept, running) = site::embedded(SETTINGS).await;
    let many = 20;
    let (id, well, _receiver) = dead(&running, many).await;
    well.store(true, Ordering::Relaxed);
    let browser = Browser::start(&running).await;
    browser.open(&paths::dead_letters(&id)).await;
    browser
        .fill("At most so many a second (optional)", "1")
        .await;
    browser.click("button", "Requeue all that match…").await;
    browser.find("heading", "Requeue 20 dead letters?").await;
    browser.wait_for_text("1 a second").await;
    browser.click("button", "Requeue 20 dead letters").await;
    browser.find("heading", "Requeue running").await;
    // Gone if the page were loaded again, and with it where its reader is.
    browser.script("window.unchanged = true", vec![]).await;
    let progress = async || {
        let script = "return document.querySelector('[role=status] strong').innerText";
        browser.script(script, vec![]).await
    };
    let before = progress().await;
    eventually(SOON, "it goes on", async || {
        (progress().await != before).then_some(())
    })
    .await;
    let unchanged = browser.script("return window.unchanged", vec![]).await;
    assert_eq!(unchanged, true);
    browser.click("button", "Stop").await;
    browser.find("heading", "Requeue stopped").await;
    let left = running.get("/dead-letters").await.is(200).items().len();
    assert!((1..many).contains(&left), "{left} are left");
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn only_what_matches_is_sent_round_again() {
    let (_kept, running) = site::embedded(SETTINGS).await;
    let (id, well, receiver) = dead(&running, 2).await;
    let other = json!({"event": "budget.exceeded"});
    running.publish(&other).await;
    there_are(&running, 3).await;
    well.store(true, Ordering::Relaxed);
    let browser = Browser::start(&running).await;
    browser.open(&paths::dead_letters(&id)).await;
    browser.choose("Event type", "budget.exceeded").await;
    browser.click("button", "Filter").await;
    let chosen = format!(
        "{}?reason=&event_type=budget.exceeded&since=&until=",
        paths::dead_letters(&id)
    );
    browser.wait_for_path(&chosen).await;
    browser.wait_for_row(&["budget.exceeded"]).await;
    let text = browser.text().await;
    assert!(!text.contains("to failing"), "{text}");
    browser.click("button", "Requeue all that match…").await;
    browser.find("heading", "Requeue 1 dead letter?").await;
    let text = browser.text().await;
    assert!(text.contains("budget.exceeded"), "{text}");
    browser.click("button", "Requeue 1 dead letter").await;
    browser.wait_for_text("1 of 1 requeued").await;
    there_are(&running, 2).await;
    let requests = receiver.wait_for(4, SOON).await;
    assert_eq!(requests[3].json(), other);
    // Among those of all webhooks each says whose it is.
    browser.open(paths::DEAD_LETTERS).await;
    browser.choose("Webhook", "failing").await;
    browser.click("button", "Filter").await;
    let chosen = format!("/dead-letters?webhook={id}&reason=&event_type=&since=&until=");
    browser.wait_for_path(&chosen).await;
    browser.wait_for_text("to failing").await;
    // What no letter can be like takes none.
    let nothing = format!("{}?reason=unheard-of", paths::dead_letters(&id));
    browser.open(&nothing).await;
    browser.wait_for_text("No dead letter is like that").await;
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn all_of_many_dead_letters_are_looked_at_part_by_part() {
    let (_kept, running) = site::embedded(SETTINGS).await;
    let (webhooks, many) = (65, 130);
    let receiver = Receiver::start(|_| Answer::status(500));
    for number in 0..webhooks {
        let name = format!("failing {number}");
        running.webhook(&name, &receiver.url(), None).await;
    }
    for _ in 0..many / webhooks {
        site::publish(&running).await;
    }
    there_are(&running, many).await;
    let browser = Browser::start(&running).await;
    browser.open(paths::DEAD_LETTERS).await;
    let shown = async || {
        let script =
            "return [...document.querySelectorAll('input[name=id]')].map(one => one.value)";
        let ids: Vec<String> =
            serde_json::from_value(browser.script(script, vec![]).await).unwrap();
        ids
    };
    let mut all = shown().await;
    assert_eq!(all.len(), 100);
    browser.click("link", "Newer dead letters").await;
    browser.find("link", "From the oldest").await;
    let rest = shown().await;
    assert_eq!(rest.len(), many - 100);
    all.extend(rest);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), many, "each once");
    let text = browser.text().await;
    assert!(!text.contains("Newer dead letters"), "{text}");
    browser.close().await;
    running.stop().await;
}
