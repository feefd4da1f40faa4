//! For whoever watches the process: whether it lives, and whether it can take events.

use axum::extract::State;
use axum::http::StatusCode;

use crate::web::problem::Problem;
use crate::web::state::AppState;

/// Whether events can be taken and delivered now
///
/// In embedded mode: the database can be read and takes writes. Otherwise: there is a connection to
/// RabbitMQ, which takes messages, and from this user; exchange and queues are there, and Redis takes
/// writes. In either: nothing keeps this
/// process from making requests, such as a lack of file handles, a resolver that does not answer, or
/// no network; and if it delivers, it gets messages, and what it does can be put on record.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "ready",
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "Events can be taken", body = String),
        (status = 503, description = "They cannot, and why", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn ready(State(app): State<AppState>) -> Result<&'static str, Problem> {
    let away = |why: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why);
    let ready = app.deployment.intake.ready().await;
    ready.map_err(|error| away(error.to_string()))?;
    let writable = app.deployment.delivery_log.writable().await;
    writable.map_err(|error| {
        away(format!(
            "nothing can be put on record, so deliveries wait: {error}"
        ))
    })?;
    if let Some(fault) = app.faults.current() {
        return Err(away(format!("deliveries are put off: {fault}")));
    }
    if let Some(why) = app.faults.standstill() {
        return Err(away(why));
    }
    if !app.started.is_cancelled() {
        return Err(away(
            "starting: what takes the events is being set up".to_owned(),
        ));
    }
    Ok("ready\n")
}

/// Whether the process answers at all
#[utoipa::path(
    get,
    path = "/livez",
    operation_id = "live",
    tag = "health",
    security(()),
    responses((status = 200, description = "It does", body = String))
)]
pub(super) async fn live() -> &'static str {
    "alive\n"
}
