//! On RabbitMQ and Redis: one `run`, with workers beside it.

use serde_json::json;

use crate::support::deadline::eventually;
use crate::support::namespace::Namespace;
use crate::support::process::Process;
use crate::support::receiver::Receiver;
use crate::support::servers::{amqp_url, redis_url};

use super::site::{SOON, Site, answer};

fn site(namespace: &Namespace, amqp: &str) -> Site {
    Site::new(&[
        ("PRISM_NAMESPACE", namespace.as_str()),
        ("PRISM_AMQP_URL", amqp),
        ("PRISM_REDIS_URL", redis_url()),
    ])
}

#[tokio::test]
async fn run_and_a_worker_share_the_work() {
    let namespace = Namespace::unique("run");
    let site = site(&namespace, amqp_url());
    let receiver = Receiver::ok();
    let running = site.start().await;
    let mut worker = Process::start(&["worker"], &site.variables());
    worker.wait_for_line("is delivering", SOON).await;
    let id = running
        .webhook("w", &receiver.url(), Some("a-secret"))
        .await;
    let webhooks = site.list(&["webhooks", "list", "--json"]);
    assert_eq!(webhooks[0]["id"], id);
    for number in 0..50 {
        running
            .publish(&json!({"event": "request.completed", "n": number}))
            .await;
    }
    receiver.wait_for(50, SOON).await;
    let recorded = async || {
        let attempts = site.list(&["attempts", "list", "--json"]);
        (attempts.len() == 50).then_some(())
    };
    eventually(SOON, "50 attempts on record", recorded).await;
    running.stop().await;
}

#[tokio::test]
async fn while_rabbitmq_is_away_it_is_not_ready_and_says_why() {
    let namespace = Namespace::unique("run-away");
    let site = site(&namespace, "amqp://guest:hidden@127.0.0.1:1/%2f");
    let mut process = Process::start(&["run"], &site.variables());
    let line = process.wait_for_line("look at http://", SOON).await;
    let base = line.split("look at ").nth(1).unwrap().trim().to_owned();
    let asked = site.client.get(format!("{base}readyz")).send();
    let (status, problem) = answer(asked.await.unwrap()).await;
    assert_eq!(status, 503);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("127.0.0.1:1"), "{detail}");
    assert!(!detail.contains("hidden"), "{detail}");
    let live = site.client.get(format!("{base}livez")).send();
    assert_eq!(live.await.unwrap().status(), 200);
    process.signal(crate::support::process::Signal::TERM);
    assert!(process.wait_exit(SOON).await.success());
}
