//! Why a page cannot be shown, as a page.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::html;

use super::layout::page;
use crate::deployment::Unavailable;
use crate::operations::inspect::InspectError;
use crate::registry::webhooks::WebhooksError;

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

    /// What is asked for does not exist.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let title = match self.status {
            StatusCode::NOT_FOUND => "There is nothing here",
            StatusCode::FORBIDDEN => "Not allowed",
            StatusCode::SERVICE_UNAVAILABLE => "Not available now",
            StatusCode::CONFLICT => "That cannot be done now",
            _ => "That did not work",
        };
        let content = html! {
            h1 { (title) }
            p.card.notice.bad role="alert" { (self.detail) }
            p { a.button href="/webhooks" { "To the webhooks" } }
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

impl From<InspectError> for Trouble {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Unknown(_) => Self::not_found(error.to_string()),
            InspectError::Webhooks(error) => error.into(),
            InspectError::Unavailable(error) => error.into(),
        }
    }
}
