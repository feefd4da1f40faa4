//! Changing webhooks: update, delete, enable, disable, rotate the secret.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::model::{UpdateWebhook, WebhookView};
use super::tag::{IfMatch, tagged};
use crate::domain::ids::Organization;
use crate::domain::secret::Secret;
use crate::operations::disabling::{BY_HAND, LONGEST_REASON};
use crate::registry::webhooks::StoredWebhook;
use crate::web::api::answers::{
    ForOrganization, OfChange, OfWebhook, Precondition, Usual, WithBody,
};
use crate::web::api::authentication::CurrentOrganization;
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

/// The longest overlap of two secrets, in seconds: 30 days.
const LONGEST_OVERLAP: u64 = 30 * 86_400;

/// A new signing secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web::api) struct RotateSecret {
    /// The new secret; one is generated, and shown in the answer, if none is given.
    #[schema(write_only, min_length = 1, max_length = 512)]
    secret: Option<String>,
    /// For how many seconds the old secret signs beside the new one.
    #[serde(default = "a_day")]
    #[schema(default = 86400, maximum = 2592000)]
    overlap_seconds: u64,
}

fn a_day() -> u64 {
    86_400
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
    Path(id): Path<String>,
    version: IfMatch,
    Json(asked): Json<UpdateWebhook>,
) -> Result<Response, Problem> {
    let patch = asked.into_patch()?;
    let webhooks = &app.deployment.webhooks;
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
    Path(id): Path<String>,
    version: IfMatch,
) -> Result<StatusCode, Problem> {
    let webhooks = app.deployment.webhooks;
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
    Path(id): Path<String>,
    version: IfMatch,
) -> Result<Response, Problem> {
    let webhooks = &app.deployment.webhooks;
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
    Path(id): Path<String>,
    version: IfMatch,
    Json(asked): Json<DisableWebhook>,
) -> Result<Response, Problem> {
    if asked.reason.chars().count() > LONGEST_REASON {
        let detail = format!("at most {LONGEST_REASON} characters");
        return Err(Problem::field("reason", detail));
    }
    let webhooks = &app.deployment.webhooks;
    let target = version.target(&id);
    let stored = webhooks
        .disable(&organization, target, &asked.reason, Timestamp::now())
        .await?;
    Ok(shown(&app, &organization, stored, None).await)
}

/// Rotate a webhook's secret
///
/// Requests are signed with the new secret from now on; the old one signs beside it in
/// `webhook-signature` while the receiver changes over.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/rotate-secret",
    operation_id = "rotate_webhook_secret",
    tag = "webhooks",
    params(ForOrganization, Precondition, ("id" = String, Path, description = "Its id, or its name")),
    request_body = RotateSecret,
    responses(
        (status = 200, description = "The webhook, with the secret if it was generated", body = WebhookView,
         headers(("ETag" = String, description = "Its version"))),
        Usual, OfWebhook, OfChange, WithBody,
    )
)]
pub(in crate::web::api) async fn rotate_secret(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    Path(id): Path<String>,
    version: IfMatch,
    Json(asked): Json<RotateSecret>,
) -> Result<Response, Problem> {
    if asked.overlap_seconds > LONGEST_OVERLAP {
        let detail = format!("at most {LONGEST_OVERLAP}: 30 days");
        return Err(Problem::field("overlap_seconds", detail));
    }
    let (secret, generated) = match asked.secret.as_deref().map(Secret::new) {
        Some(Ok(secret)) => (secret, None),
        Some(Err(error)) => return Err(Problem::field("secret", error.to_string())),
        None => {
            let secret = Secret::generate(&mut rand::rng());
            let text = secret.expose().to_owned();
            (secret, Some(text))
        }
    };
    let webhooks = &app.deployment.webhooks;
    let overlap = Duration::from_secs(asked.overlap_seconds);
    let (target, now) = (version.target(&id), Timestamp::now());
    let stored = webhooks
        .rotate_secret(&organization, target, &secret, overlap, now)
        .await?;
    Ok(shown(&app, &organization, stored, generated).await)
}

async fn shown(
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
    fn the_document_says_how_long_a_reason_and_an_overlap_may_be() {
        assert_eq!(
            said::<DisableWebhook>("reason")["maxLength"],
            LONGEST_REASON
        );
        let overlap = said::<RotateSecret>("overlap_seconds");
        assert_eq!(overlap["maximum"], LONGEST_OVERLAP);
        assert_eq!(overlap["default"], a_day());
    }
}
