//! The headers of a request.

use axum::http::HeaderMap;
use axum::http::header::AsHeaderName;

/// A header's value, if it is there and legible.
pub(super) fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
