//! Deliveries over the API: everything on record of one, and sending it again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::running::modes::in_either_mode;
use crate::running::site::{Running, SOON};
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};

in_either_mode! { &[("PRISM_RETRY_MAX_ATTEMPTS", "2")] =>
    a_delivery_is_shown_with_all_its_attempts_and_sent_again,
    what_was_delivered_at_once_has_no_body_to_be_sent_again,
    what_is_not_on_record_is_not_found,
}

/// The delivery in this state.
async fn in_state(running: &Running, id: &str, state: &str) -> Value {
    eventually(SOON, &format!("the delivery is {state}"), async || {
        let found = running.get(&format!("/deliveries/{id}")).await;
        (found.body["state"] == state).then_some(found.body)
    })
    .await
}

async fn a_delivery_is_shown_with_all_its_attempts_and_sent_again(running: &Running) {
    let well = Arc::new(AtomicBool::new(false));
    let now = well.clone();
    let receiver = Receiver::start(move |_| match now.load(Ordering::Relaxed) {
        true => Answer::ok(),
        false => Answer::status(500),
    });
    let webhook = running.webhook("n", &receiver.url(), None).await;
    let body = json!({"event": "request.completed", "cost": 1.5});
    running.publish(&body).await;
    let requests = receiver.wait_for(1, SOON).await;
    let id = requests[0].header("x-prism-delivery").unwrap();
    let dead = in_state(running, &id, "dead").await;
    assert_eq!(dead["reason"], "attempts-exhausted");
    assert_eq!(dead["body"], body.to_string());
    let numbers = |found: &Value| {
        let attempts = found["attempts"].as_array().unwrap().iter();
        let pairs = attempts.map(|one| (one["attempt"].clone(), one["trigger"].clone()));
        pairs.collect::<Vec<_>>()
    };
    let event = (json!(1), json!("event"));
    let retry = (json!(2), json!("retry"));
    assert_eq!(numbers(&dead), [event.clone(), retry.clone()]);

    well.store(true, Ordering::Relaxed);
    let path = format!("/deliveries/{id}/retry");
    let asked = running.ask("POST", &path, Some(json!({}))).await.is(202);
    assert_eq!(asked.body["id"], id);
    let delivered = in_state(running, &id, "delivered").await;
    let by_hand = (json!(1), json!("manual"));
    assert_eq!(numbers(&delivered), [event, retry, by_hand]);
    assert!(
        running
            .get("/dead-letters")
            .await
            .is(200)
            .items()
            .is_empty()
    );
    running.ask("POST", &path, Some(json!({}))).await.is(409);
    let force = Some(json!({"force": true}));
    running.ask("POST", &path, force).await.is(202);
    receiver.wait_for(4, SOON).await;
    let narrowed = format!("/deliveries/{id}?webhook_id={webhook}");
    running.get(&narrowed).await.is(200);
}

async fn what_was_delivered_at_once_has_no_body_to_be_sent_again(running: &Running) {
    let receiver = Receiver::ok();
    running.webhook("n", &receiver.url(), None).await;
    running
        .publish(&json!({"event": "request.completed"}))
        .await;
    let requests = receiver.wait_for(1, SOON).await;
    let id = requests[0].header("x-prism-delivery").unwrap();
    let delivered = in_state(running, &id, "delivered").await;
    assert_eq!(delivered["body_kept"], false);
    assert_eq!(delivered["attempts"].as_array().unwrap().len(), 1);
    let path = format!("/deliveries/{id}/retry");
    let force = Some(json!({"force": true}));
    let refused = running.ask("POST", &path, force).await;
    let said = refused.body["detail"].as_str().unwrap_or("").to_owned();
    assert!(said.contains("keep_bodies"), "{said}");
    assert!([404, 409].contains(&refused.status.as_u16()), "{said}");
}

async fn what_is_not_on_record_is_not_found(running: &Running) {
    for id in ["nobody", "a%20b", &"x".repeat(200)] {
        running.get(&format!("/deliveries/{id}")).await.is(404);
        let path = format!("/deliveries/{id}/retry");
        running.ask("POST", &path, Some(json!({}))).await.is(404);
    }
}
