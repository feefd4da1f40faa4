//! Bodies of requests: read up to a limit, and as JSON that says what is wrong with it.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::web::headers::text;
use crate::web::problem::Problem;

/// The largest JSON body: a webhook with everything it may have is far smaller.
const JSON_LIMIT: usize = 256 * 1024;

/// A JSON body.
pub(super) struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_media_type(&parts.headers, "application/json") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send JSON with Content-Type: application/json",
            ));
        }
        let body = read(body, JSON_LIMIT).await?;
        let value = serde_json::from_slice(&body);
        value.map(Self).map_err(|error| {
            let detail = format!("the body cannot be read: {error}");
            if error.is_data() {
                Problem::unprocessable(detail)
            } else {
                Problem::bad_request(detail)
            }
        })
    }
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    axum::body::to_bytes(body, limit).await.map_err(|error| {
        let cause = std::error::Error::source(&error);
        if cause.is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>()) {
            let detail = format!("the body has more than {limit} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        } else {
            Problem::bad_request(format!("the body did not come whole: {error}"))
        }
    })
}

/// Whether the body is said to be of this media type, whatever its parameters.
pub(super) fn is_media_type(headers: &HeaderMap, wanted: &str) -> bool {
    let said = text(headers, header::CONTENT_TYPE).unwrap_or("");
    let essence = said.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case(wanted)
}
