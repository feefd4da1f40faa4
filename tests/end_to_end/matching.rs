//! Which webhooks get an event, and how soon a change of one acts.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::deadline::eventually;
use crate::support::receiver::Receiver;

use super::broker::{Broker, Message};
use super::deployment::{Deployment, SOON, field, string};

/// Within this a change acts on a running worker.
const CHANGE: Duration = Duration::from_secs(1);

fn ids(receiver: &Receiver) -> Vec<String> {
    let mut ids: Vec<String> = receiver.counts_by("webhook-id").into_keys().collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn each_webhook_of_the_organization_gets_what_it_subscribed_to_once() {
    let settings = [(
        "PRISM_EVENT_TYPES",
        "request.completed,guardrail.triggered,guardrail.custom.rule,error.occurred",
    )];
    let deployment = Deployment::start("matching", &settings).await;
    let broker = deployment.broker().await;
    let subscribed = [
        ("exact", vec!["error.occurred"], vec!["err"]),
        ("below", vec!["guardrail.*"], vec!["g1", "g2"]),
        ("star", vec!["*"], vec!["err", "g1", "g2", "req"]),
        ("none named", vec![], vec!["err", "g1", "g2", "req"]),
        (
            "two",
            vec!["request.completed", "guardrail.triggered"],
            vec!["g1", "req"],
        ),
    ];
    let receivers: Vec<Receiver> = subscribed.iter().map(|_| Receiver::ok()).collect();
    for ((name, events, _), receiver) in subscribed.iter().zip(&receivers) {
        let flags: Vec<&str> = events.iter().flat_map(|event| ["--event", event]).collect();
        deployment.webhook(name, &receiver.url(), &flags);
    }
    let elsewhere = Receiver::ok();
    deployment.webhook("star", &elsewhere.url(), &["--organization", "other"]);

    for (event_type, id) in [
        ("error.occurred", "err"),
        ("guardrail.triggered", "g1"),
        ("guardrail.custom.rule", "g2"),
        ("request.completed", "req"),
    ] {
        broker.publish(Message::event(event_type, id)).await;
    }
    let of_other = Message::event("error.occurred", "theirs").organization("other");
    broker.publish(of_other).await;
    let of_nobody = Message::event("error.occurred", "nobodys").organization("nobody");
    broker.publish(of_nobody).await;
    let total: usize = subscribed.iter().map(|(_, _, wanted)| wanted.len()).sum();
    deployment.attempts_when(total + 1, &[]).await;
    for ((name, _, wanted), receiver) in subscribed.iter().zip(&receivers) {
        assert_eq!(ids(receiver), *wanted, "{name}");
        assert_eq!(receiver.count(), wanted.len(), "{name}: once each");
    }
    assert_eq!(ids(&elsewhere), ["theirs"]);
    assert_eq!(
        broker.depth("webhooks.dead-letters").await,
        0,
        "an event that nobody wants is done"
    );
}

/// Publishes events until the receiver gets one of them, which must be soon after `changed`.
async fn acts(broker: &Broker, receiver: &Receiver, changed: Instant, what: &str) {
    let before = receiver.count();
    eventually(CHANGE.saturating_sub(changed.elapsed()), what, async || {
        broker.publish(Message::event("error.occurred", what)).await;
        (receiver.count() > before).then_some(())
    })
    .await;
}

/// Publishes events one by one, each awaited at `control`, until one of them did not come to
/// `receiver`, which must be soon after `changed`.
async fn stops(
    broker: &Broker,
    receiver: &Receiver,
    control: &Receiver,
    changed: Instant,
    what: &str,
) {
    let mut number = 0;
    loop {
        let published = Instant::now();
        let id = format!("{what}-{number}");
        // The second is handled after the first: what the first was to bring has come by then.
        for id in [&id, &format!("{id}-after")] {
            let before = control.count();
            broker.publish(Message::event("error.occurred", id)).await;
            control.wait_for(before + 1, SOON).await;
        }
        if !receiver.counts_by("webhook-id").contains_key(&id) {
            return;
        }
        assert!(published - changed < CHANGE, "{what} does not act");
        number += 1;
    }
}

#[tokio::test]
async fn a_change_of_a_webhook_acts_on_a_running_worker_within_a_second() {
    let deployment = Deployment::start("changes", &[]).await;
    let broker = deployment.broker().await;
    let control = Receiver::ok();
    deployment.webhook("control", &control.url(), &[]);
    acts(&broker, &control, Instant::now(), "the-first").await;

    let [old, new] = [Receiver::ok(), Receiver::ok()];
    let changed = Instant::now();
    deployment.webhook("w", &old.url(), &[]);
    acts(&broker, &old, changed, "created").await;
    let changed = Instant::now();
    deployment.text(&["webhooks", "update", "w", "--url", &new.url()]);
    acts(&broker, &new, changed, "moved").await;
    let changed = Instant::now();
    deployment.text(&["webhooks", "disable", "w", "--reason", "maintenance"]);
    stops(&broker, &new, &control, changed, "disabled").await;
    let changed = Instant::now();
    deployment.text(&["webhooks", "enable", "w"]);
    acts(&broker, &new, changed, "enabled").await;
    let changed = Instant::now();
    deployment.text(&["webhooks", "update", "w", "--event", "budget.exceeded"]);
    stops(&broker, &new, &control, changed, "unsubscribed").await;
    deployment.text(&["webhooks", "update", "w", "--all-events"]);
    let changed = Instant::now();
    deployment.text(&["webhooks", "delete", "w"]);
    stops(&broker, &new, &control, changed, "deleted").await;
}

#[tokio::test]
async fn what_the_control_plane_writes_into_redis_counts_and_what_is_broken_hurts_no_other() {
    let mut deployment = Deployment::start("control-plane", &[]).await;
    let broker = deployment.broker().await;
    let [written, neighbour] = [Receiver::ok(), Receiver::ok()];
    deployment.webhook("neighbour", &neighbour.url(), &[]);
    acts(&broker, &neighbour, Instant::now(), "the-first").await;

    let mut redis = super::redis_connection().await;
    let key = format!("{}:webhooks:{{default}}", deployment.namespace());
    let channel = format!("{}:webhooks:changed", deployment.namespace());
    let document = json!({
        "id": "by-hand", "name": "by hand", "url": written.url(), "from_the_future": {"kept": true},
        "event_subscriptions": ["error.*"], "secrets": [{"value": "s3cr3t-by-hand"}],
        "headers": {"X-Plane": "control"},
    });
    let changed = Instant::now();
    for (id, text) in [
        ("by-hand", document.to_string()),
        ("no-json", "{".to_owned()),
        ("no-url", r#"{"id":"no-url","name":"n"}"#.to_owned()),
        (
            "other-id",
            r#"{"id":"another","name":"n","url":"http://127.0.0.1"}"#.to_owned(),
        ),
        (
            "slip",
            r#"{"id":"slip","name":"slip","url":"http://127.0.0.1:9","event_subscriptions":["request.complete"]}"#.to_owned(),
        ),
        (
            "leaky",
            r#"{"id":"leaky","name":"n","url":"http://127.0.0.1","secrets":"hunter2"}"#.to_owned(),
        ),
    ] {
        let mut set = redis::cmd("HSET");
        set.arg(&key)
            .arg(id)
            .arg(text)
            .exec_async(&mut redis)
            .await
            .expect("stored");
    }
    let mut tell = redis::cmd("PUBLISH");
    tell.arg(&channel)
        .arg("default")
        .exec_async(&mut redis)
        .await
        .expect("told");
    acts(&broker, &written, changed, "by-hand").await;
    let request = written.requests().remove(0);
    assert_eq!(request.header("x-plane").as_deref(), Some("control"));
    let signature = super::verification::documented_signature("s3cr3t-by-hand", &request.body);
    assert_eq!(request.header("x-prism-signature"), Some(signature));
    acts(&broker, &neighbour, Instant::now(), "beside-the-broken").await;

    let listed = super::deployment::array(deployment.json(&["webhooks", "list", "--json"]));
    let invalid: Vec<_> = listed
        .iter()
        .filter(|one| one["invalid"].is_string())
        .cloned()
        .collect();
    assert_eq!(listed.len(), 7);
    assert_eq!(
        field(&invalid, "id"),
        ["leaky", "no-json", "no-url", "other-id"]
    );
    let table = deployment.text(&["webhooks", "list"]);
    for (id, problem) in [
        ("no-json", "the document cannot be read"),
        ("no-url", "missing field `url`"),
        (
            "other-id",
            "the document's id \"another\" differs from its field \"other-id\"",
        ),
        ("leaky", "secrets must be a list"),
    ] {
        let told = |text: &str| {
            text.lines()
                .any(|line| line.contains(id) && line.contains(problem))
        };
        let one = invalid.iter().find(|one| one["id"] == id).expect("listed");
        assert!(string(&one["invalid"]).contains(problem), "{one}");
        assert!(told(&table), "{table}");
        let stderr = deployment.worker().stderr();
        // A log line is JSON: its quotes are escaped.
        let logged = stderr.replace("\\\"", "\"");
        assert!(told(&logged), "{problem} in {logged}");
        assert!(!stderr.contains("hunter2") && !table.contains("hunter2"));
    }
    let logged = deployment.worker().stderr();
    let warned =
        |line: &&str| line.contains("\"slip\"") && line.contains("did you mean request.completed?");
    assert!(logged.lines().any(|line| warned(&line)), "{logged}");
}
