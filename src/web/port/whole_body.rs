//! A request's body, read whole: at most so large, and within its time.

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use http_body_util::LengthLimitError;
use hyper::body::Body as _;

use super::timed_body::TooSlow;

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(in crate::web) enum BodyError {
    /// It is larger than its limit, in bytes. Nothing is read of one that says so beforehand.
    #[error("the body has more than {0} bytes, the limit here")]
    TooLarge(usize),
    /// It came too slowly.
    #[error("the body came too slowly: {0}")]
    TooSlow(String),
    /// It broke off, or was no body.
    #[error("the body did not come whole: {0}")]
    Broken(axum::Error),
}

impl BodyError {
    /// The HTTP status that it is answered with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Broken(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a body of at most `limit` bytes.
pub(in crate::web) async fn read(body: Body, limit: usize) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(BodyError::TooLarge(limit));
    }
    let read = axum::body::to_bytes(body, limit).await;
    read.map_err(|error| {
        let first: &(dyn std::error::Error + 'static) = &error;
        for cause in std::iter::successors(Some(first), |cause| cause.source()) {
            if cause.is::<LengthLimitError>() {
                return BodyError::TooLarge(limit);
            }
            if let Some(slow) = cause.downcast_ref::<TooSlow>() {
                return BodyError::TooSlow(slow.to_string());
            }
        }
        BodyError::Broken(error)
    })
}
