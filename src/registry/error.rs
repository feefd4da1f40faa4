//! Why a webhook could not be found or changed.

use super::secrets::CipherError;
use crate::domain::ids::{InvalidId, Organization};
use crate::domain::rotation::RotationError;
use crate::domain::webhook::InvalidWebhook;
use crate::store::Unavailable;

/// Why a webhook could not be found or changed.
#[derive(Debug, thiserror::Error)]
pub enum WebhooksError {
    /// There is no such webhook.
    #[error(
        "organization {organization} has no webhook with the id or name {reference:?}; list them to see those that it has"
    )]
    NotFound {
        /// The organization.
        organization: Organization,
        /// The id or name asked for.
        reference: String,
    },
    /// Several webhooks have the name.
    #[error("several webhooks are called {name:?}: {}; say which by its id", .ids.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// Their ids.
        ids: Vec<String>,
    },
    /// Another webhook has the name.
    #[error("the name {name:?} is taken by webhook {id}; choose another")]
    NameTaken {
        /// The name.
        name: String,
        /// Whose it is.
        id: String,
    },
    /// The organization has as many webhooks as it may.
    #[error(
        "organization {organization} has {most} webhooks, and may have no more: delete one that is not \
         needed, or raise webhooks.max_per_organization"
    )]
    TooMany {
        /// The organization.
        organization: Organization,
        /// How many it may have.
        most: u64,
    },
    /// The webhook is larger than one may be.
    #[error(
        "the webhook takes {size} bytes, and may take {most}: shorten its headers or its description, or \
         raise webhooks.max_size"
    )]
    TooLarge {
        /// How large it is as it is stored.
        size: usize,
        /// How large it may be.
        most: usize,
    },
    /// There is a webhook with this id.
    #[error("there is a webhook {id} already; delete it first if it is to be replaced")]
    IdTaken {
        /// The id.
        id: String,
    },
    /// Somebody changed the webhook since.
    #[error("webhook {id} was changed by somebody else since it was looked at; look at it again")]
    Changed {
        /// The webhook.
        id: String,
    },
    /// Others kept changing the webhook.
    #[error("webhook {id} was changed by somebody else at the same time; look at it and try again")]
    Conflict {
        /// The webhook.
        id: String,
    },
    /// The webhook would not, or does not, make sense.
    #[error(transparent)]
    Invalid(#[from] InvalidWebhook),
    /// Something secret of it cannot be stored.
    #[error("it cannot be stored as it is: {0}")]
    Secret(#[from] CipherError),
    /// Its secrets cannot be rotated as asked.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The store gave no answer, or refused.
    #[error(transparent)]
    Store(#[from] Unavailable),
}

impl From<serde_json::Error> for WebhooksError {
    fn from(error: serde_json::Error) -> Self {
        Self::Invalid(error.into())
    }
}

impl From<InvalidId> for WebhooksError {
    fn from(error: InvalidId) -> Self {
        Self::Invalid(error.into())
    }
}
