//! A receiver that behaves: what it records and how it answers.

use super::{QUIET, SOON};
use crate::support::receiver::{Answer, Gate, Receiver};
use futures::future::join_all;
use reqwest::{Certificate, Client, redirect::Policy};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A client that follows no redirect.
pub(super) fn client() -> Client {
    builder().build().expect("a client")
}

fn builder() -> reqwest::ClientBuilder {
    // Fails when another test has done it, which is as well.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(Policy::none()).no_proxy()
}

#[tokio::test]
async fn records_a_request_as_it_came_over_the_wire() {
    let receiver = Receiver::ok();
    let mut stream = TcpStream::connect(("127.0.0.1", receiver.port()))
        .await
        .expect("connected");
    let before = Instant::now();
    // In two pieces, with a second request on the heels of the first.
    stream
        .write_all(b"POST /in?a=1 HTTP/1.1\r\nX-B: 1\r\nx-a: 2\r\nX-")
        .await
        .expect("sent");
    stream
        .write_all(b"b: 3\r\nContent-Length: 4\r\n\r\n\x00\r\n\xffGET / HTTP/1.1\r\n\r\n")
        .await
        .expect("sent");
    let requests = receiver.wait_for(2, SOON).await;
    let first = &requests[0];
    assert_eq!(
        (first.method().as_str(), first.path().as_str()),
        ("POST", "/in?a=1")
    );
    let headers = [
        ("X-B", "1"),
        ("x-a", "2"),
        ("X-b", "3"),
        ("Content-Length", "4"),
    ];
    assert_eq!(
        first.headers(),
        headers.map(|(name, value)| (name.into(), value.into()))
    );
    assert_eq!(first.header("x-b").as_deref(), Some("1"));
    assert_eq!(first.header("x-c"), None);
    assert_eq!(first.body.as_ref(), b"\x00\r\n\xff");
    assert!(first.arrived >= before && first.arrived <= requests[1].arrived);
    assert_eq!(first.peer, stream.local_addr().expect("an address"));
    assert_eq!(
        (requests[1].method().as_str(), requests[1].body.len()),
        ("GET", 0)
    );
}

#[tokio::test]
async fn answers_as_scripted() {
    let receiver = Receiver::start(|request| match request.path().as_str() {
        "/busy" => Answer::status(503).header("Retry-After", "7").body("later"),
        "/self" => Answer::redirect_to_itself(request),
        "/json" => Answer::ok().body(request.json()["a"].to_string()),
        _ => Answer::status(204),
    });
    let client = client();
    let post = async |path: &str| {
        let request = client.post(receiver.url() + path).body(r#"{"a":5}"#);
        request.send().await.expect("an answer")
    };
    let busy = post("/busy").await;
    assert_eq!(
        (busy.status().as_u16(), &busy.headers()["retry-after"]),
        (503, &"7".parse().expect("a value"))
    );
    assert_eq!(busy.text().await.expect("a body"), "later");
    let redirect = post("/self").await;
    assert_eq!(
        (
            redirect.status().as_u16(),
            redirect.headers()["location"].as_bytes()
        ),
        (302, &b"/self"[..])
    );
    assert_eq!(post("/json").await.text().await.expect("a body"), "5");
    assert_eq!(post("/none").await.status(), 204);
    assert_eq!(receiver.connections(), 1, "the connection is kept alive");
    assert!(
        receiver
            .requests()
            .iter()
            .all(|request| request.connection == 1)
    );
}

#[tokio::test]
async fn a_delay_comes_before_the_first_byte() {
    let delay = Duration::from_millis(80);
    let receiver = Receiver::start(move |_| Answer::ok().delay(delay));
    let start = Instant::now();
    client()
        .post(receiver.url())
        .send()
        .await
        .expect("an answer");
    assert!(start.elapsed() >= delay);
}

#[tokio::test]
async fn a_gate_holds_answers_back_until_it_is_opened() {
    let gate = Gate::closed();
    let script = gate.clone();
    let receiver = Receiver::start(move |_| Answer::ok().when(&script));
    let client = client();
    let mut all = Box::pin(join_all((0..3).map(|_| client.post(receiver.url()).send())));
    let waited = timeout(SOON, async {
        tokio::select! {
            _ = &mut all => panic!("answered before the gate was opened"),
            requests = receiver.wait_for(3, SOON) => requests.len(),
        }
    });
    assert_eq!(waited.await.expect("in time"), 3);
    assert!(timeout(QUIET, &mut all).await.is_err(), "held back");
    assert_eq!((receiver.open(), receiver.max_open()), (3, 3));
    gate.open();
    assert!(all.await.into_iter().all(|answer| answer.is_ok()));
    client
        .post(receiver.url())
        .send()
        .await
        .expect("an open gate stays open");
    assert_eq!((receiver.count(), receiver.max_open()), (4, 3));
}

#[tokio::test]
async fn counts_requests_by_the_value_of_a_header() {
    let receiver = Receiver::ok();
    let client = client();
    for id in ["a", "b", "a"] {
        let request = client.post(receiver.url()).header("webhook-id", id);
        request.send().await.expect("an answer");
    }
    client.post(receiver.url()).send().await.expect("an answer");
    let counts = receiver.counts_by("Webhook-Id");
    assert_eq!((counts.len(), counts["a"], counts["b"]), (2, 2, 1));
}

#[tokio::test]
#[should_panic(expected = "1 requests; 0 came")]
async fn waiting_for_requests_that_do_not_come_says_how_many_did() {
    Receiver::ok().wait_for(1, Duration::from_millis(30)).await;
}

#[tokio::test]
async fn speaks_tls_to_a_client_that_trusts_its_certificate_only() {
    let receiver = Receiver::start_tls(|_| Answer::ok().body("sealed"));
    let certificate = Certificate::from_pem(receiver.ca_pem().as_bytes()).expect("a certificate");
    let trusting = builder()
        .tls_certs_only([certificate])
        .build()
        .expect("a client");
    let answer = trusting
        .get(receiver.url())
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.text().await.expect("a body"), "sealed");
    client()
        .get(receiver.url())
        .send()
        .await
        .expect_err("an unknown certificate");
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn a_dropped_receiver_closes_its_port_and_connections() {
    let receiver = Receiver::ok();
    let address = ("127.0.0.1", receiver.port());
    let mut open = TcpStream::connect(address).await.expect("connected");
    drop(receiver);
    let mut byte = [0];
    let read = timeout(SOON, open.read(&mut byte)).await.expect("an end");
    assert!(matches!(read, Ok(0) | Err(_)));
    crate::support::deadline::eventually(SOON, "the port is closed", async || {
        TcpStream::connect(address).await.err()
    })
    .await;
}
