//! The audit log: who changed what, and when. One for each organization, and the operator's own for
//! what is done to all of them at once.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::Unavailable;
use super::entry::EntryId;
use crate::domain::audit::{Action, AuditEntry};
use crate::domain::ids::{Organization, WebhookId};

/// How much of an audit log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditKept {
    /// So many entries of each organization, the newest.
    pub entries: u64,
    /// For so long.
    pub age: Duration,
}

impl Default for AuditKept {
    /// Ten thousand entries of each organization, for a year.
    fn default() -> Self {
        Self {
            entries: 10_000,
            age: Duration::from_secs(365 * 86_400),
        }
    }
}

/// Keeps the audit logs. What changes a webhook is entered by whoever keeps the webhooks, in one step
/// with the change.
#[async_trait]
pub trait AuditLog: std::fmt::Debug + Send + Sync {
    /// Enters what was done, in the log of the entry's organization. Durable when it returns.
    async fn add(&self, entry: &AuditEntry) -> Result<(), Unavailable>;

    /// The newest entries wanted, at most `limit`; those before the entry `before`, if given: the
    /// `next` of the part before this. `None`: what was done to all organizations at once.
    async fn list(
        &self,
        organization: Option<&Organization>,
        filter: &AuditFilter,
        limit: usize,
        before: Option<EntryId>,
    ) -> Result<AuditPart, Unavailable>;
}

/// Which entries are wanted. What is `None` is not asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// What was done.
    pub action: Option<Action>,
    /// By whoever has this name.
    pub actor: Option<String>,
    /// To this webhook.
    pub webhook: Option<WebhookId>,
    /// Then or later.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    /// Whether `entry` is wanted.
    pub fn wants(&self, entry: &AuditEntry) -> bool {
        self.action.is_none_or(|action| action == entry.action)
            && self
                .actor
                .as_ref()
                .is_none_or(|actor| *actor == entry.actor)
            && (self.webhook.is_none() || self.webhook == entry.webhook_id)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
    }
}

/// A part of an audit log.
#[derive(Debug, Default, PartialEq)]
pub struct AuditPart {
    /// The entries, newest first.
    pub entries: Vec<AuditEntry>,
    /// Where the next part begins; `None` if there is nothing older.
    pub next: Option<EntryId>,
    /// How many entries were passed over because they cannot be read.
    pub unreadable: usize,
}

impl AuditPart {
    /// Takes the entry that stands under `id`, if it is wanted; `true` once there are `limit`.
    pub(crate) fn take(
        &mut self,
        id: EntryId,
        json: &[u8],
        filter: &AuditFilter,
        limit: usize,
    ) -> bool {
        match serde_json::from_slice(json) {
            Ok(entry) if filter.wants(&entry) => self.entries.push(entry),
            Ok(_) => {}
            Err(_) => self.unreadable += 1,
        }
        self.next = Some(id);
        self.entries.len() >= limit
    }
}

/// Enters what was done that no store does in one step with it, and says so in the program's log.
pub async fn enter(log: &dyn AuditLog, entry: &AuditEntry) -> Result<(), Unavailable> {
    log.add(entry).await?;
    tell(entry);
    Ok(())
}

/// Says in the program's log what was entered: a copy that nobody who has a token can reach.
pub fn tell(entry: &AuditEntry) {
    let job = entry.job.as_ref();
    tracing::info!(
        target: "prism_webhooks::audit",
        action = entry.action.name(),
        actor = entry.actor,
        through = entry.through.name(),
        organization = entry.organization.as_ref().map(Organization::as_str),
        webhook_id = entry.webhook_id.as_ref().map(WebhookId::as_str),
        webhook_name = entry.webhook_name,
        url = entry.url,
        fields = (!entry.fields.is_empty()).then(|| entry.fields.join(",")),
        reason = entry.reason,
        delivery_id = entry.delivery_id.as_ref().map(|id| id.as_str()),
        job = job.map(|job| job.id.as_str()),
        state = job.map(|job| job.state.as_str()),
        done = job.map(|job| job.done),
        "audit"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::{Actor, Through};

    #[test]
    fn an_entry_is_wanted_by_what_it_says() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let actor = Actor::new("alice", Through::Api);
        let entry = AuditEntry {
            webhook_id: Some(WebhookId::new("w").unwrap()),
            ..AuditEntry::new(None, &actor, Action::WebhookChanged, at(5))
        };
        let of = |change: fn(&mut AuditFilter)| {
            let mut filter = AuditFilter::default();
            change(&mut filter);
            filter.wants(&entry)
        };
        assert!(of(|_| {}));
        assert!(of(|filter| filter.action = Some(Action::WebhookChanged)));
        assert!(!of(|filter| filter.action = Some(Action::WebhookDeleted)));
        assert!(of(|filter| filter.actor = Some("alice".to_owned())));
        assert!(!of(|filter| filter.actor = Some("alic".to_owned())));
        assert!(of(|filter| filter.webhook = WebhookId::new("w").ok()));
        assert!(!of(|filter| filter.webhook = WebhookId::new("v").ok()));
        assert!(of(|filter| filter.since = Timestamp::from_second(5).ok()));
        assert!(!of(|filter| filter.since = Timestamp::from_second(6).ok()));
        assert!(of(|filter| filter.until = Timestamp::from_second(6).ok()));
        assert!(!of(|filter| filter.until = Timestamp::from_second(5).ok()));
    }
}
