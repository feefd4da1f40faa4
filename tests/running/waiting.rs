//! What waits in a worker for its turn goes where its webhook has moved to meanwhile, or nowhere.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::site::{Running, SOON, answer};
use crate::support::deadline::eventually;
use crate::support::receiver::Receiver;

/// Events for a webhook that may have one every second, so that all but the first wait in line.
const EVENTS: usize = 8;

super::api::in_either_mode! { &[] =>
    what_waits_goes_where_its_webhook_has_moved,
    what_waits_for_a_webhook_that_is_deleted_is_not_sent_and_not_lost,
    what_waits_for_a_webhook_that_is_disabled_is_not_sent_and_not_lost,
}

/// A webhook of this endpoint, whose first event has arrived and whose others wait.
async fn with_a_line(running: &Running, receiver: &Receiver) -> String {
    let webhook = json!({"name": "limited", "url": receiver.url(), "rate_limit": "1/s"});
    let (status, created) = running.post("/api/v1/webhooks", &webhook).await;
    assert_eq!(status, 201, "{created}");
    for number in 0..EVENTS {
        running
            .publish(&json!({"event": "request.completed", "n": number}))
            .await;
    }
    receiver.wait_for(1, SOON).await;
    created["id"].as_str().unwrap().to_owned()
}

async fn change(running: &Running, method: Method, webhook: &str, change: Value) {
    let url = running.at(&format!("/api/v1/webhooks/{webhook}"));
    let request = running.client.request(method, url);
    let request = request.header("content-type", "application/json");
    let sent = request.body(change.to_string()).send().await.unwrap();
    assert!(sent.status().is_success(), "{:?}", answer(sent).await);
}

async fn what_waits_goes_where_its_webhook_has_moved(running: &Running) {
    let (old, new) = (Receiver::ok(), Receiver::ok());
    let id = with_a_line(running, &old).await;
    change(running, Method::PATCH, &id, json!({"url": new.url()})).await;
    // A worker knows of it within a second.
    let at_most = old.count() + 2;
    // At its rate limit, and some time for a machine that is busy.
    let all = Duration::from_secs(EVENTS as u64 + 10);
    let what = "all of them";
    eventually(all, what, async || {
        (old.count() + new.count() >= EVENTS).then_some(())
    })
    .await;
    assert!(old.count() <= at_most, "{} at the old one", old.count());
    assert_eq!(old.count() + new.count(), EVENTS, "each once");
}

async fn what_waits_for_a_webhook_that_is_deleted_is_not_sent_and_not_lost(running: &Running) {
    let receiver = Receiver::ok();
    let id = with_a_line(running, &receiver).await;
    change(running, Method::DELETE, &id, json!({})).await;
    is_dead(running, &receiver, "webhook-deleted").await;
}

async fn what_waits_for_a_webhook_that_is_disabled_is_not_sent_and_not_lost(running: &Running) {
    let receiver = Receiver::ok();
    let id = with_a_line(running, &receiver).await;
    let path = format!("/api/v1/webhooks/{id}/disable");
    let (status, disabled) = running.post(&path, &json!({})).await;
    assert_eq!(status, 200, "{disabled}");
    is_dead(running, &receiver, "webhook-disabled").await;
}

/// All but what a worker sent before it knew becomes a dead letter for this reason.
async fn is_dead(running: &Running, receiver: &Receiver, reason: &str) {
    let at_most = receiver.count() + 2;
    let url = running.at(&format!("/api/v1/dead-letters?reason={reason}&limit=100"));
    let dead = async || {
        let listed = running.client.get(&url).send().await.unwrap();
        let (_, listed) = answer(listed).await;
        let dead = listed["items"].as_array().unwrap().len();
        (receiver.count() + dead >= EVENTS).then_some(dead)
    };
    let dead = eventually(2 * SOON, "the others are dead letters", dead).await;
    assert!(
        receiver.count() <= at_most,
        "{} were sent",
        receiver.count()
    );
    assert_eq!(receiver.count() + dead, EVENTS, "each is one or the other");
}
