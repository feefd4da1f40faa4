//! The JSON API under `/api/v1`, the same in either mode.
//!
//! | file | what it does |
//! |---|---|
//! | `authentication` | who may ask, and for which organization |
//! | `body`, `query`, `parameters` | what comes in, read strictly |
//! | `answers` | which refusals an operation documents |
//! | `texts` | what texts the document allows |
//! | `whole` | whole numbers, however they are written |
//! | `events`, `webhooks`, `attempts`, `deliveries`, `dead_letters`, `audit`, `health` | a resource each |
//! | `document` | the OpenAPI document, made from the handlers themselves |
//! | `conditions` | what it says of fields that need or exclude each other |

mod answers;
mod attempts;
mod audit;
mod authentication;
mod body;
mod conditions;
mod dead_letters;
mod deliveries;
mod document;
mod events;
mod health;
mod parameters;
mod query;
mod texts;
mod webhooks;
mod whole;

use axum::Router;
use axum::middleware;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::AppState;

pub use document::document;

/// All routes, with their documentation.
fn routes() -> OpenApiRouter<AppState> {
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
        .routes(routes!(webhooks::secret::rotate_secret))
        .routes(routes!(webhooks::secret::promote_secret))
        .routes(routes!(webhooks::secret::drop_staged_secret))
        .routes(routes!(webhooks::diagnose::test))
        .routes(routes!(webhooks::diagnose::explain))
        .routes(routes!(webhooks::statistics::get))
        .routes(routes!(attempts::list))
        .routes(routes!(attempts::stream::stream))
        .routes(routes!(audit::list))
        .routes(routes!(deliveries::get))
        .routes(routes!(deliveries::retry))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::jobs::requeue))
        .routes(routes!(dead_letters::jobs::purge))
        .routes(routes!(dead_letters::jobs::get, dead_letters::jobs::stop));
    OpenApiRouter::with_openapi(document::frame())
        .nest("/api/v1", resources)
        .routes(routes!(document::serve))
        .routes(routes!(health::ready))
        .routes(routes!(health::live))
}

/// The API's routes, behind its own doorkeeper.
pub(crate) fn router(app: &AppState) -> Router<AppState> {
    let (router, document) = routes().split_for_parts();
    let names = parameters::names(&document);
    let known = middleware::from_fn_with_state(names, parameters::check);
    let authenticate = middleware::from_fn_with_state(app.clone(), authentication::check);
    router.layer(known).layer(authenticate)
}
