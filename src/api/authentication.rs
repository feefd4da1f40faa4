//! Who may ask: a bearer token, for all organizations or bound to one.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Api;
use super::problem::Problem;
use crate::config::ApiToken;
use crate::domain::ids::Organization;

/// The header that names the organization a request is about.
pub const ORGANIZATION: &str = "x-prism-organization";

/// What anybody may ask.
const OPEN: [&str; 2] = ["/readyz", "/livez"];

/// The organization that a request is about, checked against the token that it came with.
#[derive(Debug, Clone)]
pub(super) struct Acting(pub Organization);

/// Lets requests with a token through, those that need none, and all if there are no tokens.
pub(super) async fn check(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    match acting(&api.tokens, request.headers()) {
        Ok(acting) => {
            request.extensions_mut().insert(acting);
            next.run(request).await
        }
        Err(problem) => {
            let unauthorized = problem.status() == StatusCode::UNAUTHORIZED;
            let mut response = problem.into_response();
            if unauthorized {
                let scheme = header::HeaderValue::from_static("Bearer");
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, scheme);
            }
            response
        }
    }
}

fn acting(tokens: &[ApiToken], headers: &HeaderMap) -> Result<Acting, Problem> {
    let bound = if tokens.is_empty() {
        None
    } else {
        let token = bearer(headers).and_then(|given| find(tokens, given));
        let refusal = "this needs a token: Authorization: Bearer TOKEN, one of PRISM_API_TOKEN's";
        token
            .ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, refusal))?
            .organization()
    };
    let named = headers.get(ORGANIZATION);
    let named = named.map(|value| value.to_str().unwrap_or("\u{fffd}"));
    let asked = match named {
        Some(name) => Some(Organization::new(name).map_err(|error| {
            Problem::bad_request(format!("the header {ORGANIZATION}: {error}"))
        })?),
        None => None,
    };
    match (bound, asked) {
        (Some(bound), Some(asked)) if *bound != asked => {
            let detail = format!("this token may not act for organization {asked}");
            Err(Problem::new(StatusCode::FORBIDDEN, detail))
        }
        (Some(bound), _) => Ok(Acting(bound.clone())),
        (None, asked) => Ok(Acting(asked.unwrap_or_default())),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

/// The token that equals `given`. Digests are compared, all of them and whole, so that the time
/// taken tells nothing of how much was right.
pub(crate) fn find<'a>(tokens: &'a [ApiToken], given: &str) -> Option<&'a ApiToken> {
    let given = Sha256::digest(given);
    tokens.iter().fold(None, |found, token| {
        let equal = Sha256::digest(token.expose()).ct_eq(&given);
        if bool::from(equal) {
            Some(token)
        } else {
            found
        }
    })
}

impl<S: Sync> FromRequestParts<S> for Acting {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Set by `check`, which stands before every handler.
        let acting = parts.extensions.get().cloned();
        acting.ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "this needs a token"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = of
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        pairs.collect()
    }

    fn ask(tokens: &[ApiToken], of: &[(&'static str, &'static str)]) -> Result<String, u16> {
        acting(tokens, &headers(of))
            .map(|acting| acting.0.to_string())
            .map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn without_tokens_the_header_alone_names_the_organization() {
        assert_eq!(ask(&[], &[]), Ok("default".to_owned()));
        assert_eq!(ask(&[], &[(ORGANIZATION, "acme")]), Ok("acme".to_owned()));
        assert_eq!(ask(&[], &[(ORGANIZATION, "two words")]), Err(400));
    }

    #[test]
    fn a_token_is_needed_and_acts_for_its_organization_alone() {
        let acme = Organization::new("acme").unwrap();
        let tokens = [
            ApiToken::new(None, "all-0123456789"),
            ApiToken::new(Some(acme), "acme-0123456789"),
        ];
        let all = ("authorization", "Bearer all-0123456789");
        let bound = ("authorization", "bearer acme-0123456789");
        assert_eq!(ask(&tokens, &[]), Err(401));
        for wrong in [
            "Bearer all-012345678",
            "Bearer ",
            "Basic all-0123456789",
            "all-0123456789",
        ] {
            assert_eq!(
                ask(&tokens, &[("authorization", wrong)]),
                Err(401),
                "{wrong}"
            );
        }
        assert_eq!(ask(&tokens, &[all]), Ok("default".to_owned()));
        assert_eq!(
            ask(&tokens, &[all, (ORGANIZATION, "other")]),
            Ok("other".to_owned())
        );
        assert_eq!(ask(&tokens, &[bound]), Ok("acme".to_owned()));
        assert_eq!(
            ask(&tokens, &[bound, (ORGANIZATION, "acme")]),
            Ok("acme".to_owned())
        );
        assert_eq!(ask(&tokens, &[bound, (ORGANIZATION, "other")]), Err(403));
    }
}
