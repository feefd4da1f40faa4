//! One organization does not see or touch what is another's, and nobody anything without a token.

use serde_json::json;

use crate::running::modes::in_either_mode;
use crate::running::site::{Running, SOON};
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};

const ACME: (&str, &str) = ("authorization", "Bearer acme-0123456789abcdef");
const OTHER: (&str, &str) = ("authorization", "Bearer other-0123456789abcdef");
const ALL: (&str, &str) = ("authorization", "Bearer all-0123456789abcdef");

in_either_mode! {
    &[
        ("PRISM_RETRY_MAX_ATTEMPTS", "1"),
        ("PRISM_API_TOKEN", "acme:acme-0123456789abcdef,other:other-0123456789abcdef,all-0123456789abcdef"),
    ] =>
    what_is_anothers_is_neither_seen_nor_touched,
    without_a_token_nothing_is_told,
}

async fn what_is_anothers_is_neither_seen_nor_touched(running: &Running) {
    let receiver = Receiver::start(|_| Answer::status(500));
    let new = json!({"name": "of acme", "url": receiver.url()});
    let created = running
        .ask_as("POST", "/webhooks", Some(new), &[ACME])
        .await
        .is(201);
    let id = created.body["id"].as_str().unwrap();
    let event = json!({"event": "request.completed"});
    running
        .ask_as("POST", "/events", Some(event), &[ACME])
        .await
        .is(202);
    let requests = receiver.wait_for(1, SOON).await;
    let delivery = requests[0].header("x-prism-delivery").unwrap();
    let letters = async |whose: (&str, &str)| {
        let found = running
            .ask_as("GET", "/dead-letters", None, &[whose])
            .await
            .is(200);
        found.items().len()
    };
    eventually(SOON, "its dead letter", async || {
        (letters(ACME).await == 1).then_some(())
    })
    .await;

    assert_eq!(letters(OTHER).await, 0);
    for list in [
        "/webhooks",
        "/attempts",
        &format!("/attempts?webhook_id={id}"),
    ] {
        let found = running.ask_as("GET", list, None, &[OTHER]).await.is(200);
        assert_eq!(found.items().len(), 0, "{list}");
    }
    let body = || Some(json!({}));
    for (method, path, body) in [
        ("GET", format!("/webhooks/{id}"), None),
        ("GET", format!("/webhooks/{id}/statistics"), None),
        ("GET", format!("/webhooks/{id}/explain?event_type=a"), None),
        ("PATCH", format!("/webhooks/{id}"), body()),
        ("DELETE", format!("/webhooks/{id}"), None),
        ("POST", format!("/webhooks/{id}/disable"), body()),
        ("POST", format!("/webhooks/{id}/rotate-secret"), body()),
        ("POST", format!("/webhooks/{id}/test"), None),
        ("GET", format!("/deliveries/{delivery}"), None),
        ("POST", format!("/deliveries/{delivery}/retry"), body()),
    ] {
        let refused = running.ask_as(method, &path, body, &[OTHER]).await;
        refused.is(404);
    }
    let all = Some(json!({"all": true}));
    let purge = running.ask_as("POST", "/dead-letters/purge", all, &[OTHER]);
    let job = purge.await.is(202).body;
    let path = format!("/dead-letters/jobs/{}", job["id"].as_str().unwrap());
    running.ask_as("GET", &path, None, &[ACME]).await.is(404);
    assert_eq!(letters(ACME).await, 1, "what is acme's is still there");
    // A token bound to one organization names no other; one bound to none names any.
    let foreign = [OTHER, ("x-prism-organization", "acme")];
    running
        .ask_as("GET", "/webhooks", None, &foreign)
        .await
        .is(403);
    let named = [ALL, ("x-prism-organization", "acme")];
    let found = running
        .ask_as("GET", "/webhooks", None, &named)
        .await
        .is(200);
    assert_eq!(found.items().len(), 1);
    assert_eq!(receiver.count(), 1);
}

async fn without_a_token_nothing_is_told(running: &Running) {
    for path in [
        "/webhooks",
        "/attempts",
        "/attempts/stream",
        "/dead-letters",
        "/event-types",
    ] {
        let refused = running.get(path).await.is(401);
        assert_eq!(refused.header("www-authenticate"), "Bearer");
        let wrong = [("authorization", "Bearer wrong-0123456789abcdef")];
        running.ask_as("GET", path, None, &wrong).await.is(401);
    }
    let document = running.client.get(running.at("/openapi.json")).send();
    let document = document.await.unwrap().text().await.unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
}
