//! `ETag` and `If-Match`: a change names the version that it was made on.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;

use crate::registry::webhooks::{Target, Version};
use crate::web::problem::Problem;

/// The version that a change is meant for, if the request names one.
pub(in crate::web::api) struct IfMatch(Option<Version>);

impl IfMatch {
    /// The webhook to be changed.
    pub fn target<'a>(&'a self, reference: &'a str) -> Target<'a> {
        Target {
            reference,
            version: self.0.as_ref(),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else {
            return Ok(Self(None));
        };
        let text = value.to_str().unwrap_or("").trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let version = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .filter(|tag| {
                tag.len() == 16
                    && tag
                        .bytes()
                        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            });
        match version {
            Some(version) => Ok(Self(Some(Version::new(version)))),
            None => Err(Problem::bad_request(
                "the header If-Match takes one ETag as it was given, quotes included, or *",
            )),
        }
    }
}

/// Adds the `ETag` of this version.
pub(super) fn tagged(version: &Version, mut response: Response) -> Response {
    let tag = format!("\"{}\"", version.as_str());
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
