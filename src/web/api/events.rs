//! Events over HTTP: one, or a batch as NDJSON. Answered only when they are durable.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use tokio::task::{JoinError, spawn_blocking};
use utoipa::ToSchema;
use uuid::Uuid;

use super::answers::{EventHeaders, ForOrganization, Usual, WithBody};
use super::authentication::CurrentOrganization;
use super::body;
use crate::domain::event::{self, EventRules, Header, InvalidEvent, RawEvent, line, named_event};
use crate::domain::ids::{EventId, Organization};
use crate::domain::trace_context::TraceParent;
use crate::web::headers::text;
use crate::web::problem::{PartProblem, Problem};
use crate::web::state::AppState;

/// The header with an event's id, of the publisher's choosing.
pub const EVENT_ID: HeaderName = HeaderName::from_static("x-prism-event-id");

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The largest batch in bytes. Its events are held in memory until they are durable.
const BATCH_LIMIT: usize = 16 << 20;

/// The most events of a batch: each costs more than its bytes.
const BATCH_EVENTS: usize = 100_000;

/// After so many wrong lines of a batch no more are looked at.
const MOST_WRONG: usize = 100;

/// An event that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Published {
    /// The event's id: `X-Prism-Event-Id` if it was given, a new one otherwise. Receivers get it as
    /// `Webhook-Id`.
    id: String,
}

/// A batch that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PublishedBatch {
    /// The ids of the events, in the order of the lines.
    ids: Vec<String>,
}

/// What was taken: an event or a batch.
#[derive(Serialize, ToSchema)]
#[expect(dead_code, reason = "documentation: the answer is one of the two")]
#[serde(untagged)]
enum PublishedAny {
    One(Published),
    Batch(PublishedBatch),
}

/// An event: a JSON object that says what happened in its field `event`, and whatever else the
/// receivers are to get.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documentation: the bytes are carried on as they are"
)]
struct EventBody {
    /// The event type: one of this deployment's, which `GET /api/v1/event-types` lists.
    #[schema(
        pattern = "^[a-z0-9_-]+([.][a-z0-9_-]+)*$",
        max_length = 128,
        example = "request.completed"
    )]
    event: String,
    #[serde(flatten)]
    rest: std::collections::BTreeMap<String, serde_json::Value>,
}

/// An event type of this deployment.
#[derive(Debug, Serialize, ToSchema)]
struct EventTypeView {
    /// Its name, which is also the routing key.
    name: String,
}

/// The event types of this deployment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventTypeList {
    /// The event types, by name.
    items: Vec<EventTypeView>,
}

/// List event types
///
/// What the deployment takes as an event: the gateway's types, those that were configured besides,
/// and `webhook.disabled`, which it publishes itself.
#[utoipa::path(
    get,
    path = "/event-types",
    operation_id = "list_event_types",
    tag = "events",
    params(ForOrganization),
    responses((status = 200, description = "All of them", body = EventTypeList), Usual)
)]
pub(super) async fn types(
    State(app): State<AppState>,
    _: CurrentOrganization,
) -> axum::Json<EventTypeList> {
    let names = app.rules.event_types.iter();
    let items = names.map(|name| EventTypeView {
        name: name.to_string(),
    });
    axum::Json(EventTypeList {
        items: items.collect(),
    })
}

