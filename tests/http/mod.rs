//! The sender against receivers of every kind, and the receiver that developers listen with.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail the test"
)]

mod answers;
mod egress;
mod failures;
mod hostile;
mod listen;
mod oddities;
mod raw;
mod receiver;
mod reuse;
mod tls;

use std::future::Future;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use prism_webhooks::domain::egress::Egress;
use prism_webhooks::domain::outcome::{FailureKind, Outcome, Reply, Response, classify};
use prism_webhooks::engine::ports::{Request, Sender as _};
use prism_webhooks::http::{HttpSender, SenderSettings};

/// Far beyond what anything here takes: what is not over by then hangs.
const DEADLINE: Duration = Duration::from_secs(20);

/// SenderSettings that permit loopback, with times as short as tests want them.
fn settings() -> SenderSettings {
    SenderSettings {
        connect_timeout: Duration::from_millis(300),
        timeout: Duration::from_millis(300),
        egress: loopback(),
        ..SenderSettings::default()
    }
}

/// For what must not time out, however busy the machine is.
fn patient() -> SenderSettings {
    SenderSettings {
        connect_timeout: DEADLINE,
        timeout: DEADLINE,
        ..settings()
    }
}

fn loopback() -> Egress {
    Egress {
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        deny: Vec::new(),
    }
}

fn sender(settings: SenderSettings) -> HttpSender {
    HttpSender::new(settings).unwrap()
}

fn request(url: &str) -> Request {
    let mut headers = HeaderMap::new();
    let json = HeaderValue::from_static("application/json");
    headers.insert("content-type", json);
    Request {
        url: url.parse().unwrap(),
        headers,
        body: Bytes::from_static(b"{\"event\":\"a.b\"}"),
    }
}

async fn send(settings: SenderSettings, url: &str) -> Reply {
    in_time(sender(settings).send(request(url))).await.unwrap()
}

/// Fails the test instead of hanging it.
async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("in time")
}

fn outcome(reply: &Reply) -> Outcome {
    classify(reply, jiff::Timestamp::UNIX_EPOCH)
}

#[track_caller]
fn answered(reply: Reply) -> Response {
    reply.result.unwrap()
}

/// The message of a failure that must be of this kind.
#[track_caller]
fn failed(reply: Reply, kind: FailureKind) -> String {
    let failure = reply.result.unwrap_err();
    assert_eq!(failure.kind, kind, "{failure}");
    failure.message
}
