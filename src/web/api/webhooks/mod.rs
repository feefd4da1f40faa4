//! Webhooks: registering, looking at and changing them, and asking how they do.
//!
//! | file | what it does |
//! |---|---|
//! | here | create, list, get |
//! | `change` | update, delete, enable, disable |
//! | `secret` | rotate, promote, drop secrets |
//! | `diagnose` | send a test event, explain |
//! | `held_back` | whether deliveries are held back |
//! | `statistics` | counts and durations over time |
//! | `model` | webhooks as the API takes and shows them |
//! | `tag` | `ETag` and `If-Match` |

pub(super) mod change;
pub(super) mod diagnose;
mod given_headers;
mod held_back;
mod model;
pub(super) mod secret;
pub(super) mod statistics;
pub(super) mod tag;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::{ForOrganization, OfWebhook, Usual, WithBody};
use super::authentication::{CurrentActor, CurrentOrganization};
use super::body::Json;
use super::query::{PartSize, Path, Query};
use crate::operations::listing;
use crate::registry::webhooks::Listed;
use crate::web::problem::Problem;
use crate::web::state::AppState;

use model::{CreateWebhook, WebhookView};
use tag::tagged;

/// A part of the organization's webhooks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookList {
    /// The webhooks, oldest first.
    items: Vec<WebhookView>,
    /// What is registered under an id and cannot be used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    unusable: Vec<Unusable>,
    /// The `cursor` of the next part; null if this is the last.
    next: Option<String>,
}

/// A document in the store that describes no webhook. It gets no deliveries until it is mended.
#[derive(Debug, Serialize, ToSchema)]
struct Unusable {
    /// The id that it stands under.
    id: String,
    /// What is wrong with it.
    problem: String,
}

/// Which part of the list is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// At most so many.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: PartSize,
    /// The `next` of the part before.
    #[serde(default)]
    #[param(value_type = String, required = false)]
    cursor: String,
}

/// Register a webhook
///
/// A secret is shown in this answer alone, and only if it was generated here.
#[utoipa::path(
    post,
    path = "/webhooks",
    operation_id = "create_webhook",
    tag = "webhooks",
    params(ForOrganization),
    request_body = CreateWebhook,
    responses(
        (status = 201, description = "Registered", body = WebhookView,
         headers(("Location" = String, description = "The webhook"), ("ETag" = String, description = "Its version"))),
        (status = 409, description = "The name is taken", body = Problem, content_type = "application/problem+json"),
        Usual, WithBody,
    )
)]
pub(super) async fn create(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    CurrentActor(actor): CurrentActor,
    Json(asked): Json<CreateWebhook>,
) -> Result<Response, Problem> {
    let (new, generated) = asked.into_new(&mut rand::rng())?;
    let webhooks = app.deployment.webhooks.by(actor);
    let stored = webhooks
        .create(&organization, new, Timestamp::now())
        .await?;
    let version = stored.version.clone();
    let view = WebhookView::of(stored).with_secret(generated);
    let location = format!("/api/v1/webhooks/{}", view.id);
    let location = HeaderValue::from_str(&location).unwrap_or(HeaderValue::from_static("/"));
    let headers = [(header::LOCATION, location)];
    let created = (StatusCode::CREATED, headers, axum::Json(view));
    Ok(tagged(&version, created.into_response()))
}

/// List webhooks
#[utoipa::path(
    get,
    path = "/webhooks",
    operation_id = "list_webhooks",
    tag = "webhooks",
    params(ForOrganization, ListQuery),
    responses((status = 200, description = "A part of the list", body = WebhookList), Usual)
)]
pub(super) async fn list(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    Query(wanted): Query<ListQuery>,
) -> Result<axum::Json<WebhookList>, Problem> {
    let (after, most) = (&wanted.cursor, wanted.limit.0);
    let part = listing::part(&app.deployment, &organization, after, most).await?;
    let log = &app.deployment.delivery_log;
    let mut held = log.held_back(&organization, &part.usable()).await?;
    let mut list = WebhookList {
        items: Vec::new(),
        unusable: Vec::new(),
        next: part.next,
    };
    for one in part.webhooks {
        match one {
            Listed::Valid(stored) => {
                let held = held.remove(&stored.webhook.id);
                list.items.push(WebhookView::of(*stored).held_back(held));
            }
            Listed::Invalid { id, reason } => {
                let problem = reason.to_string();
                list.unusable.push(Unusable { id, problem });
            }
        }
    }
    Ok(axum::Json(list))
}

/// Get a webhook
#[utoipa::path(
    get,
    path = "/webhooks/{id}",
    operation_id = "get_webhook",
    tag = "webhooks",
    params(ForOrganization, ("id" = String, Path, description = "Its id, or its name")),
    responses(
        (status = 200, description = "The webhook", body = WebhookView,
         headers(("ETag" = String, description = "Its version"))),
        Usual, OfWebhook,
    )
)]
pub(super) async fn get(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let stored = app.deployment.webhooks.get(&organization, &id).await?;
    let version = stored.version.clone();
    let log = &app.deployment.delivery_log;
    let held = log.held_back_one(&organization, &stored.webhook.id).await?;
    let view = axum::Json(WebhookView::of(stored).held_back(held));
    Ok(tagged(&version, view.into_response()))
}
