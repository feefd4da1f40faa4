//! On a telephone, and without a mouse: everything can be done.

use std::sync::atomic::Ordering;

use super::chrome::{Browser, SOON};
use super::dead_letters::dead;
use super::find::Key;
use super::{paths, site};
use crate::support::receiver::{Answer, Receiver};

const ONE_ATTEMPT: (&str, &str) = ("PRISM_RETRY_MAX_ATTEMPTS", "1");

#[tokio::test]
async fn everything_can_be_done_375_pixels_wide() {
    let (_kept, running) = site::embedded(&[ONE_ATTEMPT]).await;
    let receiver = Receiver::start({
        let before = std::sync::atomic::AtomicUsize::new(0);
        move |_| match before.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::status(500).body("x".repeat(300)),
            _ => Answer::ok(),
        }
    });
    let browser = Browser::start(&running).await;
    browser.set_window(375, 700).await;
    let fits = async || {
        let beyond = browser.beyond_the_window().await;
        assert!(beyond.is_empty(), "{beyond:#?}");
    };
    browser.open(paths::LIST).await;
    browser.click("link", "+ Create Webhook").await;
    browser.fill("Name", "a telephone's").await;
    browser.fill("URL", &receiver.url()).await;
    fits().await;
    browser.click("button", "Create").await;
    browser.wait_for_text("No attempts yet").await;
    site::publish(&running).await;
    browser.wait_for_row(&["rejected", "given up"]).await;
    fits().await;
    browser.click("button", "Retry delivery …").await;
    browser.wait_for_row(&["delivered", "by hand"]).await;
    browser.click("link", "Settings").await;
    browser.fill("Name", "renamed").await;
    browser.click("button", "Save").await;
    browser.wait_for_text("Saved").await;
    fits().await;
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn everything_can_be_done_by_keyboard_alone() {
    let token = "0123456789abcdef0123456789abcdef";
    let (_kept, running) = site::embedded(&[ONE_ATTEMPT]).await;
    let (id, well, receiver) = dead(&running, 2).await;
    well.store(true, Ordering::Relaxed);
    let browser = Browser::start(&running).await;
    browser.open(&paths::dead_letters(&id)).await;
    browser.tab_to("Requeue all that match…").await;
    browser.press(Key::Enter).await;
    browser.find("heading", "Requeue 2 dead letters?").await;
    browser.tab_to("Requeue 2 dead letters").await;
    browser.press(Key::Enter).await;
    browser.wait_for_text("2 of 2 requeued").await;
    receiver.wait_for(4, SOON).await;
    browser.open(&paths::settings(&id)).await;
    browser.tab_to("Delivery Log").await;
    browser.press(Key::Enter).await;
    browser.wait_for_row(&["delivered", "by hand"]).await;
    well.store(false, Ordering::Relaxed);
    site::publish(&running).await;
    browser.find("button", "Retry delivery …").await;
    well.store(true, Ordering::Relaxed);
    browser.tab_to("Retry delivery …").await;
    browser.press(Key::Enter).await;
    browser.wait_for_text("starts again from attempt 1").await;
    receiver.wait_for(6, SOON).await;
    browser.close().await;
    running.stop().await;

    let (_kept, running) = site::embedded(&[("PRISM_API_TOKEN", token)]).await;
    let browser = Browser::start(&running).await;
    browser.open(paths::LIST).await;
    browser.tab_to("Token").await;
    browser.type_text(token).await;
    browser.press(Key::Enter).await;
    browser.find("heading", "Webhooks").await;
    browser.close().await;
    running.stop().await;
}
