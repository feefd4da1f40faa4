//! What an attempt came to.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::retry_after;

/// What came of one HTTP request, as the sender saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The answer, or why there is none.
    pub result: Result<Response, SendFailure>,
    /// From the first byte sent, connecting included, to the last byte read.
    pub duration: Duration,
    /// The address that the connection was made to, if one was made.
    pub remote_addr: Option<SocketAddr>,
}

/// The receiver's answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// The HTTP status code.
    pub status: u16,
    /// The `Retry-After` headers as they came.
    pub retry_after: Vec<String>,
    /// Of a redirect, its `Location` as it came but for the query, which may repeat the endpoint's.
    pub location: Option<String>,
    /// The beginning of the body, as much as is kept on record.
    pub body: Vec<u8>,
    /// Whether the body went on.
    pub truncated: bool,
    /// Why the body could not be read to its end or to the limit, if so.
    pub broken: Option<SendFailure>,
}

/// Why a request got no whole answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SendFailure {
    /// The kind of failure.
    pub kind: FailureKind,
    /// The cause, for people: never holds a secret.
    pub message: String,
}

/// The kinds of failure that leave an attempt without a whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Connecting or the whole attempt took too long.
    Timeout,
    /// The name did not resolve.
    Dns,
    /// Every address of the endpoint, or the URL itself, is one that may not be posted to.
    AddressRefused,
    /// No connection could be made.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The connection broke, or what came over it was not HTTP.
    Protocol,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// 2xx, answered whole.
    Delivered,
    /// 3xx: redirects are not followed.
    Redirected,
    /// 410: the receiver wants no more.
    Gone,
    /// 429 or 503: the receiver asks for patience, perhaps for how long.
    Throttled {
        /// The wait it asked for.
        wait: Option<Duration>,
    },
    /// Any other status.
    Rejected,
    /// No whole answer.
    Failed(FailureKind),
}

impl Outcome {
    /// Every name that there is, the good one first.
    pub const NAMES: [&str; 11] = [
        "delivered",
        "redirected",
        "gone",
        "throttled",
        "rejected",
        "timeout",
        "dns_failed",
        "address_refused",
        "connect_failed",
        "tls_failed",
        "protocol_error",
    ];

    /// The stable name in the log, the records and the commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Redirected => "redirected",
            Self::Gone => "gone",
            Self::Throttled { .. } => "throttled",
            Self::Rejected => "rejected",
            Self::Failed(FailureKind::Timeout) => "timeout",
            Self::Failed(FailureKind::Dns) => "dns_failed",
            Self::Failed(FailureKind::AddressRefused) => "address_refused",
            Self::Failed(FailureKind::Connect) => "connect_failed",
            Self::Failed(FailureKind::Tls) => "tls_failed",
            Self::Failed(FailureKind::Protocol) => "protocol_error",
        }
    }

    /// Whether the receiver has the event.
    pub fn is_delivered(self) -> bool {
        self == Self::Delivered
    }
}

/// Says what `reply` came to. `now` is for a `Retry-After` that names a date.
///
/// A 2xx whose body breaks off or never ends is a failure: the answer must come whole within the
/// attempt's time, up to the limit of what is read.
pub fn classify(reply: &Reply, now: Timestamp) -> Outcome {
    let response = match &reply.result {
        Ok(response) => response,
        Err(failure) => return Outcome::Failed(failure.kind),
    };
    match (response.status, &response.broken) {
        (410, _) => Outcome::Gone,
        (429 | 503, _) => Outcome::Throttled {
            wait: retry_after::parse(response.retry_after.iter().map(String::as_str), now),
        },
        (200..=299, Some(failure)) => Outcome::Failed(failure.kind),
        (200..=299, None) => Outcome::Delivered,
        (300..=399, _) => Outcome::Redirected,
        _ => Outcome::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(response: Response) -> Outcome {
        let reply = Reply {
            result: Ok(response),
            duration: Duration::ZERO,
            remote_addr: None,
        };
        classify(&reply, Timestamp::UNIX_EPOCH)
    }

    fn status(status: u16) -> Outcome {
        answered(Response {
            status,
            ..Response::default()
        })
    }

    #[test]
    fn every_status_has_its_outcome() {
        for code in 100..1000 {
            let expected = match code {
                200..=299 => Outcome::Delivered,
                300..=399 => Outcome::Redirected,
                410 => Outcome::Gone,
                429 | 503 => Outcome::Throttled { wait: None },
                _ => Outcome::Rejected,
            };
            assert_eq!(status(code), expected, "{code}");
        }
    }

    #[test]
    fn a_success_that_breaks_off_is_a_failure() {
        let broken = SendFailure {
            kind: FailureKind::Timeout,
            message: String::new(),
        };
        let outcome = answered(Response {
            status: 200,
            broken: Some(broken),
            ..Response::default()
        });
        assert_eq!(outcome, Outcome::Failed(FailureKind::Timeout));
    }

    #[test]
    fn throttling_carries_the_wait() {
        let retry_after = vec!["120".to_owned()];
        let outcome = answered(Response {
            status: 503,
            retry_after,
            ..Response::default()
        });
        assert_eq!(
            outcome,
            Outcome::Throttled {
                wait: Some(Duration::from_secs(120))
            }
        );
    }
}
