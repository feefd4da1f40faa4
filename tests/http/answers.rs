//! Whole answers: what is recorded of them, and that connections serve again.

use std::time::Duration;

use ::http::HeaderValue;
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
    let mut request = request(&format!("{}?key=1", raw.url()));
    request
        .headers
        .insert("x-own-header", HeaderValue::from_static("1"));
    in_time(sender(patient()).send(request)).await.unwrap();
    let seen = in_time(seen.recv()).await.unwrap();
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<_> = head.lines().collect();
    lines.sort_unstable();
    let host = format!("Host: {}", raw.address);
    assert_eq!(
        lines,
        [
            "Accept: */*",
            "Content-Length: 15",
            "Content-Type: application/json",
            &host,
            "POST /hook?key=1 HTTP/1.1",
            "X-Own-Header: 1",
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
async fn every_retry_after_is_passed_on_as_far_as_it_can_say_anything() {
    let date = "Wed, 21 Oct 2015 07:28:00 GMT";
    let long = "9".repeat(10_000);
    for (values, expected) in [
        (vec!["120"], vec!["120"]),
        (vec![date, "600.5"], vec![date, "600.5"]),
        (vec![&long], vec![&long[..64]]),
        (vec!["caf\u{e9}"], vec![]),
        (vec![], vec![]),
    ] {
        let headers = values
            .iter()
            .map(|value| format!("retry-after: {value}\r\n"));
        let raw = Raw::answering(answer("503 Busy", &headers.collect::<String>(), "")).await;
        let response = answered(send(patient(), &raw.url()).await);
        assert_eq!(response.retry_after, expected, "{values:?}");
    }
}

#[tokio::test]
async fn where_a_redirect_leads_is_kept_without_its_query() {
    let long = format!("/{}", "x".repeat(10_000));
    for (status, location, expected) in [
        (
            "301 Moved",
            "https://example.com/new",
            Some("https://example.com/new"),
        ),
        ("308 Moved", "/new?token=secret#there", Some("/new?…")),
        ("302 Found", "caf\u{e9}", Some("caf\u{e9}")),
        ("307 Found", &long, Some(&long[..1024])),
        ("201 Created", "/made", None),
    ] {
        let header = format!("location: {location}\r\n");
        let raw = Raw::answering(answer(status, &header, "")).await;
        let response = answered(send(patient(), &raw.url()).await);
        assert_eq!(response.location.as_deref(), expected, "{status}");
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
