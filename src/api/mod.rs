//! The JSON API under `/api/v1`, the same in either mode.
//!
//! | file | what it does |
//! |---|---|
//! | `authentication` | who may ask, and for which organization |
//! | `body`, `query` | what comes in, read strictly |
//! | `answers` | which refusals an operation documents |
//! | [`problem`] | every error, as problem details (RFC 9457) |
//! | `events`, `webhooks`, `attempts`, `deliveries`, `dead_letters`, `health` | a resource each |
//! | `document` | the OpenAPI document, made from the handlers themselves |

mod answers;
mod attempts;
pub(crate) mod authentication;
mod body;
mod dead_letters;
mod deliveries;
mod document;
mod events;
mod health;
pub mod problem;
pub(crate) mod query;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::ApiToken;
use crate::domain::egress::Egress;
use crate::domain::event::EventRules;
use crate::engine::faults::Faults;
use crate::operations::deployment::Deployment;
use crate::operations::passes::Passes;
use crate::operations::test::Tester;

pub use document::document;

/// What the handlers work with.
#[derive(Clone)]
pub struct Api {
    /// What is asked and told.
    pub deployment: Deployment,
    /// What counts as an event.
    pub rules: Arc<EventRules>,
    /// Which addresses may be posted to.
    pub egress: Arc<Egress>,
    /// Sends test events.
    pub tester: Tester,
    /// Whether requests can be made.
    pub faults: Arc<Faults>,
    /// Passes through the dead letters that are under way here.
    pub passes: Passes,
    /// Who may ask; nobody in particular if there are none.
    pub tokens: Arc<[ApiToken]>,
    /// Cancelled once everything behind the API has been set up.
    pub started: CancellationToken,
    /// Cancelled when the service is to stop: live streams end then.
    pub stop: CancellationToken,
}

/// All routes, with their documentation.
fn routes() -> OpenApiRouter<Api> {
    let resources = OpenApiRouter::new()
        .routes(routes!(events::publish))
        .routes(routes!(events::types))
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(
            webhooks::get,
            webhooks::change::update,
            webhooks::change::delete
        ))
        .routes(routes!(webhooks::change::enable))
        .routes(routes!(webhooks::change::disable))
        .routes(routes!(webhooks::change::rotate_secret))
        .routes(routes!(webhooks::ask::test))
        .routes(routes!(webhooks::ask::explain))
        .routes(routes!(webhooks::statistics::get))
        .routes(routes!(attempts::list))
        .routes(routes!(attempts::stream::stream))
        .routes(routes!(deliveries::get))
        .routes(routes!(deliveries::retry))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::passes::requeue))
        .routes(routes!(dead_letters::passes::purge))
        .routes(routes!(
            dead_letters::passes::get,
            dead_letters::passes::stop
        ));
    OpenApiRouter::with_openapi(document::frame())
        .nest("/api/v1", resources)
        .routes(routes!(document::serve))
        .routes(routes!(health::ready))
        .routes(routes!(health::live))
}

/// The API's routes, behind its own doorkeeper.
pub(crate) fn router(api: &Api) -> Router<Api> {
    let (router, _) = routes().split_for_parts();
    let authenticate = middleware::from_fn_with_state(api.clone(), authentication::check);
    router.layer(authenticate)
}
