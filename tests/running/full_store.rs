//! A store without room: one organization's bytes are nobody else's trouble, and where there is no
//! room at all everything waits, and says why.

use std::time::Duration;

use serde_json::json;

use super::site::{Running, SOON, Site, answer};
use crate::support::deadline::eventually;
use crate::support::namespace::Namespace;
use crate::support::private::PrivateRedis;
use crate::support::receiver::{Answer, Receiver};
use crate::support::servers::amqp_url;

async fn set_memory(redis: &PrivateRedis, limit: &str) {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory").arg(limit);
    set.exec_async(&mut connection).await.unwrap();
}

async fn ready(running: &Running) -> (u16, String) {
    let asked = running.client.get(running.at("/readyz")).send().await;
    let (status, body) = answer(asked.unwrap()).await;
    (status.as_u16(), body.to_string())
}

async fn post(running: &Running, organization: &str, path: &str, body: String) {
    let headers = [("X-Prism-Organization", organization)];
    let posted = running.post_as("application/json", path, body, &headers);
    let (status, answer) = posted.await;
    assert!(status.is_success(), "{status} {answer}");
}

async fn webhook(running: &Running, organization: &str, url: &str) {
    let body = json!({"name": "w", "url": url}).to_string();
    post(running, organization, "/api/v1/webhooks", body).await;
}

fn event(size: usize) -> String {
    json!({"event": "request.completed", "filler": "x".repeat(size)}).to_string()
}

#[tokio::test]
async fn one_organizations_bodies_do_not_fill_redis_for_the_others() {
    let redis = PrivateRedis::start().await;
    set_memory(&redis, "40mb").await;
    let namespace = Namespace::unique("hoard");
    let site = Site::new(&[
        ("PRISM_NAMESPACE", namespace.as_str()),
        ("PRISM_AMQP_URL", amqp_url()),
        ("PRISM_REDIS_URL", redis.url()),
        // The receiver fails, and gets every event all the same.
        ("PRISM_WORKER_BREAKER_AFTER", "0"),
    ]);
    let running = site.start().await;
    let (failing, well) = (Receiver::start(|_| Answer::status(500)), Receiver::ok());
    webhook(&running, "hoarder", &failing.url()).await;
    webhook(&running, "other", &well.url()).await;
    for _ in 0..45 {
        post(&running, "hoarder", "/api/v1/events", event(1_000_000)).await;
    }
    for number in 1..=20 {
        post(&running, "other", "/api/v1/events", event(10)).await;
        well.wait_for(number, Duration::from_secs(2)).await;
    }
    failing.wait_for(45, SOON).await;
    let (status, why) = ready(&running).await;
    assert_eq!(status, 200, "{why}");
    running.stop().await;
}

#[tokio::test]
async fn a_redis_without_room_stops_the_intake_which_says_why_and_goes_on_once_there_is_room() {
    const COMPLAINT: &str = "Redis does not serve; deliveries wait";
    let redis = PrivateRedis::start().await;
    let namespace = Namespace::unique("oom");
    let site = Site::new(&[
        ("PRISM_NAMESPACE", namespace.as_str()),
        ("PRISM_AMQP_URL", amqp_url()),
        ("PRISM_REDIS_URL", redis.url()),
    ]);
    let mut running = site.start().await;
    let api = site.start_with("api").await;
    let receiver = Receiver::ok();
    webhook(&running, "acme", &receiver.url()).await;
    set_memory(&redis, "1").await;
    for one in [&running, &api] {
        eventually(SOON, "it is not ready", async || {
            let (status, why) = ready(one).await;
            (status == 503 && why.contains("maxmemory")).then_some(())
        })
        .await;
    }
    post(&running, "acme", "/api/v1/events", event(10)).await;
    let line = running.process.wait_for_line(COMPLAINT, SOON).await;
    assert!(line.contains("maxmemory"), "{line}");
    // Whoever waits for the record has the one request; nothing more is taken.
    for _ in 0..9 {
        post(&running, "acme", "/api/v1/events", event(10)).await;
    }
    assert_eq!(receiver.count(), 1);
    set_memory(&redis, "0").await;
    receiver.wait_for(10, SOON).await;
    for one in [&running, &api] {
        eventually(SOON, "it is ready", async || {
            (ready(one).await.0 == 200).then_some(())
        })
        .await;
    }
    let list = ["attempts", "list", "--organization", "acme", "--json"];
    eventually(SOON, "all are on record", async || {
        (site.list(&list).len() == 10).then_some(())
    })
    .await;
    let said = running.process.stderr() + &running.process.stdout();
    assert_eq!(said.matches(COMPLAINT).count(), 1, "{said}");
    running.stop().await;
    assert_eq!(receiver.count(), 10, "nothing was sent twice");
}
