//! The record of attempts: parts of it, newest first, and new ones as they are made.

mod model;
pub(super) mod stream;

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::{ForOrganization, Usual};
use super::authentication::CurrentOrganization;
use super::query::{PartSize, Query};
use super::texts::{CursorText, DeliveryIdText, EventIdText, EventTypeText, WebhookIdText};
use crate::domain::ids::{DeliveryId, EventId, EventType, Organization, WebhookId};
use crate::domain::outcome::Outcome;
use crate::store::delivery_log::{AttemptFilter, FAILED};
use crate::web::cursor::{Cursor, Cursors};
use crate::web::problem::Problem;
use crate::web::state::AppState;

pub(super) use model::AttemptView;

/// Which attempts are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AttemptsQuery {
    /// Of this webhook, by its id.
    #[param(value_type = WebhookIdText, inline, required = false)]
    webhook_id: Option<WebhookId>,
    /// Of this delivery.
    #[param(value_type = DeliveryIdText, inline, required = false)]
    delivery_id: Option<DeliveryId>,
    /// Of this event: what became of it at every webhook.
    #[param(value_type = EventIdText, inline, required = false)]
    event_id: Option<EventId>,
    /// Of events of this type.
    #[param(value_type = EventTypeText, inline, required = false)]
    event_type: Option<EventType>,
    /// That came to this; `failed`: to any but `delivered`.
    #[param(value_type = OutcomeName, inline, required = false)]
    outcome: Option<OutcomeName>,
    /// Answered with this status.
    #[param(value_type = u16, required = false, minimum = 100, maximum = 999)]
    status_code: Option<StatusCode>,
    /// Answered with a status of this class: 2 for 2xx.
    #[param(value_type = u16, required = false, minimum = 1, maximum = 9)]
    status_class: Option<StatusClass>,
    /// Begun then or later.
    #[param(value_type = String, format = DateTime, required = false)]
    since: Option<Timestamp>,
    /// Begun before then.
    #[param(value_type = String, format = DateTime, required = false)]
    until: Option<Timestamp>,
}

/// The name of an outcome, or `failed`.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutcomeName {
    Delivered,
    Redirected,
    Gone,
    Throttled,
    Rejected,
    Timeout,
    DnsFailed,
    AddressRefused,
    ConnectFailed,
    TlsFailed,
    ProtocolError,
    Failed,
}

/// A status.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u16")]
struct StatusCode(u16);

impl TryFrom<u16> for StatusCode {
    type Error = &'static str;

    fn try_from(code: u16) -> Result<Self, Self::Error> {
        match code {
            100..=999 => Ok(Self(code)),
            _ => Err("status_code has three digits: 100 to 999"),
        }
    }
}

/// The first digit of a status.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u16")]
struct StatusClass(u16);

impl TryFrom<u16> for StatusClass {
    type Error = &'static str;

    fn try_from(digit: u16) -> Result<Self, Self::Error> {
        match digit {
            1..=9 => Ok(Self(digit)),
            _ => Err("status_class is the first digit of a status: 1 to 9"),
        }
    }
}

impl OutcomeName {
    /// The outcome's name on record; the order is that of [`Outcome::NAMES`], and behind them all that
    /// failed.
    fn name(self) -> &'static str {
        Outcome::NAMES.get(self as usize).copied().unwrap_or(FAILED)
    }
}

impl AttemptsQuery {
    fn filter(self, organization: Organization) -> AttemptFilter {
        AttemptFilter {
            organization: Some(organization),
            webhook: self.webhook_id,
            delivery: self.delivery_id,
            event: self.event_id,
            id: None,
            event_type: self.event_type,
            outcome: self.outcome.map(|outcome| outcome.name().to_owned()),
            status_code: self.status_code.map(|status| status.0),
            status_class: self.status_class.map(|class| class.0),
            since: self.since,
            until: self.until,
        }
    }
}

/// Which part of the list is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PartQuery {
    /// At most so many.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: PartSize,
    /// The `next` of the part before.
    #[param(value_type = CursorText, inline, required = false)]
    cursor: Option<Cursor>,
}

/// A part of the record.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AttemptList {
    /// The attempts, newest first.
    items: Vec<AttemptView>,
    /// The `cursor` of the next part; null if there is nothing older. A filter that matches little
    /// may give a part that is short, or empty, and is not the last.
    next: Option<String>,
}

/// List attempts
///
/// Every request that was made, newest first. With `webhook_id` its Delivery Log is read, which keeps
/// more of a quiet webhook than the record of all.
#[utoipa::path(
    get,
    path = "/attempts",
    operation_id = "list_attempts",
    tag = "attempts",
    params(ForOrganization, AttemptsQuery, PartQuery),
    responses((status = 200, description = "A part of the record", body = AttemptList), Usual)
)]
pub(super) async fn list(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    Query(filter): Query<AttemptsQuery>,
    Query(part): Query<PartQuery>,
) -> Result<axum::Json<AttemptList>, Problem> {
    let cursors = Cursors::of(&app, &organization).await?;
    let before = part.cursor.map(|cursor| cursors.open(&cursor));
    let before = before.map(|entry| entry.ok_or_else(|| Problem::bad_request(Cursor::REFUSAL)));
    let (before, filter) = (before.transpose()?, filter.filter(organization));
    let log = &app.deployment.delivery_log;
    let page = log.attempts(&filter, part.limit.0, before).await?;
    let items = page.attempts.into_iter().map(|one| one.attempt.into());
    Ok(axum::Json(AttemptList {
        items: items.collect(),
        next: page.next.map(|entry| cursors.seal(entry)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_can_be_asked_for() {
        for name in Outcome::NAMES.into_iter().chain([FAILED]) {
            let outcome: OutcomeName = serde_json::from_value(name.into()).unwrap();
            assert_eq!(outcome.name(), name);
        }
    }
}
