//! Which refusals every operation documents, by its kind.

use std::collections::BTreeMap;

use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{ContentBuilder, Ref, RefOr};
use utoipa::{IntoParams, IntoResponses};

use super::texts::{CursorText, EventIdText, OrganizationText, TagText};

/// What any operation may answer.
pub(super) struct Usual;

/// What an operation on one webhook may answer besides.
pub(super) struct OfWebhook;

/// What a change of a webhook may answer besides.
pub(super) struct OfChange;

/// What an operation with a JSON body may answer besides.
pub(super) struct WithBody;

const USUAL: [(&str, &str); 5] = [
    ("400", "The request cannot be read"),
    ("401", "A token is missing, or is none"),
    ("403", "The token may not act for this organization"),
    ("429", "Too many wrong tokens come at present"),
    (
        "503",
        "The store or RabbitMQ is away, or takes nothing for now",
    ),
];

const OF_WEBHOOK: [(&str, &str); 3] = [
    ("404", "There is no such webhook in this organization"),
    ("409", "Several webhooks have this name"),
    ("422", "What is stored under the id cannot be used"),
];

const OF_CHANGE: [(&str, &str); 1] = [("412", "It was changed since")];

const WITH_BODY: [(&str, &str); 4] = [
    ("408", "The body came too slowly"),
    ("413", "The body is too large"),
    ("415", "The body is not JSON"),
    (
        "422",
        "The body can be read and makes no sense, and in which fields",
    ),
];

impl IntoResponses for Usual {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        described(&USUAL)
    }
}

impl IntoResponses for OfWebhook {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        described(&OF_WEBHOOK)
    }
}

impl IntoResponses for OfChange {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        described(&OF_CHANGE)
    }
}

impl IntoResponses for WithBody {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        described(&WITH_BODY)
    }
}

fn described(all: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let problem = || {
        let schema = Ref::from_schema_name("Problem");
        ContentBuilder::new().schema(Some(schema)).build()
    };
    let response = |description: &str| {
        ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", problem())
            .build()
    };
    all.iter()
        .map(|(status, description)| ((*status).to_owned(), response(description).into()))
        .collect()
}

/// Whom a request is about.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(
    dead_code,
    reason = "documentation: the header is read by `authentication`"
)]
pub(super) struct ForOrganization {
    /// The organization; the token's own if it is bound to one, else `default`.
    #[param(rename = "X-Prism-Organization", value_type = OrganizationText, inline, required = false)]
    organization: Option<String>,
}

/// The version of a webhook that a change is meant for.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documentation: the header is read by `IfMatch`")]
pub(super) struct Precondition {
    /// The `ETag` that was seen: the change is refused with 412 if the webhook was changed since. `*`,
    /// or none: whatever it is now.
    #[param(rename = "If-Match", value_type = TagText, inline, required = false)]
    if_match: Option<String>,
}

/// Where a reader of a stream goes on.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documentation: the header is read by the handler")]
pub(super) struct LastEventId {
    /// Go on behind the event with this id.
    #[param(rename = "Last-Event-ID", value_type = CursorText, inline, required = false)]
    last_event_id: Option<String>,
}

/// What is said of an event beside its body.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(
    dead_code,
    reason = "documentation: the headers are read by the handler"
)]
pub(super) struct EventHeaders {
    /// The event's id, of a single event only; a new one if it is absent.
    #[param(rename = "X-Prism-Event-Id", value_type = EventIdText, inline, required = false)]
    event_id: Option<String>,
    /// W3C trace context, carried on to the receivers.
    #[param(rename = "traceparent", value_type = String, required = false)]
    traceparent: Option<String>,
}
