//! Whole answers: what is recorded of them, and that connections serve again.

use std::time::Duration;

use prism_webhooks::domain::outcome::Outcome;
use prism_webhooks::engine::ports::Sender as _;
use prism_webhooks::http::SenderSettings;
use tokio::sync::mpsc;

use super::raw::{Raw, read_request};
use super::{answered, in_time, outcome, patient, request, send, sender};

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn the_request_goes_out_as_given_and_nothing_is_added_that_matters() {
    let (requests, mut seen) = mpsc::unbounded_channel();
    let raw = Raw::serve(move |mut stream| {
        let requests = requests.clone();
        async move {
            requests
                .send(read_request(&mut stream).await.unwrap())
                .unwrap();
        }
    })
    .await;
    send(patient(), &format!("{}?key=1", raw.url())).await;
    let seen = in_time(seen.recv()).await.unwrap();
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().collect();
    lines.sort_unstable();
    let host = format!("host: {}", raw.address);
    assert_eq!(
        lines,
        [
            "POST /hook?key=1 HTTP/1.1",
            "accept: */*",
            "content-length: 15",
            "content-type: application/json",
            &host,
        ]
    );
    assert_eq!(body, "{\"event\":\"a.b\"}");
}

#[tokio::test]
async fn every_class_of_status_is_reported_as_it_came() {
    for (status, expected) in [
        ("200 OK", Outcome::Delivered),
        ("204 No Content", Outcome::Delivered),
        ("404 Not Found", Outcome::Rejected),
        ("410 Gone", Outcome::Gone),
        ("500 Internal Server Error", Outcome::Rejected),
        ("599 Whatever", Outcome::Rejected),
    ] {
        let body = if status.starts_with("204") {
            ""
        } else {
            "so it is"
        };
        let raw = Raw::answering(answer(status, "", body)).await;
        let reply = send(patient(), &raw.url()).await;
        assert_eq!(outcome(&reply), expected, "{status}");
        assert_eq!(reply.remote_addr, Some(raw.address));
        assert!(reply.duration > Duration::ZERO);
        let response = answered(reply);
        assert_eq!(response.body, body.as_bytes());
        assert!(!response.truncated);
        assert_eq!(response.broken, None);
    }
}

#[tokio::test]
async fn redirects_are_not_followed_not_even_in_a_circle() {
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        let raw = Raw::answering(answer(status, "location: /hook\r\n", "")).await;
        let reply = send(patient(), &raw.url()).await;
        assert_eq!(outcome(&reply), Outcome::Redirected, "{status}");
        assert_eq!(raw.connections(), 1);
    }
    let elsewhere = Raw::answering(answer("200 OK", "", "")).await;
    let location = format!("location: {}\r\n", elsewhere.url());
    let raw = Raw::answering(answer("307 Temporary", &location, "")).await;
    send(patient(), &raw.url()).await;
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn retry_after_is_passed_on_unless_it_cannot_be_one() {
    for (header, expected) in [
        ("120".to_owned(), Some("120")),
        (
            "Wed, 21 Oct 2015 07:28:00 GMT".to_owned(),
            Some("Wed, 21 Oct 2015 07:28:00 GMT"),
        ),
        ("9".repeat(10_000), None),
    ] {
        let raw = Raw::answering(answer(
            "503 Busy",
            &format!("retry-after: {header}\r\n"),
            "",
        ))
        .await;
        let response = answered(send(patient(), &raw.url()).await);
        assert_eq!(response.retry_after.as_deref(), expected);
    }
}

#[tokio::test]
async fn the_beginning_of_a_body_is_kept_and_the_rest_noted() {
    let keep = |keep_limit| SenderSettings {
        keep_limit,
        ..patient()
    };
    let raw = Raw::answering(answer("200 OK", "", "0123456789")).await;
    for (limit, kept, truncated) in [
        (4, "0123", true),
        (9, "012345678", true),
        (10, "0123456789", false),
        (11, "0123456789", false),
        (0, "", true),
    ] {
        let response = answered(send(keep(limit), &raw.url()).await);
        assert_eq!(response.body, kept.as_bytes());
        assert_eq!(response.truncated, truncated, "{limit}");
        assert_eq!(response.broken, None);
    }
}

#[tokio::test]
async fn a_chunked_body_is_put_together() {
    let chunks = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let raw = Raw::answering(format!("{head}{chunks}")).await;
    let response = answered(send(patient(), &raw.url()).await);
    assert_eq!(response.body, b"hello world");
    assert!(!response.truncated);
}

#[tokio::test]
async fn requests_one_after_the_other_share_a_connection() {
    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_owned();
    let limit = patient().read_limit;
    for answer in [
        answer("200 OK", "", ""),
        answer("500 Oh", "", "no"),
        answer("200 OK", "", &"x".repeat(20_000)),
        answer("200 OK", "", &"x".repeat(limit)),
        chunked,
    ] {
        let raw = Raw::answering(answer).await;
        let sender = sender(patient());
        for _ in 0..20 {
            let reply = in_time(sender.send(request(&raw.url()))).await.unwrap();
            assert_eq!(answered(reply).broken, None);
        }
        assert_eq!(raw.connections(), 1);
    }
}

#[tokio::test]
async fn a_connection_with_an_unread_rest_is_not_used_again() {
    let raw = Raw::answering(answer("200 OK", "", &"x".repeat(1_000_000))).await;
    let sender = sender(patient());
    for _ in 0..3 {
        let response = answered(in_time(sender.send(request(&raw.url()))).await.unwrap());
        assert_eq!((response.body.len(), response.truncated), (1024, true));
    }
    assert_eq!(raw.connections(), 3);
}

#[tokio::test]
async fn a_success_is_one_though_its_headers_are_written_oddly() {
    for header in [
        &b"x-folded: one\r\n  two\r\n"[..],
        b"x-spaced : value\r\n",
        b"x-latin: caf\xe9\r\n",
    ] {
        let answer = [
            &b"HTTP/1.1 200 OK\r\n"[..],
            header,
            b"content-length: 0\r\n\r\n",
        ];
        let raw = Raw::answering(answer.concat()).await;
        let response = answered(send(patient(), &raw.url()).await);
        assert_eq!(response.status, 200, "{}", String::from_utf8_lossy(header));
        assert!(response.broken.is_none());
    }
}
