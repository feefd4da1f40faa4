//! What counts as an event: whatever breaks the contract ends as a dead letter that says why, and
//! never holds up what comes after it.

use lapin::types::AMQPValue;
use serde_json::Value;

use crate::support::receiver::Receiver;

use super::broker::Message;
use super::deployment::{Deployment, SOON, field, string};

const EVENT: &str = r#"{"event":"request.completed"}"#;

fn event(body: impl Into<Vec<u8>>) -> Message {
    Message::new("request.completed", body)
}

/// Messages that are no events, each with what its dead letter must say.
fn broken() -> Vec<(Message, &'static str)> {
    let two_mib = format!(
        r#"{{"event":"request.completed","pad":"{}"}}"#,
        "x".repeat(2 << 20)
    );
    let mut not_utf8 = br#"{"event":"request.completed","name":"?"}"#.to_vec();
    not_utf8[37] = 0xff;
    let bytes = AMQPValue::LongString(vec![0xff, 0xfe].into());
    vec![
        (event(r#"["request.completed"]"#), "it is an array"),
        (event("hello"), "the body is not a JSON object"),
        (event(""), "the body is not a JSON object"),
        (
            event(r#"{"event":"request.completed""#),
            "the body is not a JSON object",
        ),
        (
            event(r#"{"model":"m"}"#),
            "the body has no string field \"event\"",
        ),
        (
            event(r#"{"event":7}"#),
            "the body has no string field \"event\"",
        ),
        (
            event(r#"{"event":"error.occurred"}"#),
            "the body's \"event\" is \"error.occurred\" but the routing key is \"request.completed\"",
        ),
        (event(two_mib), "at most 1048576 are accepted"),
        (event(not_utf8), "the body is not UTF-8"),
        (
            event(EVENT).header("organization", bytes),
            "the header \"organization\" is not UTF-8",
        ),
        (
            event(EVENT).header("organization", AMQPValue::LongInt(7)),
            "the header \"organization\" is a number; it must be a string",
        ),
        (
            event(EVENT).organization("two words"),
            "the organization \"two words\" is not usable",
        ),
        (
            event(EVENT).id("white space"),
            "the event id \"white space\" is not usable",
        ),
    ]
}

#[tokio::test]
async fn what_is_no_event_becomes_a_dead_letter_that_says_why_and_blocks_nothing() {
    let deployment = Deployment::start("invalid", &[]).await;
    let broker = deployment.broker().await;
    let receiver = Receiver::ok();
    deployment.webhook("w", &receiver.url(), &[]);
    let broken = broken();
    let mut expected = Vec::new();
    for (number, (message, sentence)) in broken.into_iter().enumerate() {
        broker.publish(message).await;
        broker
            .publish(Message::event(
                "request.completed",
                &format!("evt-{number}"),
            ))
            .await;
        let requests = receiver.wait_for(number + 1, SOON).await;
        let id = requests[number].header("webhook-id");
        assert_eq!(id, Some(format!("evt-{number}")), "behind {sentence:?}");
        expected.push(sentence);
    }
    let letters = deployment.dead_letters_when(&broker, expected.len()).await;
    let mut unexplained = letters.clone();
    for sentence in expected {
        let says = |letter: &Value| string(&letter["detail"]).contains(sentence);
        let letter = unexplained.iter().position(says);
        let letter = letter.unwrap_or_else(|| panic!("{sentence:?} is not in {unexplained:#?}"));
        let letter = unexplained.remove(letter);
        assert_eq!(letter["reason"], "invalid-event");
        assert_eq!(letter["event_type"], "request.completed");
        assert_eq!(
            (&letter["webhook"], &letter["attempts"]),
            (&Value::Null, &Value::Null)
        );
        if sentence.contains("1048576") {
            assert!(
                letter["size"].as_u64() > Some(2 << 20),
                "it is kept whole: {letter}"
            );
        }
    }

    let all = letters.len();
    let requeued = deployment.text(&["dead-letters", "requeue", "--reason", "invalid-event"]);
    assert!(
        requeued.starts_with(&format!("{all} requeued, 0 kept")),
        "{requeued}"
    );
    let again = deployment.dead_letters_when(&broker, all).await;
    let details = |letters: &[Value]| {
        let mut said: Vec<String> = field(letters, "detail").iter().map(string).collect();
        // What kind the organization had been is not kept, that it was none is.
        said.iter_mut()
            .for_each(|text| *text = text.replace("is a boolean", "is a number"));
        said.sort();
        said
    };
    assert_eq!(
        details(&again),
        details(&letters),
        "nothing mended, nothing lost"
    );
    assert_eq!(field(&again, "reason"), vec!["invalid-event"; all]);
    let sizes =
        |letters: &[Value]| -> u64 { letters.iter().filter_map(|l| l["size"].as_u64()).sum() };
    assert_eq!(sizes(&again), sizes(&letters));
    assert_eq!(receiver.count(), all, "none of them became an event");
}

#[tokio::test]
async fn what_the_contract_leaves_open_is_taken_as_it_says() {
    let deployment = Deployment::start("lenient", &[]).await;
    let broker = deployment.broker().await;
    let receiver = Receiver::ok();
    deployment.webhook("w", &receiver.url(), &[]);

    // Without a message id the same event derives the same one.
    broker.publish(event(EVENT)).await;
    broker.publish(event(EVENT)).await;
    let twice = receiver.wait_for(2, SOON).await;
    assert_eq!(twice[0].header("webhook-id"), twice[1].header("webhook-id"));
    assert_eq!(
        twice[0].header("x-prism-delivery"),
        twice[1].header("x-prism-delivery")
    );
    let derived = twice[0].header("webhook-id").expect("always there");
    broker.publish(event(format!("{EVENT} "))).await;
    let third = receiver.wait_for(3, SOON).await.remove(2);
    assert_eq!(third.body, format!("{EVENT} "));
    assert_ne!(
        third.header("webhook-id"),
        Some(derived),
        "another body, another event"
    );

    // Void is how dynamic languages write a header that is not set.
    let void = event(EVENT)
        .id("void")
        .header("organization", AMQPValue::Void);
    broker.publish(void).await;
    let named = event(EVENT).id("named").organization("default");
    broker.publish(named).await;
    // A trace that cannot be read is no reason to refuse an event.
    let trace = AMQPValue::LongString(vec![0xff].into());
    broker
        .publish(event(EVENT).id("untraced").header("traceparent", trace))
        .await;
    let depth = 100_000;
    let deep = format!(
        r#"{{"event":"request.completed","a":{}{}}}"#,
        "[".repeat(depth),
        "]".repeat(depth)
    );
    broker.publish(event(deep.clone()).id("deep")).await;
    let requests = receiver.wait_for(7, SOON).await;
    let of = |id: &str| {
        let found = requests
            .iter()
            .find(|r| r.header("webhook-id").as_deref() == Some(id));
        found.unwrap_or_else(|| panic!("{id} did not come"))
    };
    assert_eq!(of("void").body, EVENT);
    assert_eq!(of("named").body, EVENT);
    assert_eq!(of("untraced").header("traceparent"), None);
    assert!(
        of("deep").body == deep,
        "delivered byte for byte, however deep"
    );
    assert_eq!(broker.depth("webhooks.dead-letters").await, 0);
}

#[tokio::test]
async fn what_is_no_delivery_becomes_a_dead_letter_that_stays_when_requeued() {
    let deployment = Deployment::start("invalid-delivery", &[]).await;
    let broker = deployment.broker().await;
    let receiver = Receiver::start(
        |request| match request.header("x-prism-attempt").as_deref() {
            Some("1") => crate::support::receiver::Answer::status(500),
            _ => crate::support::receiver::Answer::ok(),
        },
    );
    deployment.webhook("w", &receiver.url(), &[]);
    deployment.publish(&["request.completed"]);
    receiver.wait_for(1, SOON).await;
    let garbage = Message::new("", vec![0, 0xff, 7]).id("g");
    broker.put("webhooks.deliveries", garbage).await;
    let letter = deployment.dead_letters_when(&broker, 1).await.remove(0);
    assert_eq!(letter["reason"], "invalid-delivery");
    assert_eq!(letter["detail"], "the header \"event\" is missing");
    let (stdout, _) = deployment.exits(&["dead-letters", "requeue", "--all", "--json"], 0);
    let done: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(
        (done["done"].as_u64(), done["unusable"].as_u64()),
        (Some(0), Some(1)),
        "{done}"
    );
    receiver.wait_for(2, SOON).await;
    let letter = deployment.dead_letters_when(&broker, 1).await.remove(0);
    assert_eq!(
        letter["reason"], "invalid-delivery",
        "it is kept as evidence"
    );
}
