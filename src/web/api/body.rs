//! Bodies of requests: read up to a limit, and as JSON that says what is wrong with it.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::domain::event::syntax;
use crate::web::headers::text;
use crate::web::port::whole_body;
use crate::web::problem::Problem;

/// The largest JSON body: a webhook with everything it may have is far smaller.
const JSON_LIMIT: usize = 256 * 1024;

/// A JSON body.
pub(super) struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        refuse_encoded(&parts.headers)?;
        if !is_media_type(&parts.headers, "application/json") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send JSON with Content-Type: application/json",
            ));
        }
        let body = read(body, JSON_LIMIT).await?;
        parse(&body).map(Self)
    }
}

/// The body comes as it is.
pub(super) fn refuse_encoded(headers: &HeaderMap) -> Result<(), Problem> {
    match text(headers, header::CONTENT_ENCODING) {
        None => Ok(()),
        Some(encoding) if encoding.eq_ignore_ascii_case("identity") => Ok(()),
        Some(encoding) => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("send the body as it is: the encoding {encoding:?} is not taken"),
        )),
    }
}

/// Reads JSON; whatever is wrong with it is said of its field.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.trim_ascii().is_empty() {
        return Err(Problem::bad_request(
            "the body is empty; send a JSON object, as {}",
        ));
    }
    if body.starts_with("\u{feff}".as_bytes()) {
        let problem =
            "the body begins with a byte order mark (EF BB BF), which JSON has not; leave it out";
        return Err(Problem::bad_request(problem));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut json);
    let value = read.map_err(|error| wrong(&error.path().to_string(), error.inner()))?;
    json.end().map_err(|error| wrong(ROOT, &error))?;
    Ok(value)
}

/// How the path of the whole body is written.
const ROOT: &str = ".";

fn wrong(path: &str, error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        let said = syntax(&error.to_string());
        return Problem::bad_request(format!("the body is no JSON: {said}"));
    }
    let detail = error.to_string();
    // Who wrote the body counts no columns.
    let detail = detail.split(" at line ").next().unwrap_or(&detail);
    let detail = &said_of(path, detail);
    let unknown_or_missing = || {
        let named = detail.split_once(" field `")?.1;
        Some(named.split_once('`')?.0.to_owned())
    };
    let named = unknown_or_missing();
    let part = match (path, named) {
        (ROOT, Some(name)) => name,
        (ROOT, None) => return Problem::unprocessable(format!("the body: {detail}")),
        (path, Some(name)) if !path.ends_with(&name) => format!("{path}.{name}"),
        (path, _) => path.to_owned(),
    };
    Problem::field(&part, detail)
}

/// What is wrong with a field, or with a parameter.
pub(super) fn said_of(path: &str, detail: &str) -> String {
    let name = path.rsplit('.').next().unwrap_or(path);
    if ["since", "until"].contains(&name) && !detail.contains(" field `") {
        return "write a time, as in 2026-01-31T12:00:00Z".to_owned();
    }
    if detail == "invalid digit found in string" || detail.starts_with("cannot parse integer") {
        return "write a whole number".to_owned();
    }
    in_words_of_json(detail)
}

/// What is expected, in the words of JSON and not in those of our types.
fn in_words_of_json(detail: &str) -> String {
    let detail = &detail.replace("unknown variant", "there is no");
    let Some((before, expected)) = detail.rsplit_once(", expected ") else {
        return detail.clone();
    };
    let bare = expected.strip_prefix("a ").unwrap_or(expected);
    let meant = match bare.split(' ').next() {
        Some("struct" | "map") => "an object",
        Some("sequence") => "a list",
        Some("u8" | "u16" | "u32" | "u64" | "usize") => "a whole number",
        Some("f32" | "f64") => "a number",
        Some("boolean" | "bool") => "true or false",
        Some("string") => "a text",
        _ => expected,
    };
    let before = before.replace("invalid length", "a list of");
    let before = match before.strip_prefix("invalid type: ") {
        Some(found) => kind(found).to_owned(),
        None => before
            .replace("invalid value: ", "")
            .replace("integer `", "number `")
            .replace("floating point `", "number `")
            .replace("string \"", "text \""),
    };
    format!("{before}, expected {meant}")
}

/// What is there in place of what is expected, without itself: it may be a secret, or headers written as a
/// text.
fn kind(found: &str) -> &str {
    let kind = found.split(['`', '"']).next().unwrap_or(found).trim_end();
    match kind {
        "integer" | "floating point" => "a number",
        "string" => "a text",
        "sequence" => "a list",
        "map" => "an object",
        "boolean" => "true or false",
        other => other,
    }
}

/// Reads a body of at most `limit` bytes.
pub(super) async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let read = whole_body::read(body, limit).await;
    read.map_err(|error| Problem::new(error.status(), error.to_string()))
}

/// Whether the body is said to be of this media type, whatever its parameters.
pub(super) fn is_media_type(headers: &HeaderMap, wanted: &str) -> bool {
    let said = text(headers, header::CONTENT_TYPE).unwrap_or("");
    let essence = said.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read is asked")]
    struct Outer {
        name: String,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it can be read is asked")]
    struct Inner {
        count: u32,
    }

    #[test]
    fn what_is_wrong_is_said_of_its_field() {
        for (body, part, detail) in [
            (r#"{"name":1}"#, "name", "name: a number, expected a text"),
            (
                r#"{"name":"n","inner":{"count":"x"}}"#,
                "inner.count",
                "inner.count: a text, expected a whole number",
            ),
            (
                r#"{"name":"n","inner":"Authorization: Bearer s3cr3t"}"#,
                "inner",
                "inner: a text, expected an object",
            ),
            (
                r#"{"name":"n","inner":{"count":1,"more":1}}"#,
                "inner.more",
                "unknown field `more`",
            ),
            (
                r#"{"name":"n","inner":{}}"#,
                "inner.count",
                "missing field `count`",
            ),
            (
                r#"{"nom":"n"}"#,
                "nom",
                "unknown field `nom`, expected `name` or `inner`",
            ),
            (r#"{}"#, "name", "missing field `name`"),
        ] {
            let problem = parse::<Outer>(body.as_bytes()).unwrap_err();
            let said = serde_json::to_value(&problem).unwrap();
            assert_eq!(said["status"], 422, "{said}");
            assert_eq!(said["errors"][0]["part"], part, "{said}");
            let text = said["detail"].as_str().unwrap();
            assert!(
                text.contains(detail) && !text.contains(" at line "),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_json_or_has_no_fields_says_so() {
        for (body, status, detail) in [
            ("{", 400, "the body is no JSON: it ends within an object"),
            ("", 400, "the body is empty"),
            ("\u{feff}{}", 400, "the body begins with a byte order mark"),
            (
                r#"{"name":"n"} x"#,
                400,
                "the body is no JSON: trailing characters",
            ),
            ("[]", 422, "the body: a list of 0, expected an object"),
            ("1", 422, "the body: a number, expected an object"),
            (
                r#""a, expected \"secret\"""#,
                422,
                "the body: a text, expected an object",
            ),
        ] {
            let problem = parse::<Outer>(body.as_bytes()).unwrap_err();
            assert_eq!(problem.status().as_u16(), status, "{body}");
            let said = serde_json::to_value(&problem).unwrap();
            let text = said["detail"].as_str().unwrap();
            assert!(text.starts_with(detail), "{text}");
        }
    }
}