/// Publish an event, or a batch of them
///
/// The body is the event as receivers get it, byte for byte: a JSON object whose `event` is the
/// event type. With `Content-Type: application/x-ndjson` it is a batch of at most 100,000 events and
/// 16 MiB, one event a line; empty lines do not count. A line may be `{"id": "…", "body": {…}}` instead:
/// an event with an id of the publisher's, under which a batch whose answer was lost can be sent again
/// without receivers taking its events for others. A batch with a line that is no event is refused
/// whole, with the first hundred such lines told. The answer comes when everything is durable. After a
/// 503 some of a batch may have been taken.
#[utoipa::path(
    post,
    path = "/events",
    operation_id = "publish_events",
    tag = "events",
    params(
        ForOrganization,
        EventHeaders,
    ),
    request_body(content(
        (EventBody = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 202, description = "Durable, and on its way", body = PublishedAny),
        (status = 507, description = "The disk is full", body = Problem, content_type = "application/problem+json"),
        Usual, WithBody,
    )
)]
pub(super) async fn publish(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    body::refuse_encoded(&headers)?;
    let shared = SharedHeaders::new(&organization, &headers);
    if body::is_media_type(&headers, "application/x-ndjson") {
        if headers.contains_key(EVENT_ID) {
            let detail = "a batch has many events: X-Prism-Event-Id goes with a single one";
            return Err(Problem::bad_request(detail));
        }
        let body = body::read(body, BATCH_LIMIT).await?;
        let rules = Arc::clone(&app.rules);
        // Others are answered meanwhile: so many lines take a while.
        let reading = spawn_blocking(move || shared.batch(&body, &rules));
        let events = reading.await.map_err(broken)??;
        let ids = events.iter().filter_map(|event| event.message_id.clone());
        let ids = ids.collect();
        app.deployment.intake.accept(events).await?;
        return Ok(accepted(&PublishedBatch { ids }));
    }
    if !body::is_media_type(&headers, "application/json") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send an event with Content-Type: application/json, or a batch, one event a line, with \
             Content-Type: application/x-ndjson",
        ));
    }
    let body = body::read(body, app.rules.max_size).await?;
    let id = match headers.get(EVENT_ID) {
        None => Uuid::now_v7().to_string(),
        Some(id) => {
            let id = EventId::new(&String::from_utf8_lossy(id.as_bytes()));
            let id = id.map_err(|error| Problem::field("X-Prism-Event-Id", error.to_string()))?;
            id.to_string()
        }
    };
    let event = shared.event(named_event(&body)?, body, id.clone());
    event::decode(&event, &app.rules)?;
    app.deployment.intake.accept(vec![event]).await?;
    Ok(accepted(&Published { id }))
}

fn broken(error: JoinError) -> Problem {
    tracing::error!(%error, "a batch could not be read");
    let detail = "the batch could not be read; this is a fault of the service";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
}

fn accepted(answer: &impl Serialize) -> Response {
    (StatusCode::ACCEPTED, axum::Json(answer)).into_response()
}

/// The headers that the events of one request share.
struct SharedHeaders {
    organization: Header,
    traceparent: Header,
}

impl SharedHeaders {
    fn new(organization: &Organization, headers: &HeaderMap) -> Self {
        // As it is carried on, however long it came: each event of a batch has one of its own.
        let traceparent = text(headers, TRACEPARENT).and_then(TraceParent::parse);
        Self {
            organization: Header::Text(organization.as_str().as_bytes().to_vec()),
            traceparent: traceparent.map_or(Header::Absent, |parent| {
                Header::Text(parent.to_string().into_bytes())
            }),
        }
    }

    /// The event that `body` is.
    fn event(&self, event_type: String, body: Bytes, id: String) -> RawEvent {
        RawEvent {
            routing_key: event_type,
            message_id: Some(id),
            organization: self.organization.clone(),
            traceparent: self.traceparent.clone(),
            body,
            ..RawEvent::default()
        }
    }

    fn event_of_line(
        &self,
        batch: &Bytes,
        line: &[u8],
        rules: &EventRules,
    ) -> Result<RawEvent, InvalidEvent> {
        let line = line::read(line)?;
        let id = line.id.unwrap_or_else(|| Uuid::now_v7().to_string());
        let event = self.event(line.event_type, batch.slice_ref(line.body), id);
        event::decode(&event, rules).map(|_| event)
    }

    fn batch(&self, body: &Bytes, rules: &EventRules) -> Result<Vec<RawEvent>, Problem> {
        let (mut events, mut errors) = (Vec::new(), Vec::new());
        for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.trim_ascii().is_empty() {
                continue;
            }
            if events.len() == BATCH_EVENTS {
                let detail = format!("the batch has more than {BATCH_EVENTS} events; send several");
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
            }
            match self.event_of_line(body, line, rules) {
                Ok(event) => events.push(event),
                Err(error) => errors.push(PartProblem {
                    part: format!("line {}", index + 1),
                    detail: error.to_string(),
                }),
            }
            if errors.len() == MOST_WRONG {
                break;
            }
        }
        if !errors.is_empty() {
            let wrong = match errors.len() {
                1 => "one line is no event".to_owned(),
                MOST_WRONG => format!("{MOST_WRONG} lines are no events, and no more were read"),
                many => format!("{many} lines are no events"),
            };
            let detail = format!("nothing was taken: {wrong}");
            return Err(Problem::unprocessable(detail).with_errors(errors));
        }
        if events.is_empty() {
            return Err(Problem::unprocessable("the batch has no events"));
        }
        Ok(events)
    }
}

impl From<InvalidEvent> for Problem {
    fn from(error: InvalidEvent) -> Self {
        Self::of(&error)
    }
}
