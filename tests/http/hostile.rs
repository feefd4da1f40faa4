//! Receivers that hang, drip, flood or lie: time and memory stay bounded, and the connection goes.

use std::time::Duration;

use prism_webhooks::domain::outcome::{FailureKind, Outcome};
use prism_webhooks::http::SenderSettings;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::raw::{Raw, closed, read_request, write_for_ever};
use super::{answered, failed, in_time, outcome, patient, send, settings};

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// Buffers of the two sockets come on top of what the sender reads of its own accord.
const SOCKET_BUFFERS: u64 = 32 * 1024 * 1024;

/// Writes `head` to each request and tells when the connection is closed after it.
async fn silent_after(head: &'static [u8]) -> (Raw, mpsc::UnboundedReceiver<()>) {
    let (closings, seen) = mpsc::unbounded_channel();
    let raw = Raw::serve(move |mut stream| {
        let closings = closings.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            stream.write_all(head).await.unwrap();
            closed(&mut stream).await;
            closings.send(()).unwrap();
        }
    })
    .await;
    (raw, seen)
}

/// Writes `head`, then `piece` without end, and tells how much it got rid of.
async fn flooding(
    head: &'static [u8],
    piece: &'static [u8],
) -> (Raw, mpsc::UnboundedReceiver<u64>) {
    let (amounts, seen) = mpsc::unbounded_channel();
    let raw = Raw::serve(move |mut stream: TcpStream| {
        let amounts = amounts.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            stream.write_all(head).await.unwrap();
            amounts
                .send(write_for_ever(&mut stream, piece).await)
                .unwrap();
        }
    })
    .await;
    (raw, seen)
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_a_timeout_and_loses_the_connection() {
    let (raw, mut closings) = silent_after(b"").await;
    let reply = send(settings(), &raw.url()).await;
    assert!(reply.duration >= Duration::from_millis(300));
    let message = failed(reply, FailureKind::Timeout);
    assert_eq!(message, "no answer came within 300ms");
    in_time(closings.recv()).await.unwrap();
}

#[tokio::test]
async fn a_success_that_hangs_in_the_body_is_a_timeout_with_what_had_come() {
    let (raw, mut closings) =
        silent_after(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun").await;
    let reply = send(settings(), &raw.url()).await;
    assert_eq!(outcome(&reply), Outcome::Failed(FailureKind::Timeout));
    assert_eq!(reply.remote_addr, Some(raw.address));
    let response = answered(reply);
    assert_eq!((response.status, &*response.body), (200, &b"begun"[..]));
    let broken = response.broken.unwrap();
    assert_eq!(broken.message, "the answer's body did not end within 300ms");
    in_time(closings.recv()).await.unwrap();
}

#[tokio::test]
async fn a_body_that_drips_does_not_stretch_the_attempt() {
    let raw = Raw::serve(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(CHUNKED).await.unwrap();
        let mut second = tokio::time::interval(Duration::from_secs(1));
        loop {
            second.tick().await;
            if stream.write_all(b"1\r\nx\r\n").await.is_err() {
                break;
            }
        }
    })
    .await;
    let reply = send(settings(), &raw.url()).await;
    assert!(
        reply.duration < Duration::from_secs(2),
        "{:?}",
        reply.duration
    );
    assert_eq!(outcome(&reply), Outcome::Failed(FailureKind::Timeout));
}

#[tokio::test]
async fn a_head_that_drips_does_not_stretch_the_attempt() {
    let raw = Raw::serve(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        let mut moment = tokio::time::interval(Duration::from_millis(20));
        for byte in b"HTTP/1.1 200 OK\r\nx: "
            .iter()
            .chain(std::iter::repeat(&b'y'))
        {
            moment.tick().await;
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    })
    .await;
    let reply = send(settings(), &raw.url()).await;
    assert!(
        reply.duration < Duration::from_secs(2),
        "{:?}",
        reply.duration
    );
    failed(reply, FailureKind::Timeout);
}

