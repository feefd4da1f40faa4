//! A webhook with a rate limit gets no more than that, all workers together, and holds nobody up.
//! Every mixture of them, in virtual time, is `simulation`'s.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::modes::on_servers;
use super::site::{Running, SOON};
use crate::support::receiver::{Received, Receiver};

const SECOND: Duration = Duration::from_secs(1);

super::modes::in_either_mode! { &[] =>
    a_rate_limit_is_kept_and_holds_up_no_other_webhook,
    a_rate_limit_is_set_changed_and_lifted,
}

pub async fn limited(running: &Running, url: &str, limit: &str) -> String {
    let body = json!({"name": "limited", "url": url, "rate_limit": limit});
    let (status, answer) = running.post("/api/v1/webhooks", &body).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer["rate_limit"], limit);
    answer["id"].as_str().unwrap().to_owned()
}

pub async fn publish(running: &Running, events: usize) {
    for number in 0..events {
        running
            .publish(&json!({"event": "request.completed", "n": number}))
            .await;
    }
}

/// The most requests that came within a second.
fn most_in_a_second(requests: &[Arc<Received>]) -> usize {
    let mut arrived: Vec<Instant> = requests.iter().map(|one| one.arrived).collect();
    arrived.sort();
    let within = |start: &Instant| {
        let end = *start + SECOND;
        arrived
            .iter()
            .filter(|at| (start..&end).contains(at))
            .count()
    };
    arrived.iter().map(within).max().unwrap()
}

async fn a_rate_limit_is_kept_and_holds_up_no_other_webhook(running: &Running) {
    let (slow, free) = (Receiver::ok(), Receiver::ok());
    limited(running, &slow.url(), "20/s").await;
    running.webhook("free", &free.url(), None).await;
    let began = Instant::now();
    publish(running, 60).await;
    free.wait_for(60, SOON).await;
    let took = began.elapsed();
    let requests = slow.wait_for(60, SOON).await;
    let apart = requests[59].arrived - requests[0].arrived;
    assert!(apart > 2 * SECOND, "{apart:?} at 20/s");
    assert!(took < apart, "the other had all of its events in {took:?}");
    let most = most_in_a_second(&requests);
    assert!(most <= 25, "{most} in a second");
}

pub async fn change(running: &Running, id: &str, limit: Value) -> (reqwest::StatusCode, Value) {
    let body = json!({"rate_limit": limit}).to_string();
    let url = running.at(&format!("/api/v1/webhooks/{id}"));
    let request = running.client.patch(url).body(body);
    let request = request.header("content-type", "application/json");
    super::site::answer(request.send().await.unwrap()).await
}

async fn a_rate_limit_is_set_changed_and_lifted(running: &Running) {
    let receiver = Receiver::ok();
    let id = limited(running, &receiver.url(), "1/min").await;
    let (status, problem) = change(running, &id, json!("often")).await;
    assert_eq!(status, 422, "{problem}");
    assert_eq!(problem["errors"][0]["part"], "rate_limit", "{problem}");
    let detail = problem["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("write 10/s"), "{detail}");
    publish(running, 5).await;
    receiver.wait_for(1, SOON).await;
    let (status, changed) = change(running, &id, Value::Null).await;
    assert_eq!(
        (status.as_u16(), &changed["rate_limit"]),
        (200, &Value::Null)
    );
    // A worker knows of it within a second; what it put off before comes back when it was told to.
    let more = async || {
        publish(running, 1).await;
        (receiver.count() >= 6).then_some(())
    };
    crate::support::deadline::eventually(SOON, "no limit any more", more).await;
}

#[tokio::test]
async fn two_workers_share_a_rate_limit() {
    let (_kept, site, one) = on_servers(&[]).await;
    let other = site.start().await;
    let receiver = Receiver::ok();
    limited(&one, &receiver.url(), "20/s").await;
    publish(&one, 100).await;
    let requests = receiver.wait_for(100, SOON).await;
    let apart = requests[99].arrived - requests[0].arrived;
    let ideal = 5 * SECOND;
    assert!(apart > ideal.mul_f64(0.9), "{apart:?} for 100 at 20/s");
    assert!(apart < ideal.mul_f64(1.6), "{apart:?} for 100 at 20/s");
    let most = most_in_a_second(&requests);
    assert!(most <= 26, "{most} in a second");
    for running in [one, other] {
        let report = running.stop().await;
        let delivered = report.split(" delivered").next().unwrap();
        let delivered: u32 = delivered.rsplit(' ').next().unwrap().parse().unwrap();
        assert!(delivered >= 20, "{report}");
    }
}
