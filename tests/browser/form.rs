//! Creating a webhook.

use super::chrome::Browser;
use super::find::Key;
use super::{paths, site};

/// What a form that was refused says above its fields.
pub const REFUSED: &str = "It was not created";

#[tokio::test]
async fn a_webhook_is_created_by_keyboard_alone() {
    let (_kept, running) = site::embedded(&[]).await;
    let browser = Browser::start(&running).await;
    browser.open(paths::LIST).await;
    browser.tab_to("Skip to the content").await;
    browser.tab_to("+ Create Webhook").await;
    browser.press(Key::Enter).await;
    browser.find("heading", "Create Webhook").await;
    browser.tab_to("Name").await;
    browser.type_text("by keyboard").await;
    browser.tab_to("URL").await;
    browser.type_text("https://example.com/hook").await;
    browser.tab_to("request.completed").await;
    browser.press(Key::Space).await;
    browser.tab_to("Create").await;
    browser.press(Key::Enter).await;
    browser.find("heading", "by keyboard…").await;
    browser.wait_for_text("https://example.com/hook").await;
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn an_error_stands_beside_its_field_and_what_was_typed_is_kept() {
    let (_kept, running) = site::embedded(&[]).await;
    let mut browser = Browser::start(&running).await;
    browser.open(paths::NEW).await;
    browser.fill("Name", "<b>ours</b>").await;
    browser.fill("URL", "ftp://example.com/").await;
    browser.fill("Description (optional)", "kept").await;
    browser.click("checkbox", "budget.exceeded").await;
    browser.click("button", "Create").await;
    browser.wait_for_text(REFUSED).await;
    // The browser tells its console of every refused form.
    browser.forgive("422");

    let url = browser.field("URL").await;
    assert_eq!(
        url.attr("aria-invalid").await.unwrap().as_deref(),
        Some("true")
    );
    let description = browser.description("URL").await;
    assert!(description.contains("ftp"), "{description}");
    let name = browser.field("Name").await;
    assert_eq!(name.attr("aria-invalid").await.unwrap(), None);
    assert_eq!(browser.value("Name").await, "<b>ours</b>");
    assert_eq!(browser.value("URL").await, "ftp://example.com/");
    assert_eq!(browser.value("Description (optional)").await, "kept");
    let chosen = browser.find("checkbox", "budget.exceeded").await;
    assert!(chosen.is_selected().await.unwrap());

    browser.fill("URL", "https://example.com/").await;
    browser.click("button", "Create").await;
    browser.find("heading", "<b>ours</b>…").await;
    browser.close().await;
    running.stop().await;
}