#[tokio::test]
async fn ten_declared_gigabytes_are_read_to_the_limit_only() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n";
    let (raw, mut amounts) = flooding(head, &[b'x'; 65_536]).await;
    let reply = send(patient(), &raw.url()).await;
    assert_eq!(outcome(&reply), Outcome::Delivered);
    let response = answered(reply);
    assert_eq!((response.body.len(), response.truncated), (1024, true));
    let amount = in_time(amounts.recv()).await.unwrap();
    assert!(amount < SOCKET_BUFFERS, "{amount}");
}

#[tokio::test]
async fn a_body_without_end_is_read_to_the_limit_only() {
    const PIECE: &[u8] = b"10\r\n0123456789abcdef\r\n10\r\n0123456789abcdef\r\n";
    let (raw, mut amounts) = flooding(CHUNKED, PIECE).await;
    let response = answered(send(patient(), &raw.url()).await);
    assert_eq!((response.body.len(), response.truncated), (1024, true));
    assert_eq!(response.broken, None);
    let amount = in_time(amounts.recv()).await.unwrap();
    assert!(amount < SOCKET_BUFFERS, "{amount}");
}

#[tokio::test]
async fn nothing_declared_is_set_aside_before_it_comes() {
    let (raw, mut closings) =
        silent_after(b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551614\r\n\r\nx").await;
    let reply = send(settings(), &raw.url()).await;
    match reply.result {
        Ok(response) => assert_eq!(response.body, b"x"),
        Err(failure) => assert_eq!(failure.kind, FailureKind::Protocol),
    }
    in_time(closings.recv()).await.unwrap();
}

#[tokio::test]
async fn headers_without_end_are_cut_off_by_number() {
    let (raw, mut amounts) = flooding(b"HTTP/1.1 200 OK\r\n", b"x-more: yes\r\n").await;
    let message = failed(send(patient(), &raw.url()).await, FailureKind::Protocol);
    assert!(
        message.starts_with("the answer's head is too large; at most 128 headers"),
        "{message}"
    );
    let amount = in_time(amounts.recv()).await.unwrap();
    assert!(amount < SOCKET_BUFFERS, "{amount}");
}

#[tokio::test]
async fn one_header_without_end_is_cut_off_by_size() {
    let (raw, mut amounts) = flooding(b"HTTP/1.1 200 OK\r\nx-long: ", &[b'y'; 4096]).await;
    let message = failed(send(patient(), &raw.url()).await, FailureKind::Protocol);
    assert!(message.contains("too large"), "{message}");
    let amount = in_time(amounts.recv()).await.unwrap();
    assert!(amount < SOCKET_BUFFERS, "{amount}");
}

#[tokio::test]
async fn interim_answers_without_end_are_cut_off_by_time() {
    let (raw, mut amounts) = flooding(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n").await;
    let reply = send(settings(), &raw.url()).await;
    assert!(
        reply.duration < Duration::from_secs(2),
        "{:?}",
        reply.duration
    );
    failed(reply, FailureKind::Timeout);
    in_time(amounts.recv()).await.unwrap();
}

#[tokio::test]
async fn trailers_without_end_do_not_stretch_the_attempt() {
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n";
    let (raw, mut amounts) = flooding(head, b"x-more: yes\r\n").await;
    let reply = send(settings(), &raw.url()).await;
    assert!(!outcome(&reply).is_delivered());
    assert_eq!(answered(reply).body, b"ok");
    in_time(amounts.recv()).await.unwrap();
}

#[tokio::test]
async fn a_limit_of_zero_reads_no_further_than_the_first_bytes() {
    let (raw, mut amounts) = flooding(CHUNKED, b"4\r\nabcd\r\n").await;
    let none = SenderSettings {
        read_limit: 0,
        keep_limit: 0,
        ..patient()
    };
    let response = answered(send(none, &raw.url()).await);
    assert_eq!((response.body.len(), response.truncated), (0, true));
    in_time(amounts.recv()).await.unwrap();
}
