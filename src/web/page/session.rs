//! Who may look, for which organization, and that a form is our own.
//!
//! With tokens, a visitor signs in with one, and the browser holds a session in a cookie that no
//! script can read and no other site can send. Without tokens the port is one of loopback, and the only
//! danger is another page in the same browser: what changes something must come from our own
//! pages. And the host must be asked for by a name of this machine, or a name that somebody
//! points at it could read the pages.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use axum_extra::extract::cookie::{Cookie, SameSite};
use maud::html;
use serde::Deserialize;

use super::error::PageError;
use super::layout::page;
use super::visitor::Visitor;
use crate::domain::audit::Through;
use crate::domain::ids::Organization;
use crate::web::access::{actor, asks_for_this_machine, find_token, is_from_own_page};
use crate::web::headers::text;
use crate::web::port::listener::Client;
use crate::web::state::AppState;
use crate::web::streams::Holder;

const SESSION: &str = "prism_session";
const ORGANIZATION: &str = "prism_organization";

/// Where cookies are for https alone, browsers see to it that names with this beginning were set by
/// this host, and over https.
const HOST_ONLY: &str = "__Host-";

/// Lets visitors in who may be here, and sends the others to sign in.
pub async fn authenticate(
    State(app): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Err(error) = require_same_origin(&app, request.method(), request.headers()) {
        return error.into_response();
    }
    let cookies = Cookies::of(&app, &request);
    request.extensions_mut().insert(cookies);
    let headers = request.headers();
    let chosen = cookies.find(headers, ORGANIZATION);
    let chosen = chosen.and_then(|name| Organization::new(name).ok());
    let visitor = if app.tokens.is_empty() {
        Visitor {
            organization: chosen.unwrap_or_default(),
            bound: false,
            holder: Holder::of(None, &app.tokens),
            actor: actor(None, Through::Page),
            session: None,
        }
    } else {
        let session = cookies.find(headers, SESSION);
        let token = match session {
            Some(session) => app.sessions.find(session).await,
            None => Ok(None),
        };
        let token = match token {
            Ok(token) => token,
            Err(error) => return PageError::from(error).into_response(),
        };
        let Some(token) = token else {
            return Redirect::to("/sign-in").into_response();
        };
        let bound = token.organization().cloned();
        Visitor {
            bound: bound.is_some(),
            holder: Holder::of(Some(token), &app.tokens),
            actor: actor(Some(token), Through::Page),
            organization: bound.or(chosen).unwrap_or_default(),
            session: session.map(str::to_owned),
        }
    };
    if let Some(client) = request.extensions().get::<Client>() {
        client.authenticated();
    }
    request.extensions_mut().insert(visitor);
    next.run(request).await
}

/// The same check of forms, for those who are not in yet.
pub async fn check_form(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let cookies = Cookies::of(&app, &request);
    request.extensions_mut().insert(cookies);
    match require_same_origin(&app, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        // Set by `authenticate`, which stands before every page that asks.
        let visitor = parts.extensions.get().cloned();
        visitor.ok_or_else(|| PageError::new(StatusCode::UNAUTHORIZED, "sign in first"))
    }
}

/// Refuses what another site's page may have sent.
fn require_same_origin(
    app: &AppState,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(), PageError> {
    if app.tokens.is_empty() && !asks_for_this_machine(headers) {
        let detail =
            "without a token this is for browsers on this machine: ask for it as 127.0.0.1";
        return Err(PageError::new(StatusCode::FORBIDDEN, detail));
    }
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    // Browsers send at least one of them with every form, and say in the first themselves.
    let own = match text(headers, "sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => is_from_own_page(headers).unwrap_or(false),
    };
    if own {
        return Ok(());
    }
    Err(PageError::new(
        StatusCode::FORBIDDEN,
        "this form did not come from our own page; open the page again and send it from there",
    ))
}

/// Our cookies, as they are on the way that a request came.
#[derive(Debug, Clone, Copy)]
pub struct Cookies {
    https: bool,
}

impl Cookies {
    fn of(app: &AppState, request: &Request) -> Self {
        let client = request.extensions().get::<Client>();
        let peer = client.map(|client| client.address);
        Self {
            https: app.proxies.is_https(peer, request.headers()),
        }
    }

    fn name(self, name: &str) -> String {
        let beginning = if self.https { HOST_ONLY } else { "" };
        format!("{beginning}{name}")
    }

    fn find<'a>(self, headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        let name = self.name(name);
        let all = headers.get_all(header::COOKIE).into_iter();
        let all = all.filter_map(|value| value.to_str().ok());
        let mut cookies = all.flat_map(Cookie::split_parse).flatten();
        cookies.find(|cookie| cookie.name() == name)?.value_raw()
    }

    /// A cookie of ours, kept until the browser is closed. `value` is a session's or an
    /// organization: neither needs to be quoted, or encoded as a jar of cookies would.
    fn make(self, name: &str, value: &str) -> Cookie<'static> {
        let cookie = Cookie::build((self.name(name), value.to_owned()));
        let cookie = cookie.path("/").http_only(true);
        cookie
            .same_site(SameSite::Strict)
            .secure(self.https)
            .build()
    }
}

