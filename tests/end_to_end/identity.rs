//! No event takes another's place: whatever two messages have in common, each is delivered.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use lapin::types::AMQPValue;

use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Received, Receiver};

use super::broker::Message;
use super::deployment::{Deployment, SOON};

const BODY: &str = r#"{"event":"request.completed","cost":1}"#;
const QUICKLY: [(&str, &str); 2] = [
    ("PRISM_RETRY_INITIAL", "1s"),
    ("PRISM_RETRY_MAX_ATTEMPTS", "10"),
];

/// A receiver that takes what it is told to take, and says which requests those were.
struct Choosy {
    receiver: Receiver,
    /// The event's id and the delivery's of each.
    taken: Arc<Mutex<Vec<[String; 2]>>>,
}

impl Choosy {
    fn start(takes: impl Fn(&Received) -> bool + Send + Sync + 'static) -> Self {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let list = taken.clone();
        let receiver = Receiver::start(move |request| {
            if !takes(request) {
                return Answer::status(503);
            }
            let id = |name| request.header(name).unwrap();
            let ids = [id("webhook-id"), id("x-prism-delivery")];
            list.lock().unwrap().push(ids);
            Answer::ok()
        });
        Self { receiver, taken }
    }

    /// One that takes nothing until it is told to.
    fn down() -> (Self, Arc<AtomicBool>) {
        let up = Arc::new(AtomicBool::new(false));
        let is_up = up.clone();
        (Self::start(move |_| is_up.load(Ordering::SeqCst)), up)
    }

    /// What it took, once that are so many requests, and no more than them are on record as taken.
    async fn took(&self, count: usize, deployment: &Deployment) -> Vec<[String; 2]> {
        let what = format!("{count} requests that succeed");
        eventually(SOON, &what, async || {
            (self.taken.lock().unwrap().len() >= count).then_some(())
        })
        .await;
        let delivered = ["--outcome", "delivered"];
        let attempts = deployment.attempts_when(count, &delivered).await;
        let taken = self.taken.lock().unwrap().clone();
        assert_eq!((taken.len(), attempts.len()), (count, count));
        taken
    }
}

async fn five_alike(deployment: &Deployment, receiver: &Receiver, message: impl Fn() -> Message) {
    let broker = deployment.broker().await;
    deployment.webhook("w", &receiver.url(), &[]);
    for _ in 0..5 {
        broker.publish(message()).await;
    }
}

async fn five_alike_while_it_is_down(hint: &str, message: impl Fn() -> Message) {
    let deployment = Deployment::start(hint, &QUICKLY).await;
    let (choosy, up) = Choosy::down();
    five_alike(&deployment, &choosy.receiver, message).await;
    // On record, or the last one might be answered well at its first attempt.
    deployment.attempts_when(5, &[]).await;
    up.store(true, Ordering::SeqCst);
    let taken = choosy.took(5, &deployment).await;
    let different = |which: usize| taken.iter().map(|ids| &ids[which]).collect::<HashSet<_>>();
    assert_eq!(different(0).len(), 1, "the event's id is the publisher's");
    assert_eq!(different(1).len(), 5, "each had something to follow");
}

#[tokio::test]
async fn five_messages_alike_without_an_id_are_five_deliveries_though_the_receiver_is_down() {
    let message = || Message::new("request.completed", BODY);
    five_alike_while_it_is_down("alike", message).await;
}

#[tokio::test]
async fn five_messages_alike_under_one_id_are_five_deliveries_though_the_receiver_is_down() {
    let message = || Message::new("request.completed", BODY).id("e");
    five_alike_while_it_is_down("alike-id", message).await;
}

/// A publisher's own headers mean what they mean to it.
#[tokio::test]
async fn five_messages_alike_are_five_deliveries_though_their_headers_are_called_like_ours() {
    let message = || {
        let text = |text: &str| AMQPValue::LongString(text.into());
        let message = Message::new("request.completed", BODY).id("e");
        let message = message.header("stamp", text("s0"));
        message
            .header("delivery", text("d0"))
            .header("sequence", text("7"))
    };
    five_alike_while_it_is_down("alike-headers", message).await;
}

#[tokio::test]
async fn five_messages_alike_are_five_deliveries_though_the_receiver_fails_now_and_then() {
    let deployment = Deployment::start("alike-mixed", &QUICKLY).await;
    let asked = AtomicUsize::new(0);
    let choosy = Choosy::start(move |_| asked.fetch_add(1, Ordering::SeqCst) % 2 == 1);
    let message = || Message::new("request.completed", BODY);
    five_alike(&deployment, &choosy.receiver, message).await;
    choosy.took(5, &deployment).await;
}

