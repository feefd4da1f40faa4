//! Webhooks: registering them.

mod model;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::Api;
use super::authentication::Acting;
use super::body::Json;
use super::problem::Problem;

use model::{CreateWebhook, WebhookView};

/// Register a webhook
///
/// A secret is shown in this answer alone, and only if it was generated here.
#[utoipa::path(
    post,
    path = "/webhooks",
    tag = "webhooks",
    request_body = CreateWebhook,
    responses(
        (status = 201, description = "Registered", body = WebhookView,
         headers(("Location" = String, description = "The webhook"))),
        (status = 400, description = "It cannot be read", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It makes no webhook, and in which fields", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store is away", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create(
    State(api): State<Api>,
    Acting(organization): Acting,
    Json(asked): Json<CreateWebhook>,
) -> Result<Response, Problem> {
    let (new, generated) = asked.into_new(&mut rand::rng())?;
    let webhooks = api.deployment.webhooks;
    let stored = webhooks
        .create(&organization, new, Timestamp::now())
        .await?;
    let view = WebhookView::of(stored).with_secret(generated);
    let location = format!("/api/v1/webhooks/{}", view.id);
    let location = HeaderValue::from_str(&location).unwrap_or(HeaderValue::from_static("/"));
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, axum::Json(view)).into_response())
}
