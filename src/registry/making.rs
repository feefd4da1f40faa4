//! Making a change to its end, whether or not whoever asked for it waits.
//!
//! A client that goes away ends what works for it, wherever that is. The store may have made the change by
//! then, and entered it; that it is said in the program's log as well must not depend on who listens.

use super::documents::{Change, DocumentStore, Replacement};
use super::webhooks::Webhooks;
use crate::domain::audit::AuditEntry;
use crate::domain::ids::Organization;
use crate::domain::webhook::{WebhookDocument, WebhookKey};
use crate::store::{Unavailable, audit, to_its_end};

/// A change of an organization's webhooks.
pub(super) enum Making {
    /// A new webhook.
    Create {
        organization: Organization,
        document: Box<WebhookDocument>,
        json: String,
        /// How many webhooks there may be.
        most: u64,
    },
    /// A document in the place of another, as [`Replacement`] has it.
    Replace {
        webhook: WebhookKey,
        old: Vec<u8>,
        new: String,
        name: Option<String>,
        forget_health: bool,
    },
    /// A webhook that goes.
    Delete { webhook: WebhookKey, old: Vec<u8> },
}

impl Making {
    async fn make(
        self,
        documents: &dyn DocumentStore,
        entry: &AuditEntry,
    ) -> Result<Change, Unavailable> {
        match self {
            Self::Create {
                organization,
                document,
                json,
                most,
            } => {
                let created = documents.create(&organization, &document, &json, most, entry);
                created.await
            }
            Self::Replace {
                webhook,
                old,
                new,
                name,
                forget_health,
            } => {
                let replacement = Replacement {
                    old: &old,
                    new: &new,
                    name: name.as_deref(),
                    forget_health,
                    entry: Some(entry),
                    means_the_same: false,
                };
                documents.replace(&webhook, &replacement).await
            }
            Self::Delete { webhook, old } => documents.delete(&webhook, &old, entry).await,
        }
    }
}

impl Webhooks {
    /// Makes a change that is entered as `entry`, and says so in the program's log.
    pub(super) async fn make(
        &self,
        making: Making,
        entry: AuditEntry,
    ) -> Result<Change, Unavailable> {
        let documents = self.documents.clone();
        let made = to_its_end(async move {
            let change = making.make(&*documents, &entry).await?;
            if change == Change::Done {
                audit::tell(&entry);
            }
            Ok(change)
        });
        made.await?
    }
}
