//! Bodies of requests: read up to a limit, and as JSON that says what is wrong with it.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;

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

/// Reads JSON; whatever is wrong with it is said of its field.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
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
        return Problem::bad_request(format!("the body is no JSON: {error}"));
    }
    let detail = error.to_string();
    // Who wrote the body counts no columns.
    let detail = detail.split(" at line ").next().unwrap_or(&detail);
    let detail = &in_words_of_json(detail);
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

/// What is expected, in the words of JSON and not in those of our types.
fn in_words_of_json(detail: &str) -> String {
    let Some((before, expected)) = detail.rsplit_once(", expected ") else {
        return detail.to_owned();
    };
    let meant = match expected.split(' ').next() {
        Some("struct" | "map") => "an object",
        Some("sequence") => "a list",
        Some("u8" | "u16" | "u32" | "u64" | "usize") => "a whole number",
        Some("f32" | "f64") => "a number",
        Some("boolean" | "bool") => "true or false",
        Some("string") => "a text",
        _ => expected,
    };
    let before = before.replace("invalid length", "a list of");
    let before = before.replace("invalid type: sequence", "invalid type: list");
    let before = before.replace("invalid type: map", "invalid type: object");
    format!("{}, expected {meant}", without_value(&before))
}

/// What is of a wrong type is told without itself: it may be a secret, or headers written as a text.
fn without_value(problem: &str) -> &str {
    if !problem.starts_with("invalid type: ") {
        return problem;
    }
    let kind = problem.split(['`', '"']).next().unwrap_or(problem);
    kind.trim_end()
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
            (
                r#"{"name":1}"#,
                "name",
                "name: invalid type: integer, expected a string",
            ),
            (
                r#"{"name":"n","inner":{"count":"x"}}"#,
                "inner.count",
                "inner.count: invalid type: string, expected a whole number",
            ),
            (
                r#"{"name":"n","inner":"Authorization: Bearer s3cr3t"}"#,
                "inner",
                "inner: invalid type: string, expected an object",
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
            ("{", 400, "the body is no JSON: EOF while parsing"),
            (
                r#"{"name":"n"} x"#,
                400,
                "the body is no JSON: trailing characters",
            ),
            ("[]", 422, "the body: a list of 0, expected an object"),
            (
                "1",
                422,
                "the body: invalid type: integer, expected an object",
            ),
            (
                r#""a, expected \"secret\"""#,
                422,
                "the body: invalid type: string, expected an object",
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
