//! Events over HTTP: the rules of the contract, the same in either mode.

use std::time::{Duration, Instant};

use prism_webhooks::domain::ids::GATEWAY_EVENT_TYPES;
use serde_json::{Value, json};

use crate::support::namespace::Namespace;
use crate::support::receiver::Receiver;
use crate::support::servers::{amqp_url, redis_url};

use super::site::{Running, SOON, Site};

#[tokio::test]
async fn embedded_it_keeps_the_contract() {
    let directory = tempfile::tempdir().unwrap();
    keeps_the_contract(Site::embedded(directory.path()).start().await).await;
}

#[tokio::test]
async fn on_servers_it_keeps_the_contract() {
    let namespace = Namespace::unique("events-http");
    let site = Site::new(&[
        ("PRISM_NAMESPACE", namespace.as_str()),
        ("PRISM_AMQP_URL", amqp_url()),
        ("PRISM_REDIS_URL", redis_url()),
    ]);
    keeps_the_contract(site.start().await).await;
}

async fn keeps_the_contract(running: Running) {
    refuses_what_is_no_event(&running).await;
    carries_ids_organization_and_trace(&running).await;
    takes_batches(&running).await;
    takes_ids_in_batches(&running).await;
    gives_a_batch_of_nonsense_up_and_answers_others_meanwhile(&running).await;
    running.stop().await;
}

async fn refuses_what_is_no_event(running: &Running) {
    let large = format!(
        "{{\"event\":\"request.completed\",\"x\":\"{}\"}}",
        "x".repeat(1 << 20)
    );
    let json = "application/json";
    let many = "{\"event\":\"request.completed\"}\n".repeat(100_001);
    let cases: [(&str, &str, u16, &str); 9] = [
        ("text/plain", "{}", 415, "application/x-ndjson"),
        (json, "hello", 422, "not a JSON object"),
        (json, "[]", 422, "not a JSON object"),
        (json, "{}", 422, "no string field \"event\""),
        (json, "{\"event\":\"made.up\"}", 422, "not known here"),
        (json, &large, 413, "more than 1048576 bytes"),
        ("application/x-ndjson", "\n\n", 422, "no events"),
        (
            "application/x-ndjson",
            &many,
            413,
            "more than 100000 events",
        ),
        (json, "", 422, "not a JSON object"),
    ];
    for (media_type, body, expected, said) in cases {
        let (status, problem) = running
            .post_as(media_type, "/api/v1/events", body.to_owned(), &[])
            .await;
        assert_eq!(status, expected, "{problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(said), "{detail:?} should contain {said:?}");
    }
    let event = "{\"event\":\"request.completed\"}";
    for (encoding, expected) in [("gzip", 415), ("br", 415), ("identity", 202)] {
        let headers = [("content-encoding", encoding)];
        let (status, problem) = running
            .post_as(json, "/api/v1/events", event, &headers)
            .await;
        assert_eq!(status, expected, "{problem}");
    }
    let marked = format!("\u{feff}{event}");
    let (status, problem) = running.post_as(json, "/api/v1/events", marked, &[]).await;
    assert_eq!(status, 422);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("byte order mark"), "{detail}");
    let headers = [("x-prism-organization", "two words")];
    let event = "{\"event\":\"request.completed\"}";
    let (status, _) = running
        .post_as(json, "/api/v1/events", event, &headers)
        .await;
    assert_eq!(status, 400);
    let headers = [("x-prism-event-id", "two words")];
    let (status, problem) = running
        .post_as(json, "/api/v1/events", event, &headers)
        .await;
    assert_eq!(status, 422, "{problem}");
}

async fn carries_ids_organization_and_trace(running: &Running) {
    let receiver = Receiver::ok();
    let webhook = json!({"name": "w", "url": receiver.url()});
    let organization = ("x-prism-organization", "acme");
    let json = "application/json";
    let (status, answer) = running
        .post_as(
            json,
            "/api/v1/webhooks",
            webhook.to_string(),
            &[organization],
        )
        .await;
    assert_eq!(status, 201, "{answer}");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [
        organization,
        ("x-prism-event-id", "an-id-of-mine"),
        ("traceparent", trace),
    ];
    let event = json!({"event": "guardrail.triggered"}).to_string();
    let (status, answer) = running
        .post_as(json, "/api/v1/events", event, &headers)
        .await;
    assert_eq!(
        (status.as_u16(), &answer["id"]),
        (202, &json!("an-id-of-mine"))
    );
    let requests = receiver.wait_for(1, SOON).await;
    assert_eq!(
        requests[0].header("webhook-id").as_deref(),
        Some("an-id-of-mine")
    );
    let carried = requests[0].header("traceparent").unwrap();
    assert_eq!(carried[..35], trace[..35], "the same trace");
    assert_ne!(carried, trace, "a span of its own");
}

