//! The frame of every page, how errors look, and what browsers are told to allow.

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::session::Visitor;
use crate::deployment::Unavailable;
use crate::registry::webhooks::WebhooksError;

/// Nothing but our own files, no inline script or style, no frames, forms to ourselves alone.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// Adds what protects a page in the browser.
pub async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let all = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in all {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A page for a visitor; none on the way in.
pub fn page(title: &str, visitor: Option<&Visitor>, content: &Markup) -> Html<String> {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Prism webhooks" }
                link rel="stylesheet" href=(assets::STYLE);
                script src=(assets::SCRIPT) defer {}
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                @if let Some(visitor) = visitor { (top(visitor)) }
                main #content { (content) }
            }
        }
    };
    Html(markup.into_string())
}

fn top(visitor: &Visitor) -> Markup {
    html! {
        header.top {
            strong { a href="/webhooks" { "Webhooks" } }
            @if visitor.bound {
                span.quiet { "Organization " (visitor.organization) }
            } @else {
                form method="post" action="/organization" {
                    label for="organization" { "Organization" }
                    input #organization type="text" name="organization" value=(visitor.organization);
                    button { "Switch" }
                }
            }
            @if visitor.signed_in {
                form.end method="post" action="/sign-out" { button { "Sign out" } }
            }
        }
    }
}

/// A moment: in UTC, and by the script in the reader's zone.
pub fn time(at: Timestamp) -> Markup {
    let exact = format!("{at:.3}");
    html! { time datetime=(exact) title=(exact) { (format!("{at:.0}")) } }
}

/// Why a page cannot be shown.
#[derive(Debug)]
pub struct Trouble {
    status: StatusCode,
    detail: String,
}

impl Trouble {
    /// With this status, described by `detail`.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { status, detail }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let content = html! {
            h1 { (title) }
            p.card.notice.bad { (self.detail) }
            p { a href="/webhooks" { "Back to the webhooks" } }
        };
        (self.status, page(title, None, &content)).into_response()
    }
}

impl From<WebhooksError> for Trouble {
    fn from(error: WebhooksError) -> Self {
        let status = match &error {
            WebhooksError::NotFound { .. } => StatusCode::NOT_FOUND,
            WebhooksError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}

impl From<Unavailable> for Trouble {
    fn from(error: Unavailable) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}
