//! The OpenAPI 3.1 document, made from the handlers themselves.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::Value;
use utoipa::Modify;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr};

use super::{conditions, routes};
use crate::domain::ids::EventType;
use crate::domain::matching;
use crate::web::problem::Problem;
use crate::web::state::AppState;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "prism-webhooks",
        description = "Register webhooks, publish events, and read what became of each delivery.\n\n\
            Every error is a problem document (RFC 9457). A request is about the organization in \
            X-Prism-Organization; a token that is bound to one acts for no other. A deployment \
            without tokens listens on loopback alone and asks for none.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(Problem)),
    security(("token" = [])),
    modifiers(&Token),
    tags(
        (name = "events", description = "What happened in the gateway"),
        (name = "webhooks", description = "Registered receivers"),
        (name = "attempts", description = "Every request that was made"),
        (name = "deliveries", description = "One event on its way to one webhook"),
        (name = "dead letters", description = "What was given up"),
        (name = "audit", description = "Who changed what, and when"),
        (name = "health", description = "For whoever watches the process"),
    )
)]
struct Document;

/// How one shows who one is.
struct Token;

impl Modify for Token {
    fn modify(&self, openapi: &mut OpenApi) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some("One of PRISM_API_TOKEN's".to_owned());
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// What the document says beside the operations.
pub(super) fn frame() -> OpenApi {
    <Document as utoipa::OpenApi>::openapi()
}

/// The OpenAPI 3.1 document, of any deployment.
pub fn document() -> OpenApi {
    let mut document = routes().split_for_parts().1;
    conditions::add(&mut document);
    document
}

/// The same, of a deployment that has these event types.
fn of_deployment(types: &BTreeSet<EventType>) -> OpenApi {
    let mut document = document();
    let components = document.components.get_or_insert_default();
    if let Some(RefOr::T(Schema::Object(event))) = components.schemas.get_mut("EventBody")
        && let Some(RefOr::T(Schema::Object(name))) = event.properties.get_mut("event")
    {
        let names = types.iter().map(|name| name.as_str().into());
        name.enum_values = Some(names.collect());
    }
    if let Some(RefOr::T(Schema::Object(entry))) =
        components.schemas.get_mut("EventSubscriptionText")
    {
        let entries = matching::entries(types).into_iter().map(Value::from);
        entry.enum_values = Some(entries.collect());
    }
    document
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "openapi",
    tag = "health",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value, content_type = "application/json"))
)]
pub(super) async fn serve(State(app): State<AppState>) -> impl IntoResponse {
    let document = of_deployment(&app.rules.event_types);
    let json = document.to_json().unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], json)
}
