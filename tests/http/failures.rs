//! Attempts without a whole answer: each kind is told apart, with its cause, without secrets.

use prism_webhooks::domain::outcome::{FailureKind, Outcome};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::raw::{Raw, closed};
use super::{answered, failed, outcome, patient, send};

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_a_protocol_failure() {
    let raw = Raw::closing_after(b"").await;
    let reply = send(patient(), &raw.url()).await;
    assert_eq!(reply.remote_addr, Some(raw.address));
    let message = failed(reply, FailureKind::Protocol);
    let expected = "the connection was closed before the answer was complete";
    assert_eq!(message, expected);
}

#[tokio::test]
async fn a_connection_closed_in_the_head_is_a_protocol_failure() {
    let raw = Raw::closing_after(b"HTTP/1.1 200 OK\r\ncontent-le").await;
    failed(send(patient(), &raw.url()).await, FailureKind::Protocol);
}

#[tokio::test]
async fn a_success_cut_off_in_the_body_is_a_protocol_failure_with_what_had_come() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegun\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegun\r\nnonsense\r\n",
    ] {
        let raw = Raw::closing_after(answer).await;
        let reply = send(patient(), &raw.url()).await;
        assert_eq!(outcome(&reply), Outcome::Failed(FailureKind::Protocol));
        let response = answered(reply);
        assert_eq!((response.status, &*response.body), (200, &b"begun"[..]));
    }
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_failure() {
    let version = "it does not begin with HTTP/1.1 or HTTP/1.0; if the receiver speaks TLS on this \
                   port, its URL is https";
    let length = "its Content-Length is no number of bytes, or there are several that differ";
    for (garbage, told) in [
        (&b"220 mail.example.com ESMTP\r\n"[..], version),
        (b"\0\x01\x02\x03\xff\xfe rubbish\r\n\r\n", version),
        // A TLS alert: what was sent was not TLS.
        (b"\x15\x03\x01\x00\x02\x02\x46", version),
        (
            b"HTTP/1.1 200 OK\r\nx-zero: a\0b\r\n\r\n",
            "one of its headers cannot be read",
        ),
        (b"HTTP/1.1 20x OK\r\n\r\n", "its status line cannot be read"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n", length),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
            length,
        ),
    ] {
        let raw = Raw::closing_after(garbage).await;
        let message = failed(send(patient(), &raw.url()).await, FailureKind::Protocol);
        assert_eq!(message, format!("what came back is not HTTP: {told}"));
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_is_told_so() {
    let hasty = Raw::serve(|mut stream| async move {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        let _ = stream.write_all(answer).await;
        closed(&mut stream).await;
    })
    .await;
    // Now and then the request is faster, and the answer is one.
    let reply = send(patient(), &hasty.url()).await;
    if reply.result.is_err() {
        let message = failed(reply, FailureKind::Protocol);
        let told = "the receiver answered before it was asked; let it read the request first";
        assert_eq!(message, told);
    }
}

#[tokio::test]
async fn a_refused_connection_is_a_connect_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let reply = send(patient(), &format!("http://{address}/?token=hunter2")).await;
    assert_eq!(reply.remote_addr, None);
    let message = failed(reply, FailureKind::Connect);
    assert!(
        message.starts_with("no connection: Connection refused"),
        "{message}"
    );
    assert!(!message.contains("hunter2"));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_dns_failure() {
    let url = "https://no-such-host.invalid/?token=hunter2";
    let message = failed(send(patient(), url).await, FailureKind::Dns);
    assert!(
        message.starts_with("no-such-host.invalid does not resolve: "),
        "{message}"
    );
    assert!(!message.contains("hunter2"));
}
