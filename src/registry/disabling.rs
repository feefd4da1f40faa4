//! Disabling a webhook without being told to: the document, and what is entered of it.

use jiff::Timestamp;

use super::documents::{fields, mark_disabled, name};
use crate::domain::audit::{Action, Actor, AuditEntry};
use crate::domain::webhook::WebhookKey;

/// A webhook that is to be disabled.
pub(crate) struct Disabled {
    /// Its document afterwards.
    pub(crate) json: String,
    /// What is entered of it in the audit log.
    pub(crate) entry: AuditEntry,
}

/// What becomes of the document if the webhook is disabled, or `None` if it is already.
pub(crate) fn disabled(
    webhook: &WebhookKey,
    json: &[u8],
    reason: &str,
    now: Timestamp,
) -> Result<Option<Disabled>, serde_json::Error> {
    let mut fields = fields(json)?;
    if fields.get::<Option<bool>>("enabled")? == Some(false) {
        return Ok(None);
    }
    mark_disabled(&mut fields, reason, now)?;
    fields.set("updated_at", &now)?;
    let organization = Some(&webhook.organization);
    let entry = AuditEntry {
        webhook_id: Some(webhook.id.clone()),
        webhook_name: name(json),
        fields: ["enabled", "disabled_reason"].map(str::to_owned).into(),
        reason: Some(reason.to_owned()),
        ..AuditEntry::new(
            organization,
            &Actor::program(),
            Action::WebhookDisabled,
            now,
        )
    };
    let json = fields.to_json()?;
    Ok(Some(Disabled { json, entry }))
}
