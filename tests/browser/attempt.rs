//! One attempt opened: what was sent, what came back, and the delivery's other attempts.

use serde_json::json;

use super::chrome::{Browser, SOON};
use super::{paths, site};
use crate::support::receiver::{Answer, Receiver};

#[tokio::test]
async fn an_attempt_shows_what_the_receiver_got_and_said() {
    let (_kept, running) = site::embedded(&[("PRISM_RETRY_MAX_ATTEMPTS", "2")]).await;
    let receiver = Receiver::start(|_| Answer::status(503).body("\nback at noon"));
    let new = json!({
        "name": "ours", "url": receiver.url(), "secret": "a-secret",
        "headers": {"X-Team": "hidden-value"},
    });
    let created = running.ask("POST", "/webhooks", Some(new)).await.is(201);
    let id = created.body["id"].as_str().unwrap();
    // Every blank counts: the first line, too.
    let body =
        "\n{\"event\" : \"request.completed\",\t\"cost\": 1.50,\n  \"what\": \"grüße <b>&amp;\"}\n";
    let json = "application/json";
    let (status, answer) = running.post_as(json, "/api/v1/events", body, &[]).await;
    assert_eq!(status, 202, "{answer}");
    let browser = Browser::start(&running).await;
    browser.open(&paths::log(id)).await;
    browser
        .wait_for_row(&["throttled", "503", "back at noon", "given up"])
        .await;
    let requests = receiver.wait_for(2, SOON).await;

    browser.click_in_row(&["given up"], "link", "…").await;
    browser.find("heading", "Attempt 2 of delivery …").await;
    let text = browser.text().await;
    for name in [
        "X-Prism-Signature",
        "X-Prism-Delivery",
        "X-Prism-Event",
        "Webhook-Id",
        "Webhook-Timestamp",
        "Webhook-Signature",
        "User-Agent",
    ] {
        let sent = requests[1].header(name).unwrap();
        let line = format!("{name}: {sent}");
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert!(text.contains("X-Prism-Attempt: 2"), "{text}");
    assert!(text.contains("X-Team: (hidden)"), "{text}");
    assert_eq!(requests[1].body, body, "what the receiver got");
    assert_eq!(browser.preformatted("Request body").await, body);
    assert_eq!(
        browser.preformatted("Response body").await,
        "\nback at noon"
    );
    let line = text.split("All attempts of this delivery").nth(1).unwrap();
    let places = ["attempt 1, status 503", "attempt 2, status 503", "given up"];
    let places = places.map(|part| line.find(part).expect(part));
    assert!(places.is_sorted(), "{line}");
    // What is opened is marked among them.
    let opened = "return document.querySelector('ol li[aria-current]').innerText";
    let opened = browser.script(opened, vec![]).await.to_string();
    assert!(opened.contains("attempt 2"), "{opened}");
    browser.click("button", "Retry delivery …").await;
    browser.wait_for_row(&["throttled", "by hand"]).await;
    browser.close().await;
    running.stop().await;
}

/// What the page says was sent, line by line.
async fn request_shown(browser: &Browser) -> Vec<String> {
    let shown = browser.preformatted("Request headers").await;
    shown.lines().skip(1).map(str::to_owned).collect()
}

#[tokio::test]
async fn what_was_sent_is_shown_as_it_was_whatever_its_webhook_becomes() {
    let (_kept, running) = site::embedded(&[("PRISM_RETRY_MAX_ATTEMPTS", "1")]).await;
    let receiver = Receiver::start(|_| Answer::status(500));
    let new = json!({"name": "ours", "url": receiver.url(), "headers": {"X-Team": "blue"}});
    let created = running.ask("POST", "/webhooks", Some(new)).await.is(201);
    let id = created.body["id"].as_str().unwrap();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = json!({"event": "request.completed"}).to_string();
    let headers = [("traceparent", trace)];
    let json = "application/json";
    let published = running.post_as(json, "/api/v1/events", body, &headers);
    assert_eq!(published.await.0, 202);
    let sent = receiver.wait_for(1, SOON).await.remove(0);
    let browser = Browser::start(&running).await;
    browser.open(&paths::log(id)).await;
    browser.wait_for_row(&["rejected", "given up"]).await;
    browser.click_in_row(&["given up"], "link", "…").await;
    browser.find("heading", "Attempt 1 of delivery …").await;

    let own = ["accept", "host", "content-length"];
    let expected = sent.headers().into_iter();
    let expected = expected.filter(|(name, _)| !own.contains(&&*name.to_lowercase()));
    let mut expected: Vec<String> = expected
        .map(|(name, value)| match &*name {
            "X-Team" => "X-Team: (hidden)".to_owned(),
            _ => format!("{name}: {value}"),
        })
        .collect();
    expected.sort();
    let mut shown = request_shown(&browser).await;
    shown.sort();
    assert_eq!(shown, expected);
    assert!(browser.text().await.contains("It was not signed"));

    let change = json!({"headers": {"Authorization": "Bearer x"}});
    let place = format!("/webhooks/{id}");
    running.ask("PATCH", &place, Some(change)).await.is(200);
    let secret = json!({"secret": "a-secret-of-today"});
    let rotate = format!("{place}/rotate-secret");
    running.ask("POST", &rotate, Some(secret)).await.is(200);
    browser.open(&browser.path().await).await;
    let mut later = request_shown(&browser).await;
    later.sort();
    assert_eq!(later, expected);
    assert!(browser.text().await.contains("It was not signed"));
    browser.screenshot("attempt-unsigned").await;
    browser.close().await;
    running.stop().await;
}
