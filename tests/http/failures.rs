//! Attempts without a whole answer: each kind is told apart, with its cause, without secrets.

use prism_webhooks::domain::outcome::{FailureKind, Outcome};
use tokio::net::TcpListener;

use super::raw::Raw;
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
    for garbage in [
        &b"220 mail.example.com ESMTP\r\n"[..],
        b"\0\x01\x02\x03\xff\xfe rubbish\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-zero: a\0b\r\n\r\n",
        b"HTTP/1.1 20x OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
    ] {
        let raw = Raw::closing_after(garbage).await;
        let message = failed(send(patient(), &raw.url()).await, FailureKind::Protocol);
        assert!(
            message.starts_with("what came back is not HTTP"),
            "{message}"
        );
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
