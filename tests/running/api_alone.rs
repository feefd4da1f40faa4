//! `api`: it takes events, and leaves them to others to deliver.

use serde_json::json;

use super::site::{SOON, Site};
use crate::support::namespace::Namespace;
use crate::support::process::{Process, Signal};
use crate::support::receiver::Receiver;
use crate::support::servers::{amqp_url, redis_url};

#[tokio::test]
async fn api_takes_events_that_a_worker_delivers() {
    let namespace = Namespace::unique("api-alone");
    let site = Site::new(&[
        ("PRISM_NAMESPACE", namespace.as_str()),
        ("PRISM_AMQP_URL", amqp_url()),
        ("PRISM_REDIS_URL", redis_url()),
    ]);
    let receiver = Receiver::ok();
    let mut worker = Process::start(&["worker"], &site.variables());
    worker.wait_for_line("is delivering", SOON).await;
    let api = site.start_with("api").await;
    api.webhook("w", &receiver.url(), None).await;
    api.publish(&json!({"event": "request.completed"})).await;
    receiver.wait_for(1, SOON).await;
    assert_eq!(api.stop().await, "stopped: the API");
    worker.signal(Signal::TERM);
    assert!(worker.wait_exit(SOON).await.success());
}

#[tokio::test]
async fn embedded_api_keeps_events_for_a_run_to_deliver() {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::embedded(directory.path());
    let receiver = Receiver::ok();
    let api = site.start_with("api").await;
    api.webhook("w", &receiver.url(), None).await;
    api.publish(&json!({"event": "request.completed"})).await;
    // Commands beside it have the data as well.
    assert_eq!(site.list(&["webhooks", "list", "--json"]).len(), 1);
    api.stop().await;
    assert_eq!(receiver.count(), 0, "it delivers nothing");
    let running = site.start().await;
    receiver.wait_for(1, SOON).await;
    running.stop().await;
}
