//! Asking how a webhook does: a test event now, and what it would get.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::held_back::HeldBackView;
use crate::domain::ids::EventType;
use crate::operations::explain::{self, ExplainError, Explained};
use crate::operations::test::TestError;
use crate::web::api::answers::{ForOrganization, OfWebhook, Usual};
use crate::web::api::attempts::AttemptView;
use crate::web::api::authentication::CurrentOrganization;
use crate::web::api::query::{Path, Query};
use crate::web::api::texts::EventTypeText;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// Send a test event
///
/// Posts an event of type `test` to the endpoint now, signed like any other, whatever the webhook
/// subscribes to and even while it is disabled. The answer is what the endpoint said. The attempt
/// is in the Delivery Log with the trigger `test`; it is not retried.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/test",
    operation_id = "test_webhook",
    tag = "webhooks",
    params(ForOrganization, ("id" = String, Path, description = "Its id, or its name")),
    responses(
        (status = 200, description = "What came back", body = AttemptView),
        Usual, OfWebhook,
    )
)]
pub(in crate::web::api) async fn test(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    Path(id): Path<String>,
) -> Result<axum::Json<AttemptView>, Problem> {
    let stored = app.deployment.webhooks.get(&organization, &id).await?;
    let tested = app.tester.test(&organization, &stored.webhook).await;
    let attempt = tested?;
    Ok(axum::Json(AttemptView::from(attempt)))
}

impl From<ExplainError> for Problem {
    fn from(error: ExplainError) -> Self {
        match error {
            ExplainError::Webhooks(error) => error.into(),
            ExplainError::Unavailable(error) => error.into(),
        }
    }
}

impl From<TestError> for Problem {
    fn from(error: TestError) -> Self {
        Self::of(&error)
    }
}

/// What is asked.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::web::api) struct ExplainQuery {
    /// The event type.
    #[param(value_type = EventTypeText, inline)]
    event_type: EventType,
}

/// What becomes of events of one type at one webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct ExplanationView {
    /// Whether the webhook would get such an event.
    delivered: bool,
    /// The entry of its event subscriptions that covers the type; `*` for a webhook without any.
    covered_by: Option<String>,
    /// Everything that stands in the way.
    obstacles: Vec<ObstacleView>,
    /// That its deliveries are held back, if they are: what it gets, it gets later.
    held_back: Option<HeldBackView>,
}

/// Something that stands in the way.
#[derive(Debug, Serialize, ToSchema)]
struct ObstacleView {
    /// Which: `unknown-event-type`, `not-subscribed`, `disabled`, `address-refused`, `invalid`, `unopened`.
    kind: &'static str,
    /// What it is and what mends it, in a sentence.
    detail: String,
}

/// Explain whether a webhook would get an event type
#[utoipa::path(
    get,
    path = "/webhooks/{id}/explain",
    operation_id = "explain_webhook",
    tag = "webhooks",
    params(ForOrganization, ("id" = String, Path, description = "Its id, or its name"), ExplainQuery),
    responses(
        (status = 200, description = "Whether, and why not", body = ExplanationView),
        Usual, OfWebhook,
    )
)]
pub(in crate::web::api) async fn explain(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    Path(id): Path<String>,
    Query(asked): Query<ExplainQuery>,
) -> Result<axum::Json<ExplanationView>, Problem> {
    let found = explain::explain(
        &app.deployment,
        &organization,
        &id,
        &asked.event_type,
        &app.rules,
        &app.egress,
    )
    .await?;
    let Explained {
        explanation,
        held_back,
    } = found;
    let obstacles = explanation.obstacles.iter().map(|obstacle| ObstacleView {
        kind: obstacle.name(),
        detail: obstacle.to_string(),
    });
    Ok(axum::Json(ExplanationView {
        delivered: explanation.obstacles.is_empty(),
        covered_by: explanation.covered_by.map(|entry| entry.to_string()),
        obstacles: obstacles.collect(),
        held_back: held_back.map(HeldBackView::from),
    }))
}
