//! Few file handles: what others hold of them costs no delivery an attempt, in either mode.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::site::{Running, SOON, Site};
use crate::support::deadline::eventually;
use crate::support::namespace::Namespace;
use crate::support::receiver::Receiver;
use crate::support::servers::{amqp_url, redis_url};

/// Fewer than the endpoints, and than the idle connections, of these tests.
const FILES: u64 = 200;

fn embedded(directory: &tempfile::TempDir) -> Site {
    Site::new(&[
        ("PRISM_DATA_DIR", directory.path().to_str().unwrap()),
        ("PRISM_LOGGING_LEVEL", "info"),
    ])
}

fn on_servers(namespace: &Namespace) -> Site {
    Site::new(&[
        ("PRISM_NAMESPACE", namespace.as_str()),
        ("PRISM_AMQP_URL", amqp_url()),
        ("PRISM_REDIS_URL", redis_url()),
        ("PRISM_LOGGING_LEVEL", "info"),
    ])
}

/// Checks that there was no attempt but those that delivered.
async fn delivered_without_a_failure(site: &Site, running: Running, count: usize) {
    let listing = ["attempts", "list", "--json", "--limit", "1000"];
    let outcomes = eventually(SOON, "every delivery is on record", async || {
        let attempts = site.list(&listing);
        (attempts.len() >= count).then_some(attempts)
    })
    .await;
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|a| a["outcome"] != "delivered")
        .collect();
    assert!(
        failed.is_empty(),
        "{} failed, as {}",
        failed.len(),
        failed[0]
    );
    assert_eq!(outcomes.len(), count);
    running.stop().await;
}

async fn idle_connections_to_the_port_keep_no_handle_from_deliveries(site: Site) {
    let running = site.start_limited(FILES).await;
    let mut receivers = Vec::new();
    for number in 0..20 {
        let receiver = Receiver::ok();
        running
            .webhook(&format!("w{number}"), &receiver.url(), None)
            .await;
        receivers.push(receiver);
    }
    let port: SocketAddr = running.base.trim_start_matches("http://").parse().unwrap();
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(TcpStream::connect(port).await.unwrap());
    }
    for _ in 0..5 {
        running
            .publish(&json!({"event": "request.completed"}))
            .await;
    }
    for receiver in &receivers {
        receiver.wait_for(5, SOON).await;
    }
    delivered_without_a_failure(&site, running, 100).await;
    drop(idle);
}

/// As many healthy endpoints, each on an address of its own.
struct Endpoints {
    urls: Vec<String>,
    requests: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Endpoints {
    async fn start(count: u8) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let (mut urls, mut tasks) = (Vec::new(), JoinSet::new());
        for number in 1..=count {
            let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 1, number), 0)).await;
            let listener = listener.unwrap();
            urls.push(format!("http://{}/", listener.local_addr().unwrap()));
            let requests = requests.clone();
            tasks.spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(answer_all(stream, requests.clone()));
                }
            });
        }
        Self {
            urls,
            requests,
            _tasks: tasks,
        }
    }
}

async fn answer_all(mut stream: TcpStream, requests: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 16 * 1024];
    // A request of these tests comes in one piece, or its body in a second one.
    let mut seen = Vec::new();
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        seen.extend_from_slice(&buffer[..read]);
        if !seen.ends_with(b"}") {
            continue;
        }
        seen.clear();
        requests.fetch_add(1, Ordering::SeqCst);
        if stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn many_endpoints_need_no_more_handles_than_there_are(site: Site) {
    let endpoints = Endpoints::start(221).await;
    let running = site.start_limited(FILES).await;
    for (number, url) in endpoints.urls.iter().enumerate() {
        running.webhook(&format!("w{number}"), url, None).await;
    }
    for _ in 0..3 {
        running
            .publish(&json!({"event": "request.completed"}))
            .await;
    }
    eventually(SOON, "every endpoint has every event", async || {
        (endpoints.requests.load(Ordering::SeqCst) >= 663).then_some(())
    })
    .await;
    delivered_without_a_failure(&site, running, 663).await;
}

#[tokio::test]
async fn embedded_idle_connections_to_the_port_keep_no_handle_from_deliveries() {
    let directory = tempfile::tempdir().unwrap();
    idle_connections_to_the_port_keep_no_handle_from_deliveries(embedded(&directory)).await;
}

#[tokio::test]
async fn on_servers_idle_connections_to_the_port_keep_no_handle_from_deliveries_either() {
    let namespace = Namespace::unique("handles");
    idle_connections_to_the_port_keep_no_handle_from_deliveries(on_servers(&namespace)).await;
}

#[tokio::test]
async fn embedded_many_endpoints_need_no_more_handles_than_there_are() {
    let directory = tempfile::tempdir().unwrap();
    many_endpoints_need_no_more_handles_than_there_are(embedded(&directory)).await;
}

#[tokio::test]
async fn on_servers_many_endpoints_need_no_more_handles_than_there_are_either() {
    let namespace = Namespace::unique("handles");
    many_endpoints_need_no_more_handles_than_there_are(on_servers(&namespace)).await;
}
