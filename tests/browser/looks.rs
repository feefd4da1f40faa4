//! How the pages look and whether everybody can use them: each wide and narrow, light and dark,
//! checked by axe and kept in target/screenshots.

use super::chrome::{Browser, SOON};
use super::dead_letters::dead;
use super::form::REFUSED;
use super::{paths, site};
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};

/// A desk and a telephone.
const SIZES: [(&str, u32, u32); 2] = [("wide", 1280, 900), ("narrow", 375, 800)];

/// What is wrong with the pages that were looked at.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    /// Looks at the page as every reader has it.
    async fn look(&mut self, browser: &Browser, name: &str) {
        for (size, width, height) in SIZES {
            for (light, dark) in [("light", false), ("dark", true)] {
                browser.set_window(width, height).await;
                browser.prefer_dark(dark).await;
                let name = format!("{name}-{size}-{light}");
                browser.screenshot(&name).await;
                self.0.extend(browser.axe(&name).await);
                let beyond = browser.beyond_the_window().await;
                if !beyond.is_empty() {
                    let fault = format!("{name} is wider than the window: {beyond:#?}\n");
                    self.0.push(fault);
                }
            }
        }
        browser.set_window(SIZES[0].1, SIZES[0].2).await;
        browser.prefer_dark(false).await;
    }

    fn are_none(self) {
        assert!(
            self.0.is_empty(),
            "{} faults:\n{}",
            self.0.len(),
            self.0.concat()
        );
    }
}

#[tokio::test]
async fn the_list_and_the_form_are_for_everybody() {
    let (_kept, running) = site::embedded(&[]).await;
    let mut browser = Browser::start(&running).await;
    let mut faults = Faults::default();
    browser.open(paths::LIST).await;
    faults.look(&browser, "list-empty").await;
    browser.open(paths::NEW).await;
    faults.look(&browser, "form").await;
    browser.fill("URL", "ftp://example.com/").await;
    browser.click("button", "Create").await;
    browser.wait_for_text(REFUSED).await;
    browser.forgive("422");
    faults.look(&browser, "form-with-errors").await;
    let long =
        "https://hooks.example.com/services/T0000000000/B0000000000/XXXXXXXXXXXXXXXXXXXXXXXX";
    running
        .webhook("Ours", "https://example.com/hook", None)
        .await;
    running.webhook("A long address", long, None).await;
    browser.open(paths::LIST).await;
    faults.look(&browser, "list").await;
    faults.are_none();
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn the_log_is_for_everybody() {
    let (_kept, running) = site::embedded(&[("PRISM_RETRY_MAX_ATTEMPTS", "1")]).await;
    let receiver = Receiver::start({
        let before = std::sync::atomic::AtomicUsize::new(0);
        move |_| match before.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Answer::ok().body("{\"received\": true}"),
            _ => Answer::status(500).body("Traceback (most recent call last): ".repeat(20)),
        }
    });
    let id = running.webhook("Ours", &receiver.url(), None).await;
    let browser = Browser::start(&running).await;
    let mut faults = Faults::default();
    browser.open(&paths::log(&id)).await;
    faults.look(&browser, "log-empty").await;
    site::publish(&running).await;
    browser.wait_for_row(&["delivered"]).await;
    site::publish(&running).await;
    browser.wait_for_row(&["rejected", "500"]).await;
    faults.look(&browser, "log").await;
    faults.are_none();
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn every_tab_of_a_webhook_is_for_everybody() {
    let (_kept, running) = site::embedded(&[("PRISM_RETRY_MAX_ATTEMPTS", "1")]).await;
    let receiver = Receiver::start(|_| Answer::status(500));
    let id = running.webhook("Ours", &receiver.url(), None).await;
    let browser = Browser::start(&running).await;
    let mut faults = Faults::default();
    browser.open(&paths::log(&id)).await;
    site::publish(&running).await;
    browser.wait_for_row(&["given up"]).await;
    for (name, path) in paths::tabs(&id) {
        browser.open(&path).await;
        faults.look(&browser, name).await;
    }
    faults.are_none();
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn what_comes_of_a_click_is_for_everybody() {
    let (_kept, running) = site::embedded(&[("PRISM_RETRY_MAX_ATTEMPTS", "1")]).await;
    let (id, _well, receiver) = dead(&running, 9).await;
    let mut browser = Browser::start(&running).await;
    let mut faults = Faults::default();
    browser.open(&paths::log(&id)).await;
    browser
        .script("document.querySelector('tbody tr a').click()", vec![])
        .await;
    browser.find("heading", "Attempt 1 of delivery …").await;
    faults.look(&browser, "attempt").await;
    browser.click("button", "Send test").await;
    browser.wait_for_text("did not take the test event").await;
    faults.look(&browser, "test").await;
    browser.open(paths::NEW).await;
    browser.fill("Name", "with a secret").await;
    browser.fill("URL", &receiver.url()).await;
    browser
        .click("checkbox", "Generate a secret, and show it once")
        .await;
    browser.click("button", "Create").await;
    browser.wait_for_text("shown this once").await;
    faults.look(&browser, "created").await;
    browser.open(paths::DEAD_LETTERS).await;
    faults.look(&browser, "dead-letters-of-all").await;
    browser.click("button", "Purge all that match…").await;
    browser.find("heading", "Purge …").await;
    faults.look(&browser, "purge").await;
    browser.open(paths::DEAD_LETTERS).await;
    // It takes one, and the next in ten seconds.
    browser
        .fill("At most so many a second (optional)", "0.1")
        .await;
    browser.click("button", "Requeue all that match…").await;
    browser.find("heading", "Requeue …").await;
    faults.look(&browser, "requeue").await;
    browser.click("button", "Requeue …").await;
    browser.find("heading", "Requeue running").await;
    faults.look(&browser, "job-running").await;
    browser.click("button", "Stop").await;
    browser.find("heading", "Requeue stopped").await;
    faults.look(&browser, "job").await;
    browser.open(paths::AUDIT).await;
    browser.wait_for_text("dead_letters.requeue_started").await;
    faults.look(&browser, "audit").await;
    browser.open("/webhooks/nobody").await;
    browser.forgive("404");
    faults.look(&browser, "trouble").await;
    // Once the counts are in the store.
    let path = format!("/webhooks/{id}/statistics");
    eventually(SOON, "the attempts are counted", async || {
        let counted = running.get(&path).await.is(200).body;
        let attempts = counted["total"]["attempts"].as_u64();
        attempts.is_some_and(|many| many >= 9).then_some(())
    })
    .await;
    let overview = format!("/webhooks/{id}");
    browser.open(&overview).await;
    browser.click("link", "Last week").await;
    browser
        .wait_for_path(&format!("{overview}?period=week"))
        .await;
    faults.look(&browser, "overview-with-counts").await;
    browser.open(paths::LIST).await;
    faults.look(&browser, "list-with-counts").await;
    faults.are_none();
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn signing_in_is_for_everybody() {
    let token = "0123456789abcdef0123456789abcdef";
    let (_kept, running) = site::embedded(&[("PRISM_API_TOKEN", token)]).await;
    let browser = Browser::start(&running).await;
    let mut faults = Faults::default();
    browser.open(paths::SIGN_IN).await;
    faults.look(&browser, "sign-in").await;
    faults.are_none();
    browser.close().await;
    running.stop().await;
}
