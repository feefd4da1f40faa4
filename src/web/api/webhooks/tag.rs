//! `ETag` and `If-Match`: a change names the version that it was made on.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;

use crate::registry::webhooks::{Target, Version};
use crate::web::problem::Problem;

/// The regular expression that tags match.
pub(in crate::web::api) const PATTERN: &str = "^\"[0-9a-f]{16}\"$";

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

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[tokio::test]
    async fn one_tag_as_it_was_given_is_taken_and_what_the_pattern_says_is_one() {
        let pattern = regex::Regex::new(PATTERN).unwrap();
        for (text, tag) in [
            ("\"0123456789abcdef\"", true),
            ("0123456789abcdef", false),
            ("\"0123456789ABCDEF\"", false),
            ("\"0123456789abcde\"", false),
            ("W/\"0123456789abcdef\"", false),
            ("\"0123456789abcdef\", \"0123456789abcdef\"", false),
            ("\"", false),
            ("", false),
        ] {
            let request = Request::builder().header(header::IF_MATCH, text);
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            let read = IfMatch::from_request_parts(&mut parts, &()).await;
            assert_eq!(read.is_ok_and(|read| read.0.is_some()), tag, "{text}");
            assert_eq!(pattern.is_match(text), tag, "{text}");
        }
    }
}
