//! Dead letters of the organization: looking through them, sending them round again, throwing them
//! away.

pub(super) mod jobs;
mod model;

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::answers::{ForOrganization, Usual};
use super::authentication::CurrentOrganization;
use super::query::{PartSize, Query, whole_number};
use super::texts::{EventTypeText, WebhookIdText};
use crate::domain::ids::{EventType, WebhookId};
use crate::store::dead_letters::Filter;
use crate::web::problem::Problem;
use crate::web::state::AppState;

use model::{DeadLetterView, ReasonName};

/// The furthest that a part of the list may begin: dead letters are looked through from the front.
const FURTHEST: usize = 65_000;

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
    #[serde(default)]
    #[param(inline, required = false)]
    cursor: Behind,
}

/// How many dead letters of the list are passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "usize")]
struct Behind(usize);

impl PartialSchema for Behind {
    fn schema() -> RefOr<Schema> {
        whole_number(0, FURTHEST).into()
    }
}

impl ToSchema for Behind {}

impl TryFrom<usize> for Behind {
    type Error = &'static str;

    fn try_from(number: usize) -> Result<Self, Self::Error> {
        if number <= FURTHEST {
            Ok(Self(number))
        } else {
            Err("a cursor is the `next` of the part before, as it is")
        }
    }
}

/// A part of the dead letters.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterList {
    /// The dead letters, oldest first.
    items: Vec<DeadLetterView>,
    /// The `cursor` of the next part; null if this is the last. Letters that are requeued or purged
    /// meanwhile move the others up.
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
        ids: None,
    };
    let (skipped, limit) = (wanted.cursor.0, wanted.limit.0);
    let next = skipped + limit;
    // One more than is shown: whether there is a next part depends on its own letters alone, and not
    // on whether others have some.
    let found = app.deployment.dead_letters.list(&filter, next + 1);
    let found = found.await?;
    let more = found.letters.len() > next;
    let letters = found.letters.into_iter().skip(skipped).take(limit);
    Ok(axum::Json(DeadLetterList {
        items: letters.map(DeadLetterView::from).collect(),
        next: (more && next <= FURTHEST).then(|| next.to_string()),
    }))
}
