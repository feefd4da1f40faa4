//! An attempt as the API shows it.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::attempt::Attempt;

/// One HTTP request that was made, and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct AttemptView {
    /// The delivery that it belongs to.
    delivery_id: String,
    /// The event delivered.
    event_id: String,
    /// Its type.
    event_type: String,
    /// The tenant.
    organization: String,
    /// The webhook.
    webhook_id: String,
    /// Its endpoint at the time; a query is shown as `***`.
    url: String,
    /// The number of the attempt, from 1.
    attempt: u32,
    /// What set it off: `event`, `retry`, `manual` or `test`.
    trigger: &'static str,
    /// What it came to: `delivered`, `rejected`, `timeout` …
    outcome: String,
    /// The HTTP status code, if there was an answer.
    status_code: Option<u16>,
    /// Of a redirect, which is not followed: where it leads, without its query.
    location: Option<String>,
    /// Why there was no whole answer.
    error: Option<String>,
    /// The beginning of the answer's body.
    response_body: String,
    /// Whether the body went on.
    response_truncated: bool,
    /// When the request began.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// How long it took, in milliseconds.
    duration_ms: f64,
    /// The address that it went to, if a connection was made.
    remote_addr: Option<String>,
    /// When the next attempt is due, if there is to be one.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Timestamp>,
    /// The worker that made it.
    worker: String,
    /// The version of the program that made it; `null` if that was not recorded.
    version: Option<String>,
    /// The names of the headers that it carried of its webhook's own; `null` if that was not recorded.
    own_headers: Option<Vec<String>>,
    /// The ids of the secrets that signed it, the current one first; empty if it was not signed; `null` if
    /// that was not recorded.
    signed_by: Option<Vec<String>>,
    /// Its `traceparent`, if it carried one.
    traceparent: Option<String>,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            duration_ms: attempt.duration_ms(),
            delivery_id: attempt.delivery_id.to_string(),
            event_id: attempt.event_id.to_string(),
            event_type: attempt.event_type.to_string(),
            organization: attempt.organization.to_string(),
            webhook_id: attempt.webhook_id.to_string(),
            url: attempt.url,
            attempt: attempt.attempt,
            trigger: attempt.trigger.name(),
            outcome: attempt.outcome,
            status_code: attempt.status_code,
            location: attempt.location,
            error: attempt.error,
            response_body: attempt.response_body,
            response_truncated: attempt.response_truncated,
            started_at: attempt.started_at,
            remote_addr: attempt.remote_addr.map(|address| address.to_string()),
            next_attempt_at: attempt.next_attempt_at,
            worker: attempt.worker,
            version: attempt.version,
            own_headers: attempt.own_headers,
            signed_by: attempt
                .signed_by
                .map(|all| all.iter().map(ToString::to_string).collect()),
            traceparent: attempt.traceparent.map(|parent| parent.to_string()),
        }
    }
}