impl<S: Sync> FromRequestParts<S> for Cookies {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        // Set by the doorkeepers of all pages.
        let cookies = parts.extensions.get().copied();
        cookies.ok_or_else(|| PageError::new(StatusCode::UNAUTHORIZED, "sign in first"))
    }
}

/// A redirect that sets a cookie.
fn with_cookie(to: &str, cookie: &Cookie<'_>) -> Response {
    let set = [(header::SET_COOKIE, cookie.to_string())];
    (set, Redirect::to(to)).into_response()
}

// ------------------------------------------------------------------------------------- the forms

#[derive(Deserialize)]
pub struct SignIn {
    token: String,
}

fn sign_in_page(problem: Option<&str>) -> Html<String> {
    let content = html! {
        h1 { "Sign in" }
        form.card.wide method="post" action="/sign-in" {
            div.field {
                label for="token" { "Token" }
                span.hint #token-hint { "One of those that the deployment was started with (PRISM_API_TOKEN)." }
                input #token type="password" name="token" required autocomplete="current-password"
                    aria-describedby="token-hint token-error" aria-invalid=[problem.map(|_| "true")];
                @if let Some(problem) = problem { p.error #token-error { (problem) } }
            }
            button.first { "Sign in" }
        }
    };
    page("Sign in", None, &content)
}

pub async fn form() -> Html<String> {
    sign_in_page(None)
}

pub async fn sign_in(
    State(app): State<AppState>,
    cookies: Cookies,
    client: Option<Extension<Client>>,
    headers: HeaderMap,
    Form(given): Form<SignIn>,
) -> Response {
    let Some(token) = find_token(&app.tokens, given.token.trim()) else {
        return wrong(&app, client.map(|client| client.0), &headers).await;
    };
    match app.sessions.begin(token).await {
        Ok(session) => {
            tracing::info!(actor = token.name(), "somebody signed in to the page");
            with_cookie("/webhooks", &cookies.make(SESSION, &session))
        }
        Err(error) => PageError::from(error).into_response(),
    }
}

async fn wrong(app: &AppState, client: Option<Client>, headers: &HeaderMap) -> Response {
    if let Some(client) = client {
        let address = app.proxies.client(client.address, headers);
        if app.wrong_tokens.came(address).await.is_err() {
            let problem =
                "Too many wrong tokens come at present. A right one is taken all the same.";
            let close = [(header::RETRY_AFTER, "1"), (header::CONNECTION, "close")];
            let page = sign_in_page(Some(problem));
            return (StatusCode::TOO_MANY_REQUESTS, close, page).into_response();
        }
    }
    let page = sign_in_page(Some("This is none of the deployment's tokens."));
    (StatusCode::FORBIDDEN, page).into_response()
}

pub async fn sign_out(State(app): State<AppState>, visitor: Visitor, cookies: Cookies) -> Response {
    if let Some(session) = &visitor.session
        && let Err(error) = app.sessions.end(session).await
    {
        return PageError::from(error).into_response();
    }
    with_cookie("/sign-in", &gone(cookies))
}

/// Takes the session's cookie from the browser.
fn gone(cookies: Cookies) -> Cookie<'static> {
    let mut gone = cookies.make(SESSION, "");
    gone.set_max_age(Some(Default::default()));
    gone
}

#[derive(Deserialize)]
pub struct Chosen {
    organization: String,
}

pub async fn choose_organization(cookies: Cookies, Form(chosen): Form<Chosen>) -> Response {
    match Organization::new(chosen.organization.trim()) {
        Ok(organization) => {
            let cookie = cookies.make(ORGANIZATION, organization.as_str());
            with_cookie("/webhooks", &cookie)
        }
        Err(error) => PageError::new(StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::COOKIE,
            HeaderValue::from_static("a=1; prism_session=tok; b=2"),
        );
        let plain = Cookies { https: false };
        assert_eq!(plain.find(&headers, SESSION), Some("tok"));
        assert_eq!(plain.find(&headers, "session"), None);
        // Over https one that anybody could have set is none of ours.
        let secure = Cookies { https: true };
        assert_eq!(secure.find(&headers, SESSION), None);
        let ours = HeaderValue::from_static("prism_session=a; __Host-prism_session=tok");
        headers.insert(header::COOKIE, ours);
        assert_eq!(secure.find(&headers, SESSION), Some("tok"));
    }

    #[test]
    fn a_cookie_is_for_our_pages_alone_and_stands_there_as_it_is() {
        let plain = Cookies { https: false };
        let cookie = plain.make(ORGANIZATION, "a:b@c").to_string();
        let expected = "prism_organization=a:b@c; HttpOnly; SameSite=Strict; Path=/";
        assert_eq!(cookie, expected);
        let gone = gone(Cookies { https: true }).to_string();
        let expected =
            "__Host-prism_session=; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=0";
        assert_eq!(gone, expected);
    }
}
