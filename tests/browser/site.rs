//! `run`s for the tests of the page: embedded and on servers.

use serde_json::json;
use tempfile::TempDir;

use crate::running::site::{Running, Site};
use crate::support::namespace::Namespace;
use crate::support::servers::{amqp_url, redis_url};

/// What has to outlive a `run`, and goes with the test.
pub enum Kept {
    Directory { _directory: TempDir },
    Namespace { _namespace: Namespace },
}

/// An embedded one, with these settings beside the usual ones.
pub async fn embedded(settings: &[(&str, &str)]) -> (Kept, Running) {
    let directory = tempfile::tempdir().unwrap();
    let data = ("PRISM_DATA_DIR", directory.path().to_str().unwrap());
    let running = Site::new(&[&[data], settings].concat()).start().await;
    let kept = Kept::Directory {
        _directory: directory,
    };
    (kept, running)
}

/// One on RabbitMQ and Redis, with these settings beside the usual ones.
pub async fn on_servers(hint: &str, settings: &[(&str, &str)]) -> (Kept, Running) {
    let namespace = Namespace::unique(hint);
    let servers = [
        ("PRISM_NAMESPACE", namespace.as_str()),
        ("PRISM_AMQP_URL", amqp_url()),
        ("PRISM_REDIS_URL", redis_url()),
    ];
    let running = Site::new(&[&servers, settings].concat()).start().await;
    let kept = Kept::Namespace {
        _namespace: namespace,
    };
    (kept, running)
}

/// Publishes an event that every webhook gets.
pub async fn publish(running: &Running) {
    running
        .publish(&json!({"event": "request.completed"}))
        .await;
}
