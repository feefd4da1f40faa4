//! Which HTTP status each error is answered with.

use std::fmt::Display;

use axum::http::StatusCode;

use crate::domain::event::InvalidEvent;
use crate::operations::inspect::InspectError;
use crate::operations::jobs::{JobUnderWay, NoSuchJob};
use crate::operations::retry::RetryError;
use crate::operations::test::TestError;
use crate::registry::secrets::CipherError;
use crate::registry::webhooks::WebhooksError;
use crate::store::Unavailable;
use crate::store::intake::NotAccepted;
use crate::web::live::NotLive;

/// An error that is answered with a status, and described by its text.
pub(super) trait HasStatus: Display {
    /// The status.
    fn status(&self) -> StatusCode;
}

impl HasStatus for Unavailable {
    fn status(&self) -> StatusCode {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

impl HasStatus for NotLive {
    fn status(&self) -> StatusCode {
        match self {
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(error) => error.status(),
        }
    }
}

impl HasStatus for NotAccepted {
    fn status(&self) -> StatusCode {
        match self {
            Self::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Unfit(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable(error) => error.status(),
        }
    }
}

impl HasStatus for InvalidEvent {
    fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

impl HasStatus for WebhooksError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::Ambiguous { .. }
            | Self::NameTaken { .. }
            | Self::IdTaken { .. }
            | Self::TooMany { .. }
            | Self::Rotation(_)
            | Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::Changed { .. } => StatusCode::PRECONDITION_FAILED,
            // It may be in order: this process is not.
            Self::Invalid(invalid) if invalid.is_for_want_of_key() => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Invalid(_)
            | Self::TooLarge { .. }
            | Self::Secret(CipherError::ReservedPrefix { .. } | CipherError::TooLong) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Secret(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Store(error) => error.status(),
        }
    }
}

impl HasStatus for InspectError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::Unfound(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Webhooks(error) => error.status(),
            Self::Unavailable(error) => error.status(),
        }
    }
}

impl HasStatus for RetryError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unknown(_) => StatusCode::NOT_FOUND,
            Self::Delivered(_)
            | Self::NoBody(_)
            | Self::Outgrown(_)
            | Self::Disabled { .. }
            | Self::Deleted { .. }
            | Self::UnderWay(_) => StatusCode::CONFLICT,
            Self::Webhooks(error) => error.status(),
            Self::Unavailable(error) => error.status(),
        }
    }
}

impl HasStatus for TestError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Own(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl HasStatus for JobUnderWay {
    fn status(&self) -> StatusCode {
        StatusCode::CONFLICT
    }
}

impl HasStatus for NoSuchJob {
    fn status(&self) -> StatusCode {
        StatusCode::NOT_FOUND
    }
}
