//! No event takes another's place: whatever two messages have in common, each is delivered.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::receiver::{Answer, Receiver};

use super::broker::Message;
use super::deployment::{Deployment, SOON};

const BODY: &str = r#"{"event":"request.completed","cost":1}"#;
const QUICKLY: [(&str, &str); 2] = [
    ("PRISM_RETRY_INITIAL", "1s"),
    ("PRISM_RETRY_MAX_ATTEMPTS", "10"),
];

/// A receiver that is down until it is told to be up.
fn down() -> (Receiver, Arc<AtomicBool>) {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = up.clone();
    let receiver = Receiver::start(move |_| {
        let status = if is_up.load(Ordering::SeqCst) {
            200
        } else {
            503
        };
        Answer::status(status)
    });
    (receiver, up)
}

async fn five_alike(hint: &str, message: impl Fn() -> Message) {
    let deployment = Deployment::start(hint, &QUICKLY).await;
    let broker = deployment.broker().await;
    let (receiver, up) = down();
    deployment.webhook("w", &receiver.url(), &[]);
    for _ in 0..5 {
        broker.publish(message()).await;
    }
    receiver.wait_for(5, SOON).await;
    up.store(true, Ordering::SeqCst);
    let delivered = ["--outcome", "delivered"];
    let attempts = deployment.attempts_when(5, &delivered).await;
    let events: HashSet<_> = attempts
        .iter()
        .map(|one| one["event_id"].to_string())
        .collect();
    assert_eq!(events.len(), 1, "the event's id is the publisher's");
}

#[tokio::test]
async fn five_messages_alike_without_an_id_are_five_deliveries_though_the_receiver_is_down() {
    five_alike("alike", || Message::new("request.completed", BODY)).await;
}

#[tokio::test]
async fn five_messages_alike_under_one_id_are_five_deliveries_though_the_receiver_is_down() {
    five_alike("alike-id", || {
        Message::new("request.completed", BODY).id("e")
    })
    .await;
}

#[tokio::test]
async fn messages_alike_are_put_off_and_split_without_one_taking_anothers_place() {
    let settings = [
        ("PRISM_WORKER_FANOUT_INLINE_MAX", "1"),
        QUICKLY[0],
        QUICKLY[1],
    ];
    let deployment = Deployment::start("alike-split", &settings).await;
    let broker = deployment.broker().await;
    let receiver = Receiver::ok();
    for name in ["a", "b"] {
        deployment.webhook(name, &receiver.url(), &[]);
    }
    for _ in 0..5 {
        broker
            .publish(Message::new("request.completed", BODY))
            .await;
    }
    receiver.wait_for(10, SOON).await;
}

#[tokio::test]
async fn two_bodies_under_one_id_are_both_delivered() {
    let deployment = Deployment::start("two-bodies", &QUICKLY).await;
    let broker = deployment.broker().await;
    let (receiver, up) = down();
    deployment.webhook("w", &receiver.url(), &[]);
    let other = BODY.replace('1', "2");
    for body in [BODY, &other] {
        broker
            .publish(Message::new("request.completed", body).id("e"))
            .await;
    }
    receiver.wait_for(2, SOON).await;
    up.store(true, Ordering::SeqCst);
    deployment
        .attempts_when(2, &["--outcome", "delivered"])
        .await;
    let requests = receiver.requests();
    let of = |body: &str| {
        requests
            .iter()
            .filter(|one| one.body == body.as_bytes())
            .count()
    };
    assert!(of(BODY) > 0 && of(&other) > 0, "both arrive");
    let ids = |name: &str| -> HashSet<_> { requests.iter().map(|one| one.header(name)).collect() };
    assert_eq!(ids("webhook-id").len(), 1);
    assert_eq!(ids("x-prism-delivery").len(), 2);
}

#[tokio::test]
async fn dead_letters_alike_are_each_sent_round_again() {
    let settings = [("PRISM_RETRY_MAX_ATTEMPTS", "1")];
    let deployment = Deployment::start("alike-dead", &settings).await;
    let broker = deployment.broker().await;
    let (receiver, up) = down();
    deployment.webhook("w", &receiver.url(), &[]);
    for _ in 0..3 {
        broker
            .publish(Message::new("request.completed", BODY))
            .await;
    }
    deployment.dead_letters_when(&broker, 3).await;
    up.store(true, Ordering::SeqCst);
    deployment.text(&["dead-letters", "requeue", "--all"]);
    deployment
        .attempts_when(3, &["--outcome", "delivered"])
        .await;
}

#[tokio::test]
async fn an_event_that_expired_says_so_and_can_be_requeued() {
    let mut deployment = Deployment::new("expired", &QUICKLY);
    deployment.text(&["topology", "apply"]);
    let broker = deployment.broker().await;
    let receiver = Receiver::ok();
    deployment.webhook("w", &receiver.url(), &[]);
    let expiring = Message::event("request.completed", "e").expiration("50");
    broker.publish(expiring).await;
    let letters = deployment.dead_letters_when(&broker, 1).await;
    assert_eq!(letters[0]["reason"], "expired");
    let detail = letters[0]["detail"].as_str().unwrap();
    assert!(detail.contains("expiration of 50 ms"), "{detail}");
    assert!(detail.contains(".webhooks.events"), "{detail}");
    assert_eq!(letters[0]["event_type"], "request.completed");
    // Through the queue and back: what is kept says the same.
    let nothing = ["dead-letters", "requeue", "--webhook", "nobody", "--json"];
    deployment.text(&nothing);
    assert_eq!(deployment.dead_letters(&["--reason", "expired"]).len(), 1);
    deployment.text(&["dead-letters", "requeue", "--reason", "expired"]);
    deployment.start_worker().await;
    let requests = receiver.wait_for(1, SOON).await;
    assert_eq!(requests[0].header("webhook-id").as_deref(), Some("e"));
}
