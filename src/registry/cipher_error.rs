//! Why something secret could not be encrypted or decrypted, and whose fault that is.

use super::secrets::SEALED;
use crate::domain::secret::{InvalidSecret, KeyId};
use crate::domain::webhook::Unopened;

/// Why something secret could not be encrypted or decrypted. Quotes neither it nor a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    /// It is sealed and there is no key.
    #[error("it is sealed{}; set PRISM_SECRET_KEY to the key that it was sealed with", with(.0))]
    NoKey(Option<KeyId>),
    /// It is sealed with a key that is not among those there are.
    #[error(
        "it is sealed with key {0}, which PRISM_SECRET_KEY does not have; add that key behind the \
         first, after a comma"
    )]
    OtherKey(KeyId),
    /// None of the keys opens it, and it does not say which would.
    #[error(
        "it is sealed and cannot be opened: PRISM_SECRET_KEY is not the key that it was sealed \
         with, or it was sealed for another webhook, or altered; add the right key, or replace the \
         secret at once (rotate-secret --promote --overlap 0s)"
    )]
    DoesNotOpen,
    /// Its own key does not open it.
    #[error(
        "it is sealed with key {0} and cannot be opened with it: it was sealed for another webhook \
         or another part of it, or altered; write it anew"
    )]
    Altered(KeyId),
    /// A later version of the program sealed it.
    #[error("it is sealed by a later version of prism-webhooks; let this one be as new")]
    Later,
    /// The text begins like something sealed, but has not the form.
    #[error("it begins like something sealed but is none; write it anew")]
    Malformed,
    /// What looks sealed could not be told from what is.
    #[error("no secret, value of a header or query of a URL may begin like {SEALED}1:")]
    ReservedPrefix {
        /// The field of the document that it would stand in.
        field: &'static str,
    },
    /// The cipher took no more.
    #[error("it is too long to be sealed")]
    TooLong,
    /// The text holds no secret.
    #[error(transparent)]
    Secret(#[from] InvalidSecret),
}

fn with(key: &Option<KeyId>) -> String {
    key.map_or_else(String::new, |key| format!(" with key {key}"))
}

impl CipherError {
    /// Whether it may be for want of the right key, or of the right program: our own fault, and no
    /// fault of the webhook's.
    pub fn is_own_fault(&self) -> bool {
        matches!(
            self,
            Self::NoKey(_) | Self::OtherKey(_) | Self::DoesNotOpen | Self::Later
        )
    }
}

impl From<CipherError> for Unopened {
    fn from(error: CipherError) -> Self {
        match error.is_own_fault() {
            true => Self::ForWantOfKey(error.to_string()),
            false => Self::Wrong(error.to_string()),
        }
    }
}
