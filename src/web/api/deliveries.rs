//! Deliveries: everything on record of one, and sending it again.

use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::{ForOrganization, Usual, WithBody};
use super::attempts::AttemptView;
use super::authentication::{CurrentActor, CurrentOrganization};
use super::body::Json;
use super::query::{Path, Query};
use super::texts::WebhookIdText;
use crate::domain::dead_letter::Reason;
use crate::domain::ids::{DeliveryId, WebhookId};
use crate::operations::inspect::{self, InspectError};
use crate::operations::retry::{self, RetryError};
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// One event on its way to one webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryView {
    /// Its id: the same at every attempt.
    id: String,
    /// What became of it: `waiting`, `delivered` or `dead`.
    state: &'static str,
    /// When the next attempt is due, of one that waits.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Timestamp>,
    /// Why it was given up, of one that is dead.
    reason: Option<&'static str>,
    /// Whether its body is kept, so that it can be sent again.
    body_kept: bool,
    /// The body, if it is kept.
    body: Option<String>,
    /// Its attempts, oldest first.
    attempts: Vec<AttemptView>,
}

/// How a delivery is looked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DeliveryQuery {
    /// Its webhook, by its id: spares a look through the record of all the organization's.
    #[param(value_type = WebhookIdText, inline, required = false)]
    webhook_id: Option<WebhookId>,
}

/// Get a delivery with all its attempts
#[utoipa::path(
    get,
    path = "/deliveries/{id}",
    operation_id = "get_delivery",
    tag = "deliveries",
    params(ForOrganization, ("id" = String, Path, description = "Its id"), DeliveryQuery),
    responses(
        (status = 200, description = "What is on record of it", body = DeliveryView),
        (status = 404, description = "Nothing is on record of it", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "There is too much to look through: its webhook is to be named", body = Problem, content_type = "application/problem+json"),
        Usual,
    )
)]
pub(super) async fn get(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    Path(id): Path<String>,
    Query(query): Query<DeliveryQuery>,
) -> Result<axum::Json<DeliveryView>, Problem> {
    let id = delivery_id(&id)?;
    let webhook = query.webhook_id.as_ref();
    let found = inspect::inspect(&app.deployment, &organization, &id, webhook).await?;
    let account = found.account(&id);
    Ok(axum::Json(DeliveryView {
        id: account.id.to_string(),
        state: account.state,
        next_attempt_at: account.next_attempt_at,
        reason: account.reason.map(Reason::name),
        body_kept: account.body_kept,
        body: account.body,
        attempts: account
            .attempts
            .into_iter()
            .map(AttemptView::from)
            .collect(),
    }))
}

/// How a delivery is to be retried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryDelivery {
    /// Whether to send it again although the receiver has it.
    #[serde(default)]
    force: bool,
}

/// A delivery that starts again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Retried {
    /// The delivery's id.
    id: String,
}

/// Retry a delivery
///
/// It starts again from attempt 1, now; what comes of it is in the Delivery Log. One retry of a
/// delivery at a time, and none while its webhook is disabled. A copy of it that waits for its next
/// attempt is skipped when it comes round; its dead letter goes once it is delivered.
#[utoipa::path(
    post,
    path = "/deliveries/{id}/retry",
    operation_id = "retry_delivery",
    tag = "deliveries",
    params(ForOrganization, ("id" = String, Path, description = "Its id")),
    request_body = RetryDelivery,
    responses(
        (status = 202, description = "It is on its way", body = Retried),
        (status = 404, description = "Nothing is on record of it", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It was delivered already, its body is no longer kept, its webhook is disabled or deleted, or another retry of it is under way", body = Problem, content_type = "application/problem+json"),
        Usual, WithBody,
    )
)]
pub(super) async fn retry(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    CurrentActor(actor): CurrentActor,
    Path(id): Path<String>,
    Json(asked): Json<RetryDelivery>,
) -> Result<(StatusCode, axum::Json<Retried>), Problem> {
    let id = delivery_id(&id)?;
    retry::retry(&app.deployment, &actor, &organization, &id, asked.force).await?;
    let id = id.to_string();
    Ok((StatusCode::ACCEPTED, axum::Json(Retried { id })))
}

fn delivery_id(text: &str) -> Result<DeliveryId, Problem> {
    DeliveryId::new(text)
        .map_err(|_| Problem::new(StatusCode::NOT_FOUND, "there is no such delivery"))
}

impl From<InspectError> for Problem {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Unknown(_) => Self::of(&error),
            InspectError::Unfound(_) => Self::field("webhook_id", error.to_string()),
            InspectError::Webhooks(error) => error.into(),
            InspectError::Unavailable(error) => error.into(),
        }
    }
}

impl From<RetryError> for Problem {
    fn from(error: RetryError) -> Self {
        match error {
            RetryError::Webhooks(error) => error.into(),
            error => Self::of(&error),
        }
    }
}
