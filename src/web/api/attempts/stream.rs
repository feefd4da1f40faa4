//! New attempts as they are made: server-sent events.

use std::convert::Infallible;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use futures::Stream;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

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

/// One server-sent event of the stream.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documentation: `live` writes the events")]
struct AttemptEvent {
    /// Always `attempt`.
    #[schema(pattern = "^attempt$")]
    event: String,
    /// Where the stream goes on behind it: for `Last-Event-ID`.
    #[schema(pattern = "^[A-Za-z0-9_-]{59}$")]
    id: String,
    /// The attempt.
    #[schema(value_type = AttemptJson)]
    data: String,
}

/// An attempt, as JSON in a text.
struct AttemptJson;

impl PartialSchema for AttemptJson {
    fn schema() -> RefOr<Schema> {
        let attempt = Ref::from_schema_name(AttemptView::name());
        ObjectBuilder::new()
            .schema_type(Type::String)
            .content_media_type("application/json")
            .content_schema(Some(attempt))
            .into()
    }
}

impl ToSchema for AttemptJson {}

/// What the events are called.
const EVENT: &str = "attempt";

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
        (status = 200, description = "Attempts as they are made", body = AttemptEvent, content_type = "text/event-stream"),
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
    let (after, name) = (after.transpose()?, Some(EVENT));
    let (filter, never) = (filter.filter(organization), std::future::pending());
    let show = |one: RecordedAttempt, _: &Cursors| {
        let view = AttemptView::from(one.attempt);
        serde_json::to_string(&view).unwrap_or_default()
    };
    let attempts = live::attempts(&app, listener, filter, after, name, never, show);
    Ok(attempts.await?)
}

#[cfg(test)]
mod tests {
    use crate::web::api::document;
    use crate::web::cursor::Cursor;

    use super::*;

    #[test]
    fn the_document_says_what_an_event_of_the_stream_has() {
        let said = serde_json::to_value(document()).unwrap();
        let schemas = &said["components"]["schemas"];
        let event = &schemas["AttemptEvent"]["properties"];
        assert_eq!(event["id"]["pattern"], Cursor::PATTERN);
        assert_eq!(event["event"]["pattern"], format!("^{EVENT}$"));
        let data = &schemas["AttemptJson"]["contentSchema"]["$ref"];
        let attempt = data.as_str().unwrap().rsplit('/').next().unwrap();
        assert!(schemas[attempt]["properties"]["delivery_id"].is_object());
    }
}
