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
    /// With `failures` and `retry_after` in the phase `held`: when the receiver is tried next. Else when
    /// the last of what was put off so far is due.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// How far it has come: `held` (deliveries are put off), `tried` (the receiver was left alone and
    /// has a request now, which decides), `coming_back` (nothing more is put off for that reason, and
    /// what was is still to come).
    phase: &'static str,
}

impl From<HeldBack> for HeldBackView {
    fn from(held: HeldBack) -> Self {
        let HeldBack {
            why,
            since,
            until,
            phase,
        } = held;
        Self {
            reason: why.name(),
            detail: held.to_string(),
            since,
            until,
            phase: phase.name(),
        }
    }
}
