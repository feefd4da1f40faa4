//! Whether the deliveries of a webhook are held back, as the API shows it.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::held_back::HeldBack;

/// The deliveries of a webhook are held back, or were and still come back: they are put off, without
/// an attempt, and come back by themselves.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct HeldBackView {
    /// Why: `failures` (a run of them), `retry_after` (the receiver asked to be left alone), `line`
    /// (more waits for it than it takes soon), `rate_limit` (the webhook's own), `slow` (its
    /// organization has as many slow requests open as it may).
    reason: &'static str,
    /// The same in a sentence.
    detail: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// With `failures` and `retry_after`, unless that `is_over`: when the receiver is tried next. Else
    /// when the last of what was put off so far is due.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Whether the reason is gone: nothing more is put off for it, and what was is still to come.
    is_over: bool,
}

impl From<HeldBack> for HeldBackView {
    fn from(held: HeldBack) -> Self {
        let HeldBack {
            why,
            since,
            until,
            is_over,
        } = held;
        Self {
            reason: why.name(),
            detail: held.to_string(),
            since,
            until,
            is_over,
        }
    }
}
