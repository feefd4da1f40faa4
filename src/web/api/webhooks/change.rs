//! Changing webhooks: update, delete, enable, disable.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::model::{UpdateWebhook, WebhookView};
use super::tag::{IfMatch, tagged};
use crate::domain::ids::Organization;
use crate::operations::disabling::{BY_HAND, LONGEST_REASON};
use crate::registry::webhooks::StoredWebhook;
use crate::web::api::answers::{
    ForOrganization, OfChange, OfWebhook, Precondition, Usual, WithBody,
};
use crate::web::api::authentication::{CurrentActor, CurrentOrganization};
use crate::web::api::body::Json;
use crate::web::api::query::Path;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// Why a webhook is to be disabled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web::api) struct DisableWebhook {
    /// A sentence, shown wherever the webhook is.
    #[serde(default = "by_hand")]
    #[schema(max_length = 500, default = by_hand)]
    reason: String,
}

fn by_hand() -> String {
    BY_HAND.to_owned()
}

/// Update a webhook
///
/// What is named changes, the rest stays. `null` removes a description, a retry policy or a rate limit.
#[utoipa::path(
    patch,
    path = "/webhooks/{id}",
    operation_id = "update_webhook",
    tag = "webhooks",
    params(ForOrganization, Precondition, ("id" = String, Path, description = "Its id, or its name")),
    request_body = UpdateWebhook,
    responses(
        (status = 200, description = "The webhook as it is now", body = WebhookView,
         headers(("ETag" = String, description = "Its version"))),
        Usual, OfWebhook, OfChange, WithBody,
        (status = 409, description = "The new name is taken, or several webhooks have the one that was named", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::web::api) async fn update(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    CurrentActor(actor): CurrentActor,
    Path(id): Path<String>,
    version: IfMatch,
    Json(asked): Json<UpdateWebhook>,
) -> Result<Response, Problem> {
    let patch = asked.into_patch()?;
    let webhooks = app.deployment.webhooks.by(actor);
    let target = version.target(&id);
    let stored = webhooks
        .update(&organization, target, &patch, Timestamp::now())
        .await?;
    Ok(shown(&app, &organization, stored, None).await)
}

/// Delete a webhook
///
/// Its Delivery Log goes with it. What is on its way to it becomes dead letters.
#[utoipa::path(
    delete,
    path = "/webhooks/{id}",
    operation_id = "delete_webhook",
    tag = "webhooks",
    params(ForOrganization, Precondition, ("id" = String, Path, description = "Its id, or its name")),
    responses(
        (status = 204, description = "It is gone"),
        Usual, OfWebhook, OfChange,
    )
)]
pub(in crate::web::api) async fn delete(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    CurrentActor(actor): CurrentActor,
    Path(id): Path<String>,
    version: IfMatch,
) -> Result<StatusCode, Problem> {
    let webhooks = app.deployment.webhooks.by(actor);
    webhooks.delete(&organization, version.target(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Enable a webhook
///
/// It gets deliveries again, and its failures so far are forgotten. What became dead letters
/// meanwhile can be requeued.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/enable",
    operation_id = "enable_webhook",
    tag = "webhooks",
    params(ForOrganization, Precondition, ("id" = String, Path, description = "Its id, or its name")),
    responses(
        (status = 200, description = "The webhook as it is now", body = WebhookView,
         headers(("ETag" = String, description = "Its version"))),
        Usual, OfWebhook, OfChange,
    )
)]
pub(in crate::web::api) async fn enable(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    CurrentActor(actor): CurrentActor,
    Path(id): Path<String>,
    version: IfMatch,
) -> Result<Response, Problem> {
    let webhooks = app.deployment.webhooks.by(actor);
    let target = version.target(&id);
    let stored = webhooks
        .enable(&organization, target, Timestamp::now())
        .await?;
    Ok(shown(&app, &organization, stored, None).await)
}

/// Disable a webhook
///
/// It gets no new deliveries, and what is on its way to it becomes dead letters.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/disable",
    operation_id = "disable_webhook",
    tag = "webhooks",
    params(ForOrganization, Precondition, ("id" = String, Path, description = "Its id, or its name")),
    request_body = DisableWebhook,
    responses(
        (status = 200, description = "The webhook as it is now", body = WebhookView,
         headers(("ETag" = String, description = "Its version"))),
        Usual, OfWebhook, OfChange, WithBody,
    )
)]
pub(in crate::web::api) async fn disable(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    CurrentActor(actor): CurrentActor,
    Path(id): Path<String>,
    version: IfMatch,
    Json(asked): Json<DisableWebhook>,
) -> Result<Response, Problem> {
    if asked.reason.chars().count() > LONGEST_REASON {
        let detail = format!("at most {LONGEST_REASON} characters");
        return Err(Problem::field("reason", detail));
    }
    let webhooks = app.deployment.webhooks.by(actor);
    let target = version.target(&id);
    let stored = webhooks
        .disable(&organization, target, &asked.reason, Timestamp::now())
        .await?;
    Ok(shown(&app, &organization, stored, None).await)
}

/// Answers with a webhook that was changed, and its secret if that was generated.
pub(super) async fn shown(
    app: &AppState,
    organization: &Organization,
    stored: StoredWebhook,
    generated: Option<String>,
) -> Response {
    let version = stored.version.clone();
    let log = &app.deployment.delivery_log;
    let held = log.held_back_one(organization, &stored.webhook.id).await;
    // The change is made, whether this can be told or not.
    let held = held.ok().flatten();
    let view = WebhookView::of(stored)
        .held_back(held)
        .with_secret(generated);
    tagged(&version, axum::Json(view).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use utoipa::PartialSchema;

    use super::*;

    fn said<T: PartialSchema>(field: &str) -> Value {
        serde_json::to_value(T::schema()).unwrap()["properties"][field].clone()
    }

    #[test]
    fn the_document_says_how_long_a_reason_may_be() {
        assert_eq!(
            said::<DisableWebhook>("reason")["maxLength"],
            LONGEST_REASON
        );
    }
}
