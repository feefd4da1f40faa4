//! What a worker has open at once is bounded: requests, fan-outs, connections.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Gate, Receiver};

use super::broker::Message;
use super::deployment::{Deployment, SOON, assert_within};

#[tokio::test]
async fn a_receiver_that_hangs_has_few_requests_open_and_gets_the_rest_when_it_answers() {
    let settings = [
        ("PRISM_WORKER_WEBHOOK_MAX_IN_FLIGHT", "2"),
        ("PRISM_SEND_TIMEOUT", "60s"),
    ];
    let mut deployment = Deployment::start("hanging", &settings).await;
    let broker = deployment.broker().await;
    let gate = Gate::closed();
    let hanging = Receiver::start({
        let gate = gate.clone();
        move |_| Answer::ok().when(&gate)
    });
    let healthy = Receiver::ok();
    deployment.webhook("hanging", &hanging.url(), &[]);
    deployment.webhook("healthy", &healthy.url(), &[]);
    for number in 1..=50 {
        // One after the other: the healthy one never needs more than its bound itself.
        let published = Instant::now();
        let event = Message::event("request.completed", &format!("evt-{number}"));
        broker.publish(event).await;
        healthy.wait_for(number, SOON).await;
        assert_within(Duration::from_secs(1), published, "a healthy delivery");
    }
    hanging.wait_for(2, SOON).await;
    assert_eq!(
        (hanging.open(), hanging.count()),
        (2, 2),
        "nothing beyond its bound"
    );

    eventually(SOON, "deliveries in a delay queue", async || {
        (broker.depth("webhooks.delay.4s").await > 0).then_some(())
    })
    .await;

    gate.open();
    hanging.wait_for(50, SOON).await;
    assert_eq!(hanging.max_open(), 2);
    let counts = hanging.counts_by("webhook-id");
    assert_eq!(counts.len(), 50, "each event once: {counts:?}");
    let first = hanging.counts_by("x-prism-attempt");
    assert_eq!(
        first,
        [("1".to_owned(), 50)].into(),
        "a deferral is no attempt"
    );
    deployment
        .attempts_when(100, &["--outcome", "delivered"])
        .await;
    let report = deployment.stop_worker().await;
    assert!(
        report.contains(" 100 delivered, 0 to be retried,"),
        "{report}"
    );
    assert!(
        !report.contains(" 0 deferred"),
        "it held deliveries in memory: {report}"
    );
    assert!(
        report.contains(" 0 dead letters, 0 repeats skipped"),
        "{report}"
    );
}

#[tokio::test]
async fn an_event_that_many_want_is_split_and_delivered_once_to_each() {
    let settings = [("PRISM_WORKER_FANOUT_INLINE_MAX", "8")];
    let deployment = Deployment::start("fan-out", &settings).await;
    let broker = deployment.broker().await;
    let receiver = Receiver::ok();
    let key = format!("{}:webhooks:{{default}}", deployment.namespace());
    let mut redis = super::redis_connection().await;
    for number in 0..40 {
        let id = format!("w{number}");
        let document = json!({"id": id, "name": id, "url": format!("{}/{number}", receiver.url())});
        let mut set = redis::cmd("HSET");
        set.arg(&key).arg(&id).arg(document.to_string());
        set.exec_async(&mut redis).await.expect("stored");
    }
    deployment.publish(&["batch.completed", "--id", "evt"]);
    receiver.wait_for(40, SOON).await;
    deployment.attempts_when(40, &[]).await;
    // The second round ends the first: what it had repeated would have come by then.
    deployment.publish(&["batch.completed", "--id", "evt-2"]);
    let requests = receiver.wait_for(80, SOON).await;
    deployment.attempts_when(80, &[]).await;
    let by = |id: &str| -> Vec<String> {
        let of = requests
            .iter()
            .filter(|r| r.header("webhook-id").as_deref() == Some(id));
        of.map(|r| r.path()).collect()
    };
    for id in ["evt", "evt-2"] {
        let paths = by(id);
        assert_eq!(paths.len(), 40, "{id}");
        assert_eq!(paths.iter().collect::<BTreeSet<_>>().len(), 40, "{id}");
    }
    let deliveries = receiver.counts_by("x-prism-delivery");
    assert_eq!(deliveries.len(), 80, "each delivery has an id of its own");
    assert_eq!(
        receiver.counts_by("x-prism-attempt"),
        [("1".to_owned(), 80)].into()
    );
    assert_eq!(broker.depth("webhooks.parts").await, 0);
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let settings = [("PRISM_WORKER_WEBHOOK_MAX_IN_FLIGHT", "4")];
    let deployment = Deployment::start("keep-alive", &settings).await;
    let receiver = Receiver::ok();
    deployment.webhook("w", &receiver.url(), &[]);
    deployment.json(&["publish", "request.completed", "--count", "100", "--json"]);
    receiver.wait_for(100, SOON).await;
    let connections = receiver.connections();
    assert!(
        connections <= 8,
        "{connections} connections for 100 requests, four at a time"
    );
}
