//! Deliveries over the API: everything on record of one, and sending it again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::running::modes::in_either_mode;
use crate::running::site::{Running, SOON};
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Gate, Receiver};

in_either_mode! { &[("PRISM_RETRY_MAX_ATTEMPTS", "2")] =>
    a_delivery_is_shown_with_all_its_attempts_and_sent_again,
    what_was_delivered_at_once_has_no_body_to_be_sent_again,
    what_is_not_on_record_is_not_found,
    of_retries_at_once_one_is_made_and_one_that_fails_adds_no_dead_letter,
    nothing_is_retried_to_a_webhook_that_is_disabled_or_deleted,
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

async fn of_retries_at_once_one_is_made_and_one_that_fails_adds_no_dead_letter(running: &Running) {
    let gate = Gate::closed();
    let (opened, seen) = (gate.clone(), AtomicUsize::new(0));
    let receiver = Receiver::start(move |_| match seen.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Answer::status(500),
        _ => Answer::status(500).when(&opened),
    });
    running.webhook("n", &receiver.url(), None).await;
    running
        .publish(&json!({"event": "request.completed"}))
        .await;
    let requests = receiver.wait_for(2, SOON).await;
    let id = requests[0].header("x-prism-delivery").unwrap();
    in_state(running, &id, "dead").await;
    let path = format!("/deliveries/{id}/retry");
    let asking = (0..3).map(|_| running.ask("POST", &path, Some(json!({}))));
    let answers = futures::future::join_all(asking).await;
    let mut said: Vec<u16> = answers.iter().map(|one| one.status.as_u16()).collect();
    said.sort_unstable();
    assert_eq!(said, [202, 409, 409]);
    let refused = answers.iter().find(|one| one.status == 409).unwrap();
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("under way"), "{detail}");
    receiver.wait_for(3, SOON).await;
    // While it is open as well.
    running.ask("POST", &path, Some(json!({}))).await.is(409);
    gate.open();
    receiver.wait_for(4, SOON).await;
    let dead = eventually(SOON, "it is given up anew", async || {
        let found = running.get(&format!("/deliveries/{id}")).await.body;
        let attempts = found["attempts"].as_array().map(Vec::len);
        (found["state"] == "dead" && attempts == Some(4)).then_some(found)
    })
    .await;
    assert_eq!(dead["reason"], "attempts-exhausted");
    assert_eq!(receiver.count(), 4);
    let letters = running.get("/dead-letters").await.is(200);
    assert_eq!(letters.items().len(), 1, "{:?}", letters.body);
    // It has come to its end, and another may begin.
    running.ask("POST", &path, Some(json!({}))).await.is(202);
}

async fn nothing_is_retried_to_a_webhook_that_is_disabled_or_deleted(running: &Running) {
    let receiver = Receiver::start(|_| Answer::status(500));
    let webhook = running.webhook("n", &receiver.url(), None).await;
    running
        .publish(&json!({"event": "request.completed"}))
        .await;
    let requests = receiver.wait_for(2, SOON).await;
    let id = requests[0].header("x-prism-delivery").unwrap();
    in_state(running, &id, "dead").await;
    let path = format!("/deliveries/{id}/retry");
    let place = format!("/webhooks/{webhook}");
    let why = Some(json!({"reason": "on holiday"}));
    let disable = format!("{place}/disable");
    running.ask("POST", &disable, why).await.is(200);
    for (asked, said) in [
        (json!({}), "on holiday"),
        (json!({"force": true}), "enable it first"),
    ] {
        let refused = running.ask("POST", &path, Some(asked)).await.is(409);
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{detail}");
    }
    running.ask("DELETE", &place, None).await.is(204);
    let refused = running.ask("POST", &path, Some(json!({}))).await.is(409);
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.contains("deleted"), "{detail}");
    assert_eq!(receiver.count(), 2);
}
