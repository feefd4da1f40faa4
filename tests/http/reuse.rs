//! Connections that are used again: one that the receiver gave up costs nobody an attempt, one that
//! it closes over a request does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prism_webhooks::domain::outcome::FailureKind;
use prism_webhooks::engine::ports::Sender as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::raw::Raw;
use super::{answered, failed, in_time, patient, request, sender};
use crate::support::receiver::Identity;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// How a connection ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Fin,
    Rst,
}

/// Answers the first `answers` requests of each connection; reads one more, says `last`, and ends.
/// With `tls` over TLS. Gives the receiver and how many requests it has read.
async fn receiver(
    answers: usize,
    last: &'static [u8],
    end: End,
    tls: Option<tokio_rustls::TlsAcceptor>,
) -> (Raw, Arc<AtomicUsize>) {
    let read = Arc::new(AtomicUsize::new(0));
    let count = read.clone();
    let raw = Raw::serve(move |stream| {
        let (count, tls) = (count.clone(), tls.clone());
        async move {
            if let End::Rst = end {
                stream.set_zero_linger().unwrap();
            }
            match tls {
                None => talk(stream, answers, last, &count).await,
                Some(tls) => {
                    let stream: tokio_rustls::server::TlsStream<TcpStream> =
                        tls.accept(stream).await.unwrap();
                    talk(stream, answers, last, &count).await;
                }
            }
        }
    })
    .await;
    (raw, read)
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answers: usize,
    last: &[u8],
    count: &AtomicUsize,
) {
    for number in 0..=answers {
        let mut seen = Vec::new();
        // The body of these requests ends so, and nothing else in them does.
        while !seen.ends_with(b"}") {
            if stream.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                return;
            }
        }
        count.fetch_add(1, Ordering::SeqCst);
        let answer = if number < answers { ANSWER } else { last };
        stream.write_all(answer).await.unwrap();
        stream.flush().await.unwrap();
    }
}

#[tokio::test]
async fn a_used_connection_closed_instead_of_an_answer_is_replaced_within_the_attempt() {
    for end in [End::Fin, End::Rst] {
        let (raw, read) = receiver(1, b"", end, None).await;
        let sender = sender(patient());
        for number in 0..2 {
            let reply = in_time(sender.send(request(&raw.url()))).await.unwrap();
            assert_eq!(answered(reply).status, 200, "request {number}, {end:?}");
        }
        let made = (raw.connections(), read.load(Ordering::SeqCst));
        assert_eq!(made, (2, 3), "{end:?}");
    }
}

#[tokio::test]
async fn the_same_over_tls() {
    let identity = Identity::generate();
    let settings = || {
        let authority = reqwest::Certificate::from_pem(identity.pem().as_bytes()).unwrap();
        prism_webhooks::http::SenderSettings {
            extra_authorities: vec![authority],
            ..patient()
        }
    };
    for end in [End::Fin, End::Rst] {
        let (raw, read) = receiver(1, b"", end, Some(identity.acceptor())).await;
        let sender = sender(settings());
        let url = format!("https://{}/hook", raw.address);
        for number in 0..2 {
            let reply = in_time(sender.send(request(&url))).await.unwrap();
            assert_eq!(answered(reply).status, 200, "request {number}, {end:?}");
        }
        let made = (raw.connections(), read.load(Ordering::SeqCst));
        assert_eq!(made, (2, 3), "{end:?}");
    }
}

#[tokio::test]
async fn a_new_connection_closed_instead_of_an_answer_is_a_failure() {
    for end in [End::Fin, End::Rst] {
        let (raw, read) = receiver(0, b"", end, None).await;
        let sender = sender(patient());
        for number in 1..=3 {
            let reply = in_time(sender.send(request(&raw.url()))).await.unwrap();
            failed(reply, FailureKind::Protocol);
            assert_eq!(read.load(Ordering::SeqCst), number, "{end:?}");
        }
    }
}

#[tokio::test]
async fn the_repeat_is_one_and_its_own_failure_counts() {
    // The first connection answers once; none after it answers at all.
    let first = Arc::new(AtomicUsize::new(0));
    let read = Arc::new(AtomicUsize::new(0));
    let (connections, count) = (first.clone(), read.clone());
    let raw = Raw::serve(move |stream| {
        let answers = usize::from(connections.fetch_add(1, Ordering::SeqCst) == 0);
        let count = count.clone();
        async move { talk(stream, answers, b"", &count).await }
    })
    .await;
    let sender = sender(patient());
    answered(in_time(sender.send(request(&raw.url()))).await.unwrap());
    let reply = in_time(sender.send(request(&raw.url()))).await.unwrap();
    failed(reply, FailureKind::Protocol);
    assert_eq!((raw.connections(), read.load(Ordering::SeqCst)), (2, 3));
}

#[tokio::test]
async fn an_answer_that_breaks_off_on_a_used_connection_is_a_failure() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let (raw, read) = receiver(1, half, End::Fin, None).await;
    let sender = sender(patient());
    answered(in_time(sender.send(request(&raw.url()))).await.unwrap());
    let reply = in_time(sender.send(request(&raw.url()))).await.unwrap();
    let broken = answered(reply).broken.unwrap();
    assert_eq!(broken.kind, FailureKind::Protocol);
    assert_eq!(read.load(Ordering::SeqCst), 2, "not sent again");
}

#[tokio::test]
async fn a_repeat_ends_with_the_attempts_time() {
    // After its first answer the receiver closes the connection, and then hangs on the next.
    let connections = AtomicUsize::new(0);
    let raw = Raw::serve(move |stream| {
        let first = connections.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            match first {
                true => talk(stream, 1, b"", &AtomicUsize::new(0)).await,
                false => std::future::pending().await,
            }
        }
    })
    .await;
    let sender = sender(prism_webhooks::http::SenderSettings {
        timeout: std::time::Duration::from_millis(500),
        ..patient()
    });
    answered(in_time(sender.send(request(&raw.url()))).await.unwrap());
    let reply = in_time(sender.send(request(&raw.url()))).await.unwrap();
    assert_eq!(raw.connections(), 2);
    failed(reply, FailureKind::Timeout);
}
