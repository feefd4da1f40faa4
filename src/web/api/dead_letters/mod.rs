//! Dead letters of the organization: looking through them, sending them round again, throwing them
//! away.

pub(super) mod jobs;
mod model;

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::{ForOrganization, Usual};
use super::authentication::CurrentOrganization;
use super::query::{PartSize, Query};
use super::texts::{EventTypeText, PositionText, WebhookIdText};
use crate::domain::ids::{EventType, WebhookId};
use crate::store::dead_letters::{Filter, Position};
use crate::web::problem::Problem;
use crate::web::state::AppState;

use model::{DeadLetterView, ReasonName};

/// Which dead letters are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DeadLettersQuery {
    /// Of this webhook, by its id.
    #[param(value_type = WebhookIdText, inline, required = false)]
    webhook_id: Option<WebhookId>,
    /// Of events of this type.
    #[param(value_type = EventTypeText, inline, required = false)]
    event_type: Option<EventType>,
    /// Given up for this reason.
    #[param(value_type = ReasonName, inline, required = false)]
    reason: Option<ReasonName>,
    /// Given up then or later.
    #[param(value_type = String, format = DateTime, required = false)]
    since: Option<Timestamp>,
    /// Given up before then.
    #[param(value_type = String, format = DateTime, required = false)]
    until: Option<Timestamp>,
    /// At most so many.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: PartSize,
    /// The `next` of the part before.
    #[param(value_type = PositionText, inline, required = false)]
    cursor: Option<Position>,
}

/// A part of the dead letters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterList {
    /// The dead letters, oldest first.
    items: Vec<DeadLetterView>,
    /// The `cursor` of the next part; null if this is the last. A part may have fewer letters than
    /// asked for, or none, and others follow all the same.
    next: Option<String>,
}

/// List dead letters
///
/// What was given up, oldest first, and why.
#[utoipa::path(
    get,
    path = "/dead-letters",
    operation_id = "list_dead_letters",
    tag = "dead letters",
    params(ForOrganization, DeadLettersQuery),
    responses((status = 200, description = "A part of them", body = DeadLetterList), Usual)
)]
pub(super) async fn list(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    Query(wanted): Query<DeadLettersQuery>,
) -> Result<axum::Json<DeadLetterList>, Problem> {
    let filter = Filter {
        organization: Some(organization.to_string()),
        webhook: wanted.webhook_id.map(|id| id.to_string()),
        event_type: wanted.event_type.map(|name| name.to_string()),
        reason: wanted.reason.map(ReasonName::reason),
        since: wanted.since,
        until: wanted.until,
        seen: None,
        ids: None,
    };
    let (after, limit) = (wanted.cursor.as_ref(), wanted.limit.0);
    let found = app.deployment.dead_letters.list(&filter, after, limit);
    let found = found.await?;
    Ok(axum::Json(DeadLetterList {
        items: found
            .letters
            .into_iter()
            .map(DeadLetterView::from)
            .collect(),
        next: found.next.map(|position| position.to_string()),
    }))
}
