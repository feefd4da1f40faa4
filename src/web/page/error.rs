//! Why a page cannot be shown, as a page.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::html;

use super::layout::page;
use crate::web::error_status::HasStatus;
use crate::web::headers::text;
use crate::web::problem;

/// Why a page cannot be shown.
#[derive(Debug)]
pub struct PageError {
    status: StatusCode,
    title: Option<&'static str>,
    detail: String,
}

impl PageError {
    /// With this status, described by `detail`.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            title: None,
            detail: detail.into(),
        }
    }

    /// For a form that lacks something, under a title of its own.
    pub fn incomplete(title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            title: Some(title),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
        }
    }

    /// For something that does not exist, described by `detail`.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let title = self.title.unwrap_or(match self.status {
            StatusCode::NOT_FOUND => "There is nothing here",
            StatusCode::FORBIDDEN => "Not allowed",
            StatusCode::SERVICE_UNAVAILABLE => "Not available now",
            StatusCode::CONFLICT => "That cannot be done now",
            _ => "That did not work",
        });
        let content = html! {
            h1 { (title) }
            p.card.notice.bad role="alert" { (self.detail) }
            p { a.button href="/webhooks" { "To the webhooks" } }
        };
        (self.status, page(title, None, &content)).into_response()
    }
}

/// The longest text of a refusal.
const TEXT_LIMIT: usize = 4096;

/// Shows as a page what refuses a request before a handler has it: a form that is too large, an
/// address that cannot be read. It comes as a line of text.
pub async fn restyle_errors(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_text = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !response.status().is_client_error() || !is_text {
        return response;
    }
    let status = response.status();
    let text = axum::body::to_bytes(response.into_body(), TEXT_LIMIT).await;
    let text = text.unwrap_or_default();
    PageError::new(status, String::from_utf8_lossy(&text)).into_response()
}

/// Answers what is not there: people with a page, programs with a problem document.
pub async fn no_such_page(uri: Uri, headers: HeaderMap) -> Response {
    let accept = text(&headers, header::ACCEPT);
    if accept.is_some_and(|accept| accept.contains("text/html")) {
        PageError::not_found(format!("There is no page at {}.", uri.path())).into_response()
    } else {
        problem::no_such_resource(uri).await.into_response()
    }
}

impl<E: HasStatus> From<E> for PageError {
    /// A page tells what is not there, what is away, what is too much, and what cannot be done as
    /// things are.
    fn from(error: E) -> Self {
        let status = match error.status() {
            told @ (StatusCode::NOT_FOUND
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::TOO_MANY_REQUESTS) => told,
            _ => StatusCode::CONFLICT,
        };
        Self::new(status, error.to_string())
    }
}
