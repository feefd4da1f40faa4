//! Who may ask: a bearer token, for all organizations or bound to one; without tokens, programs on
//! this machine.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_extra::headers::HeaderMapExt as _;
use axum_extra::headers::authorization::{Authorization, Bearer};

use crate::config::ApiToken;
use crate::domain::audit::{Actor, Through};
use crate::domain::ids::Organization;
use crate::web::access::{actor, asks_for_this_machine, find_token, is_from_own_page};
use crate::web::port::listener::Client;
use crate::web::problem::Problem;
use crate::web::state::AppState;
use crate::web::streams::Holder;

/// The header that names the organization a request is about.
pub const ORGANIZATION: &str = "x-prism-organization";

/// The paths that anybody may ask for.
const OPEN: [&str; 3] = ["/readyz", "/livez", "/openapi.json"];

/// The organization that a request is about, checked against the token that it came with.
#[derive(Debug, Clone)]
pub(super) struct CurrentOrganization(pub Organization);

/// Whoever asks, as the audit log calls them.
#[derive(Debug, Clone)]
pub(super) struct CurrentActor(pub Actor);

/// Lets requests with a token through, those that need none, and all if there are no tokens.
pub(super) async fn check(
    State(app): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    if app.tokens.is_empty()
        && let Some(problem) = from_elsewhere(request.headers())
    {
        return problem.into_response();
    }
    match acting(&app.tokens, request.headers()) {
        Ok((acting, holder, actor)) => {
            if let Some(client) = request.extensions().get::<Client>() {
                client.authenticated();
            }
            request.extensions_mut().insert(acting);
            request.extensions_mut().insert(holder);
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        Err(problem) => {
            let unauthorized = problem.status() == StatusCode::UNAUTHORIZED;
            if unauthorized
                && request.headers().contains_key(header::AUTHORIZATION)
                && let Some(client) = request.extensions().get::<Client>()
            {
                let address = app.proxies.client(client.address, request.headers());
                if app.wrong_tokens.came(address).await.is_err() {
                    return too_many();
                }
            }
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

/// Refuses a wrong token at once, and its connection with it: guessing is not to be quick.
fn too_many() -> Response {
    let detail = "too many wrong tokens come at present; a right one is served all the same";
    let headers = [(header::RETRY_AFTER, "1"), (header::CONNECTION, "close")];
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
    (headers, problem).into_response()
}

/// Refuses, where there are no tokens, what a page of another site may have sent: the port is one of
/// loopback then, and the danger is a browser on this machine. One that is asked to by another site
/// says so in `Origin`; one that was led here by a name that was pointed at this machine says that
/// name in `Host`.
fn from_elsewhere(headers: &HeaderMap) -> Option<Problem> {
    let own = asks_for_this_machine(headers) && is_from_own_page(headers).unwrap_or(true);
    let detail = "without a token this is for programs on this machine that ask for it as 127.0.0.1 \
                  or localhost; set PRISM_API_TOKEN for others";
    (!own).then(|| Problem::new(StatusCode::FORBIDDEN, detail))
}

fn acting(
    tokens: &[ApiToken],
    headers: &HeaderMap,
) -> Result<(CurrentOrganization, Holder, CurrentActor), Problem> {
    let token = if tokens.is_empty() {
        None
    } else {
        let given = headers.typed_get::<Authorization<Bearer>>();
        let token = given.and_then(|given| find_token(tokens, given.token()));
        let refusal = "this needs a token: Authorization: Bearer TOKEN, one of PRISM_API_TOKEN's";
        let refusal = || Problem::new(StatusCode::UNAUTHORIZED, refusal);
        Some(token.ok_or_else(refusal)?)
    };
    let bound = token.and_then(ApiToken::organization);
    let holder = Holder::of(token, tokens);
    let actor = CurrentActor(actor(token, Through::Api));
    let mut named = headers.get_all(ORGANIZATION).into_iter();
    let (named, another) = (named.next(), named.next());
    if another.is_some() {
        // Whichever of them was taken, somebody on the way meant the other.
        let detail = format!("the header {ORGANIZATION} came more than once: send one");
        return Err(Problem::bad_request(detail));
    }
    let named = named.map(|value| value.to_str().unwrap_or("\u{fffd}"));
    let asked = match named {
        Some(name) => Some(Organization::new(name).map_err(|error| {
            Problem::bad_request(format!("the header {ORGANIZATION}: {error}"))
        })?),
        None => None,
    };
    let organization = match (bound, asked) {
        (Some(bound), Some(asked)) if *bound != asked => {
            let detail = format!("this token may not act for organization {asked}");
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        (Some(bound), _) => bound.clone(),
        (None, asked) => asked.unwrap_or_default(),
    };
    Ok((CurrentOrganization(organization), holder, actor))
}

impl<S: Sync> FromRequestParts<S> for CurrentOrganization {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Set by `check`, which stands before every handler.
        let acting = parts.extensions.get().cloned();
        acting.ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "this needs a token"))
    }
}

impl<S: Sync> FromRequestParts<S> for CurrentActor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Set by `check`, as well.
        let actor = parts.extensions.get().cloned();
        actor.ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "this needs a token"))
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
            .map(|(acting, ..)| acting.0.to_string())
            .map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn without_a_token_a_browser_that_another_site_leads_is_refused() {
        let refused = |of: &[(&'static str, &'static str)]| from_elsewhere(&headers(of)).is_some();
        let own = ("host", "127.0.0.1:8080");
        assert!(!refused(&[own]));
        assert!(!refused(&[own, ("origin", "http://127.0.0.1:8080")]));
        assert!(refused(&[own, ("origin", "https://evil.example")]));
        assert!(refused(&[own, ("origin", "null")]));
        assert!(refused(&[("host", "rebound.example:8080")]));
        assert!(refused(&[]));
    }

    #[test]
    fn without_tokens_the_header_alone_names_the_organization() {
        assert_eq!(ask(&[], &[]), Ok("default".to_owned()));
        assert_eq!(ask(&[], &[(ORGANIZATION, "acme")]), Ok("acme".to_owned()));
        assert_eq!(ask(&[], &[(ORGANIZATION, "two words")]), Err(400));
    }

    #[test]
    fn whoever_asks_is_called_by_the_token_and_without_tokens_local() {
        let called = |tokens: &[ApiToken], of: &[(&'static str, &'static str)]| {
            acting(tokens, &headers(of)).unwrap().2.0
        };
        let alice = ApiToken::new(None, "all-0123456789").named("alice");
        let given = [("authorization", "Bearer all-0123456789")];
        assert_eq!(called(&[alice], &given), Actor::new("alice", Through::Api));
        assert_eq!(called(&[], &given), Actor::local(Through::Api));
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

    #[test]
    fn of_two_organizations_neither_is_meant() {
        let mut twice = headers(&[(ORGANIZATION, "acme")]);
        twice.append(ORGANIZATION, "other".parse().unwrap());
        let refused = acting(&[], &twice).map(|_| ()).unwrap_err();
        assert_eq!(refused.status(), 400);
    }
}
