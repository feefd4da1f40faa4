//! Which request headers a webhook may add to its requests.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};

/// The most headers of its own that a webhook may have.
pub const MAX_HEADERS: usize = 32;

/// Why a webhook may not have a header. The value is never quoted: it may be a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// The name breaks RFC 9110.
    #[error("{0:?} is not a header name")]
    Name(String),
    /// The value breaks RFC 9110.
    #[error("the value of header {0:?} has characters that a header cannot carry")]
    Value(String),
    /// The name is one that the request sets itself, or that belongs to the connection.
    #[error("the header {0:?} is set by the delivery itself and cannot be overridden")]
    Reserved(String),
    /// Two names are the same, for case does not count.
    #[error("the header {0:?} is given twice: names are the same whatever their case")]
    Twice(String),
    /// There are too many.
    #[error("a webhook may have at most {MAX_HEADERS} headers of its own, not {0}")]
    TooMany(usize),
}

/// Hop-by-hop headers (RFC 9110, 7.6.1), and those that say where and what a request is.
pub const RESERVED: [&str; 15] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "host",
    "user-agent",
    "traceparent",
    "tracestate",
    "http2-settings",
];

/// How names begin that are ours.
pub const RESERVED_PREFIXES: [&str; 3] = ["content-", "x-prism-", "webhook-"];

/// The regular expression that names match, the reserved ones included.
pub const NAME_PATTERN: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/// The regular expression that values match.
pub const VALUE_PATTERN: &str = r"^[^\u0000-\u0008\u000a-\u001f\u007f]*$";

/// Takes a webhook's own headers if it may have them all.
pub fn check(
    headers: &BTreeMap<String, String>,
) -> Result<Vec<(HeaderName, HeaderValue)>, InvalidHeader> {
    if headers.len() > MAX_HEADERS {
        return Err(InvalidHeader::TooMany(headers.len()));
    }
    let mut checked = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let (parsed, value) = check_one(name, value)?;
        if checked.iter().any(|(before, _)| *before == parsed) {
            return Err(InvalidHeader::Twice(name.clone()));
        }
        checked.push((parsed, value));
    }
    Ok(checked)
}

fn check_one(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), InvalidHeader> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| InvalidHeader::Name(name.chars().take(100).collect()))?;
    let lower = parsed.as_str();
    if RESERVED.contains(&lower) || RESERVED_PREFIXES.iter().any(|p| lower.starts_with(p)) {
        return Err(InvalidHeader::Reserved(name.to_owned()));
    }
    let mut value =
        HeaderValue::from_str(value).map_err(|_| InvalidHeader::Value(name.to_owned()))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Result<Vec<(HeaderName, HeaderValue)>, InvalidHeader> {
        check(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn ordinary_headers_are_taken_and_their_values_not_printed() {
        let headers = one("Authorization", "Bearer abc").unwrap();
        assert_eq!(headers[0].0, "authorization");
        assert!(!format!("{headers:?}").contains("abc"));
    }

    #[test]
    fn headers_of_the_connection_and_of_the_delivery_are_refused() {
        for name in [
            "Host",
            "Content-Type",
            "CONNECTION",
            "X-Prism-Signature",
            "webhook-id",
            "te",
        ] {
            assert_eq!(
                one(name, "x"),
                Err(InvalidHeader::Reserved(name.to_owned()))
            );
        }
    }

    #[test]
    fn a_name_counts_once_whatever_its_case() {
        let both = ["X-A", "x-a"].map(|name| (name.to_owned(), "1".to_owned()));
        let twice = InvalidHeader::Twice("x-a".to_owned());
        assert_eq!(check(&BTreeMap::from(both)), Err(twice));
    }

    #[test]
    fn what_http_cannot_carry_is_refused() {
        assert_eq!(one("a b", "x"), Err(InvalidHeader::Name("a b".to_owned())));
        assert_eq!(
            one("a", "x\r\ny: z"),
            Err(InvalidHeader::Value("a".to_owned()))
        );
    }
}
