//! For whoever watches the process: whether it lives, and whether it can take events.

use axum::extract::State;
use axum::http::StatusCode;

use super::Api;
use super::problem::Problem;

/// Whether events can be taken now
///
/// In embedded mode: the database can be read. Otherwise: there is a connection to RabbitMQ.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses(
        (status = 200, description = "Events can be taken", body = String),
        (status = 503, description = "They cannot, and why", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn ready(State(api): State<Api>) -> Result<&'static str, Problem> {
    match api.deployment.intake.ready().await {
        Ok(()) => Ok("ready\n"),
        Err(error) => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            error.to_string(),
        )),
    }
}

/// Whether the process answers at all
#[utoipa::path(
    get,
    path = "/livez",
    tag = "health",
    responses((status = 200, description = "It does", body = String))
)]
pub(super) async fn live() -> &'static str {
    "alive\n"
}
