//! The JSON API under `/api/v1`, the same in either mode.
//!
//! | file | what it does |
//! |---|---|
//! | [`listener`](Listener) | the port, and who may listen where |
//! | `authentication` | who may ask, and for which organization |
//! | [`problem`] | every error, as problem details (RFC 9457) |
//! | `events`, `webhooks`, `health` | a resource each |
//!
//! The OpenAPI document is made from the handlers themselves ([`document`]).

pub(crate) mod authentication;
mod body;
mod events;
mod health;
mod listener;
pub mod problem;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::ApiToken;
use crate::deployment::Deployment;
use crate::domain::event::EventRules;
use crate::page;

pub use listener::{Listener, ServeError};

/// What the handlers work with.
#[derive(Clone)]
pub struct Api {
    /// What is asked and told.
    pub deployment: Deployment,
    /// What counts as an event.
    pub rules: EventRules,
    /// Who may ask; nobody in particular if there are none.
    pub tokens: Arc<[ApiToken]>,
    /// Cancelled once everything behind the API has been set up.
    pub started: CancellationToken,
    /// Cancelled when the service is to stop: live streams end then.
    pub stop: CancellationToken,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "prism-webhooks",
        description = "Register webhooks, publish events, and read what became of each delivery."
    ),
    tags(
        (name = "events", description = "What happened in the gateway"),
        (name = "webhooks", description = "Registered receivers"),
        (name = "health", description = "For whoever watches the process"),
    )
)]
struct Document;

/// All routes, with their documentation.
fn routes() -> OpenApiRouter<Api> {
    let resources = OpenApiRouter::new()
        .routes(routes!(events::publish))
        .routes(routes!(webhooks::create));
    OpenApiRouter::with_openapi(Document::openapi())
        .nest("/api/v1", resources)
        .routes(routes!(health::ready))
        .routes(routes!(health::live))
}

/// The OpenAPI 3.1 document.
pub fn document() -> utoipa::openapi::OpenApi {
    routes().split_for_parts().1
}

/// The service: the API, and the page beside it.
fn router(api: Api) -> Router {
    let (router, _) = routes().split_for_parts();
    let authenticate = middleware::from_fn_with_state(api.clone(), authentication::check);
    let page = page::router(&api);
    router
        .layer(authenticate)
        .merge(page)
        .fallback(problem::no_such_resource)
        .method_not_allowed_fallback(problem::no_such_method)
        .with_state(api)
}