#[tokio::test]
async fn five_messages_alike_are_five_deliveries_though_every_body_is_kept() {
    let settings = [("PRISM_DELIVERY_LOG_KEEP_BODIES", "all")];
    let deployment = Deployment::start("alike-kept", &settings).await;
    let choosy = Choosy::start(|_| true);
    let message = || Message::new("request.completed", BODY);
    five_alike(&deployment, &choosy.receiver, message).await;
    choosy.took(5, &deployment).await;
    let attempts = deployment.attempts(&[]);
    let ids: HashSet<_> = attempts
        .iter()
        .map(|one| one["delivery_id"].to_string())
        .collect();
    assert_eq!(ids.len(), 5, "each can be sent again by its own id");
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
async fn two_bodies_under_one_id_are_both_retried_and_both_delivered() {
    let deployment = Deployment::start("two-bodies", &QUICKLY).await;
    let broker = deployment.broker().await;
    let accepted = Arc::new(Mutex::new(HashSet::<Vec<u8>>::new()));
    let accepts = accepted.clone();
    let choosy = Choosy::start(move |one| accepts.lock().unwrap().contains(&one.body[..]));
    deployment.webhook("w", &choosy.receiver.url(), &[]);
    let bodies = [BODY.to_owned(), BODY.replace('1', "2")];
    for body in &bodies {
        let message = Message::new("request.completed", body.as_str()).id("e");
        broker.publish(message).await;
    }
    for (already, body) in bodies.iter().enumerate() {
        // Not by the retries of the other alone.
        eventually(SOON, "a second attempt", async || {
            let requests = choosy.receiver.requests();
            let of_it = requests.iter().filter(|one| one.body == body.as_bytes());
            (of_it.count() >= 2).then_some(())
        })
        .await;
        assert_eq!(choosy.taken.lock().unwrap().len(), already);
        accepted.lock().unwrap().insert(body.clone().into_bytes());
        choosy.took(already + 1, &deployment).await;
    }
    let requests = choosy.receiver.requests();
    let ids = |name: &str| -> HashSet<_> { requests.iter().map(|one| one.header(name)).collect() };
    assert_eq!(ids("webhook-id").len(), 1);
    assert_eq!(
        ids("x-prism-delivery").len(),
        2,
        "the same in every attempt"
    );
}

#[tokio::test]
async fn dead_letters_alike_are_each_sent_round_again() {
    let settings = [("PRISM_RETRY_MAX_ATTEMPTS", "1")];
    let deployment = Deployment::start("alike-dead", &settings).await;
    let broker = deployment.broker().await;
    let (choosy, up) = Choosy::down();
    deployment.webhook("w", &choosy.receiver.url(), &[]);
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

#[tokio::test]
async fn an_event_that_expired_is_one_whatever_its_publisher_called_its_headers() {
    let mut deployment = Deployment::new("expired-headers", &QUICKLY);
    deployment.text(&["topology", "apply"]);
    let broker = deployment.broker().await;
    let receivers = [Receiver::ok(), Receiver::ok()];
    for (name, receiver) in ["v", "w"].iter().zip(&receivers) {
        deployment.webhook(name, &receiver.url(), &[]);
    }
    let ours = [
        ("reason", "attempts-exhausted"),
        ("detail", "theirs"),
        ("dead-at", "2001-01-01T00:00:00Z"),
        ("webhook", "z"),
        ("delivery", "d"),
        ("event", "x"),
        ("event-type", "budget.exceeded"),
        ("attempt", "3"),
        ("sequence", "3"),
        ("trigger", "event"),
        ("last-outcome", "rejected"),
    ];
    let one = ours.map(|header| vec![header]);
    let sets = one.into_iter().chain([ours.to_vec()]);
    let mut count = 0;
    for set in sets {
        let id = format!("e{count}");
        let message = Message::event("request.completed", &id).expiration("50");
        let message = set.into_iter().fold(message, |message, (name, value)| {
            message.header(name, AMQPValue::LongString(value.into()))
        });
        broker.publish(message).await;
        count += 1;
    }
    deployment.dead_letters_when(&broker, count).await;
    for _ in 0..2 {
        for letter in deployment.dead_letters(&[]) {
            assert_eq!(letter["reason"], "expired", "{letter}");
            assert_eq!(letter["event_type"], "request.completed", "{letter}");
            assert_ne!(letter["dead_at"], "2001-01-01T00:00:00Z", "{letter}");
            for name in ["webhook", "delivery", "attempts", "last_outcome"] {
                assert!(letter[name].is_null(), "{name}: {letter}");
            }
        }
        // Through the queue and back: what is kept says the same.
        deployment.text(&["dead-letters", "requeue", "--webhook", "z", "--json"]);
    }
    deployment.text(&["dead-letters", "requeue", "--all"]);
    deployment.start_worker().await;
    for receiver in &receivers {
        let requests = receiver.wait_for(count, SOON).await;
        let ids: HashSet<_> = requests
            .iter()
            .map(|one| one.header("webhook-id"))
            .collect();
        assert_eq!(ids.len(), count);
    }
}
