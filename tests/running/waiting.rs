//! What waits in a worker for its turn goes by what its webhook has become meanwhile: to where it has
//! moved, at its new rate limit, or nowhere.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use super::site::{Running, SOON, answer};
use crate::support::deadline::{eventually, eventually_ok};
use crate::support::receiver::{Answer, Gate, Receiver};

/// Events for a webhook that may have one every second, so that all but the first wait in line.
const EVENTS: usize = 8;

super::modes::in_either_mode! { &[("PRISM_DELAY_LONGEST", "1h"), ("PRISM_SEND_TIMEOUT", "60s")] =>
    what_waits_for_an_endpoint_that_hangs_is_sent_where_its_webhook_moves_and_no_429_holds_it_up,
    what_waits_is_sent_no_faster_than_a_rate_limit_that_is_lowered_meanwhile,
    what_waits_is_sent_at_once_when_its_rate_limit_is_removed,
    what_waits_goes_where_its_webhook_has_moved,
    what_waits_for_a_webhook_that_is_deleted_is_not_sent_and_not_lost,
    what_waits_for_a_webhook_that_is_disabled_is_not_sent_and_not_lost,
}

/// A webhook of this endpoint, whose first event has arrived and whose others wait.
async fn with_a_line(running: &Running, receiver: &Receiver) -> String {
    let webhook = json!({"name": "limited", "url": receiver.url(), "rate_limit": "1/s"});
    let id = create(running, &webhook).await;
    publish(running, EVENTS).await;
    receiver.wait_for(1, SOON).await;
    id
}

/// The same, once a webhook beside it has got all of the events: then each is a delivery of both, while
/// an event that a worker comes to later is for whoever is there by then.
async fn with_a_line_seen_by_another(running: &Running, receiver: &Receiver) -> String {
    let other = Receiver::ok();
    create(running, &json!({"name": "witness", "url": other.url()})).await;
    let id = with_a_line(running, receiver).await;
    other.wait_for(EVENTS, SOON).await;
    id
}

async fn create(running: &Running, webhook: &Value) -> String {
    let (status, created) = running.post("/api/v1/webhooks", webhook).await;
    assert_eq!(status, 201, "{created}");
    created["id"].as_str().unwrap().to_owned()
}

async fn publish(running: &Running, events: usize) {
    for number in 0..events {
        let event = json!({"event": "request.completed", "n": number});
        running.publish(&event).await;
    }
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

async fn what_waits_for_an_endpoint_that_hangs_is_sent_where_its_webhook_moves_and_no_429_holds_it_up(
    running: &Running,
) {
    let gate = Gate::closed();
    let hangs = gate.clone();
    let old = Receiver::start(move |_| {
        let asks = Answer::status(429).header("retry-after", "300");
        asks.when(&hangs)
    });
    let new = Receiver::ok();
    let id = create(running, &json!({"name": "moving", "url": old.url()})).await;
    publish(running, EVENTS).await;
    let open = old.wait_for(1, SOON).await.len();
    change(running, Method::PATCH, &id, json!({"url": new.url()})).await;
    // Nothing is published that would tell the worker; the old endpoint's requests stay open for as
    // long as they may take.
    new.wait_for(EVENTS - open.max(4), SOON / 2).await;
    gate.open();
    let answered = async || (old.open() == 0).then_some(());
    eventually(SOON, "the old endpoint has answered", answered).await;
    let before = new.count();
    publish(running, 1).await;
    new.wait_for(before + 1, SOON / 2).await;
}

async fn what_waits_is_sent_no_faster_than_a_rate_limit_that_is_lowered_meanwhile(
    running: &Running,
) {
    let receiver = Receiver::ok();
    let webhook = json!({"name": "limited", "url": receiver.url(), "rate_limit": "10/s"});
    let id = create(running, &webhook).await;
    publish(running, 60).await;
    receiver.wait_for(1, SOON).await;
    change(running, Method::PATCH, &id, json!({"rate_limit": "1/s"})).await;
    let (before, since) = (receiver.count(), Instant::now());
    // A dozen before the worker knows of it, and three more.
    receiver.wait_for(before + 15, SOON).await;
    let took = since.elapsed();
    assert!(took >= Duration::from_millis(2500), "15 more in {took:?}");
}

async fn what_waits_is_sent_at_once_when_its_rate_limit_is_removed(running: &Running) {
    let receiver = Receiver::ok();
    let webhook = json!({"name": "limited", "url": receiver.url(), "rate_limit": "1/s"});
    let id = create(running, &webhook).await;
    publish(running, 40).await;
    receiver.wait_for(1, SOON).await;
    change(running, Method::PATCH, &id, json!({"rate_limit": null})).await;
    receiver.wait_for(40, SOON / 2).await;
}

async fn what_waits_for_a_webhook_that_is_deleted_is_not_sent_and_not_lost(running: &Running) {
    let receiver = Receiver::ok();
    let id = with_a_line_seen_by_another(running, &receiver).await;
    change(running, Method::DELETE, &id, json!({})).await;
    is_dead(running, &receiver, "webhook-deleted").await;
}

async fn what_waits_for_a_webhook_that_is_disabled_is_not_sent_and_not_lost(running: &Running) {
    let receiver = Receiver::ok();
    let id = with_a_line_seen_by_another(running, &receiver).await;
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
        let sent = receiver.count();
        (sent + dead >= EVENTS)
            .then_some(dead)
            .ok_or_else(|| format!("{sent} sent, {dead} dead"))
    };
    let dead = eventually_ok(2 * SOON, "the others are dead letters", dead).await;
    assert!(
        receiver.count() <= at_most,
        "{} were sent",
        receiver.count()
    );
    assert_eq!(receiver.count() + dead, EVENTS, "each is one or the other");
}
