//! New attempts as they are made: server-sent events.

use std::convert::Infallible;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use futures::Stream;

use super::{AttemptView, AttemptsQuery};
use crate::web::api::answers::{ForOrganization, LastEventId, Usual};
use crate::web::api::authentication::CurrentOrganization;
use crate::web::api::query::Query;
use crate::web::live;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// Follow attempts as they are made
///
/// Server-sent events named `attempt`, each with an attempt as JSON. The stream ends only when the
/// process stops or the reader leaves. `Last-Event-ID` goes on behind the event with that id, as
/// browsers do by themselves.
#[utoipa::path(
    get,
    path = "/attempts/stream",
    operation_id = "follow_attempts",
    tag = "attempts",
    params(
        ForOrganization,
        AttemptsQuery,
        LastEventId,
    ),
    responses(
        (status = 200, description = "Attempts as they are made", body = String, content_type = "text/event-stream"),
        Usual,
    )
)]
pub(in crate::web::api) async fn stream(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    headers: HeaderMap,
    Query(filter): Query<AttemptsQuery>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let after = live::last_event_id(&headers).map(|last| {
        let detail = "the header Last-Event-ID is the id of an event of this stream";
        last.ok_or_else(|| Problem::bad_request(detail))
    });
    let filter = filter.filter(organization);
    let (after, name) = (after.transpose()?, Some("attempt"));
    let attempts = live::attempts(&app, filter, after, name, std::future::pending(), |one| {
        let view = AttemptView::from(one.attempt);
        serde_json::to_string(&view).unwrap_or_default()
    });
    Ok(attempts.await?)
}
