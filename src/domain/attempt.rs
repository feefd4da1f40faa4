//! What is put on record of an attempt: enough to settle an argument.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::delivery::{Delivery, LastAttempt, Trigger};
use super::endpoint::shown;
use super::ids::{DeliveryId, EventId, EventType, Organization, WebhookId};
use super::outcome::{Outcome, Reply};
use super::repeated;
use super::request::{VERSION, as_sent};
use super::secret::{Secret, SecretId};
use super::trace_context::TraceParent;
use super::webhook::Webhook;

/// The record of one HTTP request. The field names are those of the stream's entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The delivery that the attempt belongs to.
    pub delivery_id: DeliveryId,
    /// The event delivered.
    pub event_id: EventId,
    /// Its type.
    pub event_type: EventType,
    /// The tenant.
    pub organization: Organization,
    /// The webhook.
    pub webhook_id: WebhookId,
    /// Its endpoint at the time, its query [hidden](shown).
    #[serde(deserialize_with = "hidden")]
    pub url: String,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// What set the attempt off.
    pub trigger: Trigger,
    /// The attempt's outcome: the name of an [`Outcome`].
    pub outcome: String,
    /// The HTTP status code, if there was an answer.
    pub status_code: Option<u16>,
    /// Of a redirect, which is not followed: where it leads, without its query.
    #[serde(default)]
    pub location: Option<String>,
    /// Why there was no whole answer.
    pub error: Option<String>,
    /// The beginning of the answer's body; bytes that are not UTF-8 are replaced, and so is what it
    /// repeats of the [webhook's secrets](repeated).
    pub response_body: String,
    /// Whether the body went on.
    pub response_truncated: bool,
    /// When the request began.
    pub started_at: Timestamp,
    /// How long it took, answer included.
    #[serde(rename = "duration_ms", with = "milliseconds")]
    pub duration: Duration,
    /// The address that it went to, if a connection was made.
    pub remote_addr: Option<SocketAddr>,
    /// When the next attempt is due, if there is to be one.
    pub next_attempt_at: Option<Timestamp>,
    /// The worker that made it.
    pub worker: String,
    /// The version of the program that made it; `None` of an earlier one, which did not record it.
    #[serde(default)]
    pub version: Option<String>,
    /// The names of the headers that it carried of its webhook's own, as they went out; `None` as
    /// above.
    #[serde(default)]
    pub own_headers: Option<Vec<String>>,
    /// The secrets that signed it, the current one first; none if it was not signed; `None` as above.
    #[serde(default)]
    pub signed_by: Option<Vec<SecretId>>,
    /// Its `traceparent`, if it carried one and that was recorded.
    #[serde(default)]
    pub traceparent: Option<TraceParent>,
}

impl Attempt {
    /// The record of the next attempt of `delivery`, which began at `started_at`, as `span`, with the
    /// headers that [`request::headers`](super::request::headers) makes of that, and got `reply`.
    pub fn made(
        delivery: &Delivery,
        webhook: &Webhook,
        (started_at, span): (Timestamp, u64),
        outcome: Outcome,
        reply: Reply,
        worker: &str,
    ) -> Self {
        let own_headers = webhook.headers.iter().map(|(name, _)| as_sent(name));
        let signed_by = webhook.active_secrets(started_at).map(Secret::id);
        let (response, error) = match reply.result {
            Ok(response) => {
                let error = response.broken.as_ref().map(ToString::to_string);
                (Some(response), error)
            }
            Err(failure) => (None, Some(failure.to_string())),
        };
        Self {
            delivery_id: delivery.id.clone(),
            event_id: delivery.event.id.clone(),
            event_type: delivery.event.event_type.clone(),
            organization: delivery.event.organization.clone(),
            webhook_id: webhook.id.clone(),
            url: shown(webhook.url.as_str()),
            attempt: delivery.attempt,
            trigger: delivery.trigger,
            outcome: outcome.name().to_owned(),
            status_code: response.as_ref().map(|response| response.status),
            location: response
                .as_ref()
                .and_then(|response| response.location.clone())
                .map(|location| repeated::hidden_text(location, webhook)),
            error,
            response_truncated: response.as_ref().is_some_and(|response| response.truncated),
            response_body: response
                .map(|response| {
                    let cut = response.truncated || response.broken.is_some();
                    let body = repeated::hidden(response.body, cut, webhook);
                    String::from_utf8_lossy(&body).into_owned()
                })
                .unwrap_or_default(),
            started_at,
            duration: reply.duration,
            remote_addr: reply.remote_addr,
            next_attempt_at: None,
            worker: worker.to_owned(),
            version: Some(VERSION.to_owned()),
            own_headers: Some(own_headers.collect()),
            signed_by: Some(signed_by.collect()),
            traceparent: delivery.event.traceparent.map(|parent| parent.child(span)),
        }
    }

    /// Whether the receiver has the event.
    pub fn is_delivered(&self) -> bool {
        self.outcome == Outcome::Delivered.name()
    }

    /// Returns what the delivery's next message says of this attempt.
    pub fn as_last(&self) -> LastAttempt {
        LastAttempt {
            outcome: self.outcome.clone(),
            status: self.status_code,
        }
    }

    /// How long it took, in milliseconds with three decimals at most.
    pub fn duration_ms(&self) -> f64 {
        milliseconds::of(self.duration)
    }
}

/// Reads an endpoint. Earlier versions recorded its query, which is not to be shown either.
fn hidden<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|url| shown(&url))
}

mod milliseconds {
    //! Durations as milliseconds with three decimals at most.

    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn of(duration: Duration) -> f64 {
        let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
        f64::from(micros) / 1e3
    }

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(of(*duration))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let millis = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(millis / 1e3).map_err(serde::de::Error::custom)
    }
}