async fn takes_ids_in_batches(running: &Running) {
    let receiver = Receiver::ok();
    running.webhook("with ids", &receiver.url(), None).await;
    let event = r#"{ "event" : "budget.exceeded", "n": 1.50 }"#;
    let batch = format!("{{\"id\":\"mine-1\",\"body\":{event}}}\n{event}\n");
    let ndjson = "application/x-ndjson";
    let (status, answer) = running.post_as(ndjson, "/api/v1/events", batch, &[]).await;
    assert_eq!(
        (status.as_u16(), &answer["ids"][0]),
        (202, &json!("mine-1"))
    );
    let requests = receiver.wait_for(2, SOON).await;
    let ids: Vec<_> = requests
        .iter()
        .map(|one| one.header("webhook-id").unwrap())
        .collect();
    assert!(ids.contains(&"mine-1".to_owned()), "{ids:?}");
    assert!(
        requests.iter().all(|one| one.body == event),
        "byte for byte"
    );
    let wrong = "{\"id\":\"two words\",\"body\":{\"event\":\"budget.exceeded\"}}";
    let wrong = wrong.to_owned();
    let (status, problem) = running.post_as(ndjson, "/api/v1/events", wrong, &[]).await;
    assert_eq!(status, 422, "{problem}");
}

/// As many lines as fit.
async fn gives_a_batch_of_nonsense_up_and_answers_others_meanwhile(running: &Running) {
    let nonsense = "1\n".repeat(8 << 20);
    let batch = running.post_as("application/x-ndjson", "/api/v1/events", nonsense, &[]);
    let others = async {
        for _ in 0..20 {
            let began = Instant::now();
            let live = running.client.get(running.at("/livez")).send().await;
            assert!(live.unwrap().status().is_success());
            assert!(
                began.elapsed() < Duration::from_secs(2),
                "{:?}",
                began.elapsed()
            );
        }
    };
    let began = Instant::now();
    let ((status, problem), ()) = tokio::join!(batch, others);
    assert_eq!(status, 422, "{problem}");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 100);
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.ends_with("100 lines are no events, and no more were read"),
        "{detail}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

async fn takes_batches(running: &Running) {
    let receiver = Receiver::ok();
    running.webhook("batches", &receiver.url(), None).await;
    let ndjson = "application/x-ndjson";
    let mut batch = String::new();
    for number in 0..200 {
        let event_type = GATEWAY_EVENT_TYPES[number % 5];
        batch += &format!("{}\r\n\n", json!({"event": event_type, "n": number}));
    }
    let wrong = format!("{batch}{{\"event\":\"made.up\"}}\nnothing\n");
    let (status, problem) = running.post_as(ndjson, "/api/v1/events", wrong, &[]).await;
    assert_eq!(status, 422);
    let parts: Vec<&Value> = problem["errors"].as_array().unwrap().iter().collect();
    assert_eq!(parts.len(), 2, "{problem}");
    assert_eq!(parts[0]["part"], "line 401");
    let (status, answer) = running.post_as(ndjson, "/api/v1/events", batch, &[]).await;
    assert_eq!(status, 202, "{answer}");
    let ids = answer["ids"].as_array().unwrap();
    assert_eq!(ids.len(), 200);
    let requests = receiver.wait_for(200, SOON).await;
    assert_eq!(
        requests.len(),
        200,
        "nothing of the refused batch was taken"
    );
    let numbered =
        |request: &&std::sync::Arc<crate::support::receiver::Received>| request.json()["n"] == 7;
    let seventh = requests.iter().find(numbered).unwrap();
    assert_eq!(seventh.header("webhook-id").as_deref(), ids[7].as_str());
}
