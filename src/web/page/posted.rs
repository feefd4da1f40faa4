//! What a form sends: read whole before its handler has it, and no larger than that form can be.

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::error::PageError;
use crate::web::port::whole_body;

/// The largest form of a webhook: as typed, each character of what a webhook may have can be encoded
/// in nine.
const WEBHOOK: usize = 256 * 1024;

/// The largest choice among dead letters: a page of ids.
const CHOICE: usize = 64 * 1024;

/// The largest of all others: buttons, a token, a secret, a name.
const SMALL: usize = 8 * 1024;

/// The largest form that is sent to this path.
fn limit(path: &str) -> usize {
    match path {
        "/webhooks" | "/webhooks/{id}/settings" => WEBHOOK,
        "/dead-letters" => CHOICE,
        _ => SMALL,
    }
}

/// Reads what was sent, or refuses it with a page that says why.
pub async fn read(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let limit = limit(path.map_or("", MatchedPath::as_str));
    let (parts, sent) = request.into_parts();
    match whole_body::read(sent, limit).await {
        Ok(read) => next.run(Request::from_parts(parts, Body::from(read))).await,
        Err(error) => PageError::new(error.status(), error.to_string()).into_response(),
    }
}
