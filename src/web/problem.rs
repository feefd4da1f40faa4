//! Every error as problem details (RFC 9457): what is wrong, in a sentence, and in which field.

use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::rotation::RotationError;
use crate::domain::webhook::InvalidWebhook;
use crate::registry::secrets::CipherError;
use crate::registry::webhooks::WebhooksError;
use crate::store::Unavailable;
use crate::store::intake::NotAccepted;
use crate::web::error_status::HasStatus;
use crate::web::live::NotLive;

/// After so many seconds it is worth asking again whether a server is back.
const TRY_AGAIN: HeaderValue = HeaderValue::from_static("5");

/// What went wrong. The media type is `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// The kind of problem; always `about:blank`: the status says it.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status code.
    status: u16,
    /// What is wrong and what to do about it.
    detail: String,
    /// What is wrong with single parts of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<PartProblem>,
}

/// What is wrong with one part of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartProblem {
    /// Which: the name of a field, a header, or a line of a batch, from 1.
    pub part: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Problem {
    /// A problem with this status, described by `detail`.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// The problem that an error is.
    pub(super) fn of(error: &impl HasStatus) -> Self {
        Self::new(error.status(), error.to_string())
    }

    /// A request that makes no sense in itself.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// A request that can be read and cannot be carried out as it is.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// A request with one field that makes no sense.
    pub fn field(part: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let part = part.to_owned();
        Self::unprocessable(format!("{part}: {detail}"))
            .with_errors(vec![PartProblem { part, detail }])
    }

    /// The same, and what is wrong with single parts.
    pub fn with_errors(self, errors: Vec<PartProblem>) -> Self {
        Self { errors, ..self }
    }

    /// The HTTP status code.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let media_type = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status(), media_type, body).into_response();
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, TRY_AGAIN);
        }
        response
    }
}

/// Answers what is not there.
pub(crate) async fn no_such_resource(uri: Uri) -> Problem {
    let path = uri.path();
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {path}"))
}

/// Answers a method that a resource does not have.
pub(crate) async fn no_such_method(method: Method, parts: Parts) -> Problem {
    let path = parts.uri.path();
    let detail = format!("{path} does not take {method}");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

impl From<Unavailable> for Problem {
    fn from(error: Unavailable) -> Self {
        tracing::warn!(%error, "a request could not be answered");
        Self::of(&error)
    }
}

impl From<NotLive> for Problem {
    fn from(error: NotLive) -> Self {
        match error {
            NotLive::Unavailable(error) => error.into(),
            NotLive::TooMany(_) => Self::of(&error),
        }
    }
}

impl From<NotAccepted> for Problem {
    fn from(error: NotAccepted) -> Self {
        Self::of(&error)
    }
}

impl From<WebhooksError> for Problem {
    fn from(error: WebhooksError) -> Self {
        let problem = Self::of(&error);
        match field(&error) {
            Some(part) => {
                let (part, detail) = (part.to_owned(), problem.detail.clone());
                problem.with_errors(vec![PartProblem { part, detail }])
            }
            None => problem,
        }
    }
}

/// The field of a webhook that an error is about, by its name in the API and in the form.
pub(crate) fn field(error: &WebhooksError) -> Option<&'static str> {
    let invalid = match error {
        WebhooksError::NameTaken { .. } => return Some("name"),
        WebhooksError::Secret(CipherError::ReservedPrefix { field }) => return Some(field),
        WebhooksError::Secret(_)
        | WebhooksError::Rotation(RotationError::Current | RotationError::TooMany(_)) => {
            return Some("secret");
        }
        WebhooksError::Invalid(invalid) => invalid,
        _ => return None,
    };
    Some(match invalid {
        InvalidWebhook::Name => "name",
        InvalidWebhook::Url(_) | InvalidWebhook::Address(_) => "url",
        InvalidWebhook::Description => "description",
        InvalidWebhook::Header(_) => "headers",
        InvalidWebhook::Secret { .. } => "secret",
        InvalidWebhook::Id(_) | InvalidWebhook::CoversNothing(_) => "event_subscriptions",
        InvalidWebhook::Retry(_) => "retry",
        InvalidWebhook::RateLimit(_) => "rate_limit",
        InvalidWebhook::Unreadable(_)
        | InvalidWebhook::IdDiffers { .. }
        | InvalidWebhook::Unopened { .. } => return None,
    })
}
