//! The settings of a webhook: changing it, its secret, whether it is enabled, deleting it.

use prism_webhooks::domain::secret::Secret;
use prism_webhooks::domain::signature;
use serde_json::json;

use super::chrome::{Browser, SOON};
use super::{paths, site};
use crate::support::receiver::{Answer, Receiver};

#[tokio::test]
async fn a_webhook_is_changed_and_of_two_at_once_the_second_is_told() {
    let (_kept, running) = site::embedded(&[]).await;
    let receiver = Receiver::ok();
    let new = json!({
        "name": "ours", "url": receiver.url(), "description": "two\nlines", "headers": {"X-Kept": "v4lue-a", "X-Gone": "v4lue-b"},
    });
    let created = running.ask("POST", "/webhooks", Some(new)).await.is(201);
    let id = created.body["id"].as_str().unwrap();
    let settings = paths::settings(id);
    let mut browser = Browser::start(&running).await;
    browser.open(&settings).await;
    let source = browser.client.source().await.unwrap();
    assert!(!source.contains("v4lue"), "{source}");
    browser.fill("Name", "renamed").await;
    browser.click("button", "Save").await;
    browser.wait_for_text("Saved").await;
    let place = format!("/webhooks/{id}");
    let saved = running.get(&place).await.is(200).body;
    assert_eq!(saved["description"], "two\nlines");
    browser.open(&settings).await;
    browser
        .fill("Description (optional)", "what it is for")
        .await;
    browser.click("checkbox", "budget.exceeded").await;
    browser.click("checkbox", "X-Gone").await;
    browser
        .fill("More request headers (optional)", "X-New: v4lue-c")
        .await;
    browser.click("button", "Save").await;
    browser.wait_for_text("Saved").await;
    let source = browser.client.source().await.unwrap();
    assert!(!source.contains("v4lue"), "{source}");
    let saved = running.get(&place).await.is(200).body;
    assert_eq!(saved["name"], "renamed");
    assert_eq!(saved["event_subscriptions"], json!(["budget.exceeded"]));
    assert_eq!(saved["headers"], json!(["X-Kept", "X-New"]));
    // A value that nobody saw goes with requests as before.
    browser.click("button", "Send test").await;
    browser.wait_for_text("took the test event").await;
    let sent = &receiver.wait_for(1, SOON).await[0];
    assert_eq!(sent.header("x-kept").as_deref(), Some("v4lue-a"));
    assert_eq!(sent.header("x-new").as_deref(), Some("v4lue-c"));
    assert_eq!(sent.header("x-gone"), None);
    browser.click("link", "Settings").await;

    // Somebody else is faster.
    browser.fill("Description (optional)", "mine").await;
    browser.click("checkbox", "error.occurred").await;
    browser
        .fill("More request headers (optional)", "X-Mine: v4lue-d")
        .await;
    let theirs = Some(json!({"description": "theirs"}));
    running.ask("PATCH", &place, theirs).await.is(200);
    browser.click("button", "Save").await;
    browser
        .wait_for_text("Somebody else changed the webhook")
        .await;
    browser.forgive("422");
    assert_eq!(running.get(&place).await.body["description"], "theirs");
    assert_eq!(browser.value("Description (optional)").await, "mine");
    let more = "More request headers (optional)";
    assert_eq!(browser.value(more).await, "X-Mine: v4lue-d");
    browser.click("button", "Save").await;
    browser.wait_for_text("Saved").await;
    let saved = running.get(&place).await.is(200).body;
    assert_eq!(saved["description"], "mine");
    let both = json!(["budget.exceeded", "error.occurred"]);
    assert_eq!(saved["event_subscriptions"], both);
    assert_eq!(saved["headers"], json!(["X-Kept", "X-Mine", "X-New"]));
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_rate_limit_is_set_corrected_and_taken_away_again() {
    let (_kept, running) = site::embedded(&[]).await;
    let receiver = Receiver::ok();
    let new = json!({"name": "ours", "url": receiver.url(), "rate_limit": "300/min"});
    let created = running.ask("POST", "/webhooks", Some(new)).await.is(201);
    let id = created.body["id"].as_str().unwrap();
    let place = format!("/webhooks/{id}");
    let limit = "Rate limit (optional)";
    let mut browser = Browser::start(&running).await;
    browser.open(&paths::settings(id)).await;
    assert_eq!(browser.value(limit).await, "300/min");
    browser.fill(limit, "ten a second").await;
    browser.click("button", "Save").await;
    browser.wait_for_text("It was not saved").await;
    browser.forgive("422");
    assert_eq!(browser.value(limit).await, "ten a second");
    let said = browser.description(limit).await;
    assert!(said.contains("10/s"), "{said}");
    for (typed, saved) in [("10/s", json!("10/s")), ("", json!(null))] {
        browser.fill(limit, typed).await;
        browser.click("button", "Save").await;
        browser.wait_for_text("Saved").await;
        let webhook = running.get(&place).await.is(200).body;
        assert_eq!(webhook["rate_limit"], saved);
        browser.open(&paths::settings(id)).await;
        assert_eq!(browser.value(limit).await, typed);
    }
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_rotated_secret_is_shown_once_and_signs_first_once_it_is_promoted() {
    let (_kept, running) = site::embedded(&[]).await;
    let receiver = Receiver::ok();
    let id = running.webhook("ours", &receiver.url(), Some("old")).await;
    let browser = Browser::start(&running).await;
    browser.open(&paths::settings(&id)).await;
    browser.click("button", "Rotate secret").await;
    browser.wait_for_text("shown this once").await;
    let text = browser.text().await;
    let secret = text
        .split_whitespace()
        .find(|word| word.starts_with("whsec_"));
    let secret = Secret::new(secret.expect("the secret is shown")).unwrap();
    browser.open(&paths::settings(&id)).await;
    assert!(!browser.text().await.contains(secret.expose()));
    browser.wait_for_text("A new secret is staged").await;
    browser.click("button", "Promote the new secret").await;
    browser.wait_for_text("Promoted.").await;
    browser.click("button", "Send test").await;
    browser.wait_for_text("took the test event").await;

    let request = &receiver.wait_for(1, SOON).await[0];
    let header = |name: &str| request.header(name).expect(name);
    let signed = signature::prism(&secret, &request.body);
    assert_eq!(header("x-prism-signature"), signed);
    // The old one signs beside it for a day.
    let old = Secret::new("old").unwrap();
    for known in [&secret, &old] {
        let id = header("webhook-id");
        let at = header("webhook-timestamp").parse().unwrap();
        let given = header("webhook-signature");
        let verified = signature::verify_standard(known, &id, at, &request.body, &given);
        assert!(verified, "{given}");
    }
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_secret_is_not_rotated_away_under_somebody_else() {
    let (_kept, running) = site::embedded(&[]).await;
    let id = running.webhook("ours", "https://example.com/", None).await;
    let mut browser = Browser::start(&running).await;
    browser.open(&paths::settings(&id)).await;
    browser.fill("New secret", "mine").await;
    let place = format!("/webhooks/{id}/rotate-secret");
    let theirs = Some(json!({"secret": "theirs"}));
    running.ask("POST", &place, theirs).await.is(200);
    browser.click("button", "Set secret").await;
    browser.wait_for_text("changed by somebody else").await;
    browser.forgive("409");
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_test_shows_what_came_back_and_stands_in_the_log() {
    let (_kept, running) = site::embedded(&[]).await;
    let receiver = Receiver::start(|_| Answer::status(202).body("thank you"));
    let id = running.webhook("ours", &receiver.url(), None).await;
    let browser = Browser::start(&running).await;
    browser.open(&paths::settings(&id)).await;
    browser.click("button", "Send test").await;
    browser.wait_for_text("took the test event").await;
    let text = browser.text().await;
    assert!(text.contains("202"), "{text}");
    assert_eq!(browser.preformatted("Response body").await, "thank you");
    browser.click("link", "To the Delivery Log").await;
    browser
        .wait_for_row(&["test", "delivered", "202", "thank you", "nothing: a test"])
        .await;
    assert_eq!(receiver.count(), 1);
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn a_webhook_is_disabled_enabled_and_deleted_after_asking() {
    let (_kept, running) = site::embedded(&[]).await;
    let id = running.webhook("ours", "https://example.com/", None).await;
    let browser = Browser::start(&running).await;
    browser.open(&paths::settings(&id)).await;
    browser.fill("Reason", "on holiday").await;
    browser.click("button", "Disable webhook").await;
    browser.wait_for_text("Disabled: on holiday").await;
    browser.open(paths::LIST).await;
    browser
        .wait_for_row(&["ours", "disabled", "on holiday"])
        .await;
    browser.click("link", "ours").await;
    browser.click("link", "Enable it").await;
    browser.click("button", "Enable webhook").await;
    let enabled = "Enabled. It gets deliveries again";
    browser.wait_for_text(enabled).await;
    let text = browser.text().await;
    assert!(!text.contains("on holiday"), "{text}");
    browser.click("link", "Delete webhook…").await;
    browser.click("link", "Keep it").await;
    browser.click("link", "Delete webhook…").await;
    browser.find("heading", "Delete ours?").await;
    browser.click("button", "Delete for good").await;
    browser.wait_for_text("are gone").await;
    browser.wait_for_text("No webhooks yet").await;
    running.get(&format!("/webhooks/{id}")).await.is(404);
    browser.close().await;
    running.stop().await;
}
