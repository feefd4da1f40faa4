//! New attempts as they are made: server-sent events.

use std::convert::Infallible;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};

use super::{AttemptView, FilterQuery};
use crate::web::api::answers::{ForOrganization, LastEventId, Usual};
use crate::web::api::authentication::CurrentOrganization;
use crate::web::api::query::Query;
use crate::web::cursor::Cursor;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// Where a reader goes on that lost the connection: the id of the last event that it had.
const LAST_EVENT_ID: &str = "last-event-id";

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
        FilterQuery,
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
    Query(filter): Query<FilterQuery>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let after = match headers.get(LAST_EVENT_ID) {
        None => None,
        Some(value) => {
            let cursor = value.to_str().ok().and_then(Cursor::new);
            let detail = "the header Last-Event-ID is the id of an event of this stream";
            Some(cursor.ok_or_else(|| Problem::bad_request(detail))?)
        }
    };
    let after = after.map(|cursor| cursor.as_str().to_owned());
    let filter = filter.filter(organization);
    let attempts = app.deployment.delivery_log.follow(filter, after).await?;
    let events = attempts.map(|one| {
        let view = AttemptView::from(one.attempt);
        let json = serde_json::to_string(&view).unwrap_or_default();
        Ok(Event::default().event("attempt").id(one.entry).data(json))
    });
    let events = events.take_until(app.stop.clone().cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}
