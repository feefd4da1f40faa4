//! What is entered in the audit log of a change: who made it, and which fields it is about.

use jiff::Timestamp;

use super::documents;
use super::stored::StoredWebhook;
use super::webhooks::Webhooks;
use crate::domain::audit::{Action, Actor, AuditEntry, changed_fields};
use crate::domain::endpoint::shown;
use crate::domain::webhook::WebhookKey;

impl Webhooks {
    /// The same webhooks; what is changed through this is entered as a change by `actor`.
    pub fn by(&self, actor: Actor) -> Self {
        Self {
            actor,
            ..self.clone()
        }
    }

    /// What is entered of a webhook that is registered.
    pub(super) fn entry_of_new(
        &self,
        webhook: &WebhookKey,
        stored: &StoredWebhook,
        at: Timestamp,
    ) -> AuditEntry {
        AuditEntry {
            webhook_name: Some(stored.document.name.clone()),
            url: Some(shown(&stored.document.url)),
            ..self.entry(webhook, Action::WebhookCreated, at)
        }
    }

    /// What is entered of a webhook whose document was `old`, stored as `new`, and reads as `stored`.
    pub(super) fn entry_of_change(
        &self,
        webhook: &WebhookKey,
        action: Action,
        (old, new): (&[u8], &str),
        stored: &StoredWebhook,
        at: Timestamp,
    ) -> AuditEntry {
        let document = &stored.document;
        let (organization, id) = (&webhook.organization, webhook.id.as_str());
        let fields: Vec<String> = match self.reader.read(organization, id, old) {
            Ok((old, _)) => {
                let changed = changed_fields(&old, document).into_iter();
                changed.map(str::to_owned).collect()
            }
            // It is being mended: what it said cannot be read, but compared as it was stored.
            Err(_) => differing(old, new.as_bytes()),
        };
        let new_url = fields.iter().any(|field| field == "url");
        AuditEntry {
            webhook_name: Some(document.name.clone()),
            url: new_url.then(|| shown(&document.url)),
            fields,
            reason: match action {
                Action::WebhookDisabled => document.disabled_reason.clone(),
                _ => None,
            },
            ..self.entry(webhook, action, at)
        }
    }

    /// What is entered of a webhook that is deleted, whose document was `old`.
    pub(super) fn entry_of_deletion(
        &self,
        webhook: &WebhookKey,
        old: &[u8],
        at: Timestamp,
    ) -> AuditEntry {
        AuditEntry {
            webhook_name: documents::name(old),
            ..self.entry(webhook, Action::WebhookDeleted, at)
        }
    }

    fn entry(&self, webhook: &WebhookKey, action: Action, at: Timestamp) -> AuditEntry {
        AuditEntry {
            webhook_id: Some(webhook.id.clone()),
            ..AuditEntry::new(Some(&webhook.organization), &self.actor, action, at)
        }
    }
}

/// The names of the fields that are not written alike, but for those that say when.
fn differing(old: &[u8], new: &[u8]) -> Vec<String> {
    let (Ok(old), Ok(new)) = (documents::fields(old), documents::fields(new)) else {
        return Vec::new();
    };
    let differing = new.differing(&old).into_iter();
    let differing = differing.filter(|name| !["updated_at", "disabled_at"].contains(name));
    differing.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_cannot_be_read_the_fields_that_are_written_differently_are_told() {
        let old = br#"{"id":"w","name":7,"updated_at":"a","retry":{}}"#;
        let new = br#"{"id":"w","name":"n","updated_at":"b","url":"u"}"#;
        assert_eq!(differing(old, new), ["name", "retry", "url"]);
        assert!(differing(b"[", new).is_empty());
    }
}
