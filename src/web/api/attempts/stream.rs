//! New attempts as they are made: server-sent events.

use std::convert::Infallible;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use futures::Stream;

use super::{AttemptView, AttemptsQuery};
use crate::store::delivery_log::RecordedAttempt;
use crate::web::api::answers::{ForOrganization, LastEventId, Usual};
use crate::web::api::authentication::CurrentOrganization;
use crate::web::api::query::Query;
use crate::web::cursor::Cursors;
use crate::web::live::{self, Listener};
use crate::web::problem::Problem;
use crate::web::state::AppState;
use crate::web::streams::Holder;

/// Follow attempts as they are made
///
/// Server-sent events named `attempt`, each with an attempt as JSON: each once, in the order of the
/// record, however slowly they are read. The stream ends only when the process stops or the reader
/// leaves. `Last-Event-ID` goes on behind the event with that id, as browsers do by themselves. A token
/// has so many streams at once (`api.max_streams_per_token`); one more is refused with 429.
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
        (
            status = 429,
            description = "As many live streams are open with this token as may be, or too many wrong tokens come",
            body = Problem,
            content_type = "application/problem+json",
        ),
    )
)]
pub(in crate::web::api) async fn stream(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    Extension(holder): Extension<Holder>,
    headers: HeaderMap,
    Query(filter): Query<AttemptsQuery>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let listener = Listener::new(&app, holder, &organization).await?;
    let after = listener.last_event_id(&headers).map(|last| {
        let detail = "the header Last-Event-ID is the id of an event of this stream";
        last.ok_or_else(|| Problem::bad_request(detail))
    });
    let (after, name) = (after.transpose()?, Some("attempt"));
    let (filter, never) = (filter.filter(organization), std::future::pending());
    let show = |one: RecordedAttempt, _: &Cursors| {
        let view = AttemptView::from(one.attempt);
        serde_json::to_string(&view).unwrap_or_default()
    };
    let attempts = live::attempts(&app, listener, filter, after, name, never, show);
    Ok(attempts.await?)
}
