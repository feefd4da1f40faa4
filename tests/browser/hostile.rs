//! Script in every field, in answers and in events: shown as text. And what is another
//! organization's is not there.

use serde_json::json;

use super::chrome::Browser;
use super::{paths, site};
use crate::support::receiver::{Answer, Receiver};

/// It would leave a trace, whichever way it came to run.
const SCRIPT: &str = "\"'><script>window.hacked=1</script><img src=x onerror=window.hacked=1>";

#[tokio::test]
async fn script_is_shown_as_text_wherever_it_comes_from() {
    let (_kept, running) = site::embedded(&[("PRISM_RETRY_MAX_ATTEMPTS", "1")]).await;
    let receiver = Receiver::start(|_| Answer::status(500).body(SCRIPT));
    let browser = Browser::start(&running).await;
    browser.open(paths::NEW).await;
    let name = format!("n{SCRIPT}");
    browser.fill("Name", &name).await;
    let url = format!("{}?q=%22><script>window.hacked=1</script>", receiver.url());
    browser.fill("URL", &url).await;
    browser
        .fill("Description (optional)", &format!("d{SCRIPT}"))
        .await;
    browser.click("button", "Create").await;
    browser.wait_for_text("The webhook is registered").await;
    let found = running.get("/webhooks").await;
    let id = found.items()[0]["id"].as_str().unwrap().to_owned();
    let why = json!({"reason": format!("r{SCRIPT}")});
    let event = json!({"event": "request.completed", "note": SCRIPT});
    running.publish(&event).await;
    browser.wait_for_row(&["rejected", SCRIPT]).await;
    let unharmed = async |page: &str| {
        let hacked = browser
            .script("return window.hacked === undefined", vec![])
            .await;
        assert_eq!(hacked, true, "{page}");
        let ours = "return document.querySelectorAll('script:not([src]), img[src=x]').length";
        assert_eq!(browser.script(ours, vec![]).await, 0, "{page}");
    };
    unharmed("the log").await;
    browser
        .script("document.querySelector('tbody tr a').click()", vec![])
        .await;
    browser.find("heading", "Attempt 1 of delivery …").await;
    browser.wait_for_text(SCRIPT).await;
    unharmed("an attempt").await;
    let path = format!("/webhooks/{id}/disable");
    running.ask("POST", &path, Some(why)).await.is(200);
    let tabs = paths::tabs(&id).map(|(_, path)| path);
    for path in [paths::LIST.to_owned(), paths::DEAD_LETTERS.to_owned()]
        .into_iter()
        .chain(tabs)
    {
        browser.open(&path).await;
        unharmed(&path).await;
    }
    browser.open(paths::LIST).await;
    browser.wait_for_text(&name).await;
    browser.close().await;
    running.stop().await;
}

#[tokio::test]
async fn what_is_anothers_is_not_there() {
    let tokens = "acme:acme-0123456789abcdef,other:other-0123456789abcdef";
    let settings = [
        ("PRISM_API_TOKEN", tokens),
        ("PRISM_RETRY_MAX_ATTEMPTS", "1"),
    ];
    let (_kept, running) = site::embedded(&settings).await;
    let acme = [("authorization", "Bearer acme-0123456789abcdef")];
    let new = json!({"name": "of acme", "url": "https://example.com/"});
    let created = running
        .ask_as("POST", "/webhooks", Some(new), &acme)
        .await
        .is(201);
    let id = created.body["id"].as_str().unwrap();
    let mut browser = Browser::start(&running).await;
    browser.open(paths::SIGN_IN).await;
    browser.fill("Token", "other-0123456789abcdef").await;
    browser.click("button", "Sign in").await;
    browser.wait_for_text("No webhooks yet").await;
    browser.forgive("404");
    for (_, path) in paths::tabs(id) {
        browser.open(&path).await;
        browser.find("heading", "There is nothing here").await;
    }
    browser.open(&paths::log(id)).await;
    browser.find("heading", "There is nothing here").await;
    browser.close().await;
    running.stop().await;
}
