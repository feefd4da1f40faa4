//! How many webhooks an organization may have, and how large one may be: what one stores costs all.

use super::error::WebhooksError;

/// The limits of what may be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// At most so many webhooks for each organization.
    pub per_organization: u64,
    /// The largest document, in bytes as it is stored.
    pub size: usize,
}

impl Limits {
    /// None: for whoever registers nothing on behalf of others.
    pub const NONE: Self = Self {
        per_organization: u64::MAX,
        size: usize::MAX,
    };

    /// Refuses a document that is too large.
    pub(super) fn check(&self, json: &str) -> Result<(), WebhooksError> {
        if json.len() > self.size {
            return Err(WebhooksError::TooLarge {
                size: json.len(),
                most: self.size,
            });
        }
        Ok(())
    }
}
