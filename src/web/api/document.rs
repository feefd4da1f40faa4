//! The OpenAPI 3.1 document, made from the handlers themselves.

use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::routes;
use crate::web::problem::Problem;

#[derive(OpenApi)]
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
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some("One of PRISM_API_TOKEN's".to_owned());
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// What the document says beside the operations.
pub(super) fn frame() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// The OpenAPI 3.1 document.
pub fn document() -> utoipa::openapi::OpenApi {
    routes().split_for_parts().1
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
pub(super) async fn serve() -> impl IntoResponse {
    let json = document().to_json().unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], json)
}
