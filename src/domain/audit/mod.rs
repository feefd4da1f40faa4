//! What is put on record of a change that somebody made: who, through what, what, when.
//!
//! An entry holds names of fields, never values that are secret: no secret, no value of a header, no
//! query of a URL.

mod difference;
mod words;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::dead_letter::Reason;
use super::ids::{DeliveryId, Organization, WebhookId};

pub use difference::changed_fields;

/// Who makes changes, and through what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The token's name; the user of a command; `local` without a token; `prism-webhooks` itself.
    pub name: String,
    /// Through what.
    pub through: Through,
}

/// Through what somebody makes changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Through {
    /// The API.
    Api,
    /// The Webhooks page.
    Page,
    /// A command.
    Cli,
    /// A worker: nobody did it by hand.
    Worker,
}

impl Actor {
    /// The most characters of a name.
    pub const LONGEST: usize = 100;

    /// Whoever has this name; what is longer than a name may be is cut off, and what does not print
    /// is replaced.
    pub fn new(name: &str, through: Through) -> Self {
        let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        Self {
            name: name.chars().take(Self::LONGEST).map(shown).collect(),
            through,
        }
    }

    /// Whoever asks on this machine where there are no tokens.
    pub fn local(through: Through) -> Self {
        Self::new("local", through)
    }

    /// The program itself.
    pub fn program() -> Self {
        Self::new("prism-webhooks", Through::Worker)
    }
}

impl Through {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Page => "page",
            Self::Cli => "cli",
            Self::Worker => "worker",
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// A webhook was registered.
    #[serde(rename = "webhook.created")]
    WebhookCreated,
    /// A webhook was changed in other ways than those below.
    #[default]
    #[serde(rename = "webhook.changed")]
    WebhookChanged,
    /// A secret took the place of the one before, or is the first.
    #[serde(rename = "webhook.secret_rotated")]
    SecretRotated,
    /// A secret was staged beside the current one.
    #[serde(rename = "webhook.secret_staged")]
    SecretStaged,
    /// The staged secret was promoted.
    #[serde(rename = "webhook.secret_promoted")]
    SecretPromoted,
    /// What was staged was dropped.
    #[serde(rename = "webhook.staged_secret_dropped")]
    StagedSecretDropped,
    /// A webhook was enabled.
    #[serde(rename = "webhook.enabled")]
    WebhookEnabled,
    /// A webhook was disabled.
    #[serde(rename = "webhook.disabled")]
    WebhookDisabled,
    /// A webhook was deleted.
    #[serde(rename = "webhook.deleted")]
    WebhookDeleted,
    /// A delivery was started again by hand.
    #[serde(rename = "delivery.retried")]
    DeliveryRetried,
    /// A requeue of dead letters began.
    #[serde(rename = "dead_letters.requeue_started")]
    RequeueStarted,
    /// A requeue of dead letters came to its end.
    #[serde(rename = "dead_letters.requeued")]
    Requeued,
    /// A purge of dead letters began.
    #[serde(rename = "dead_letters.purge_started")]
    PurgeStarted,
    /// A purge of dead letters came to its end.
    #[serde(rename = "dead_letters.purged")]
    Purged,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 14] = [
        Self::WebhookCreated,
        Self::WebhookChanged,
        Self::SecretRotated,
        Self::SecretStaged,
        Self::SecretPromoted,
        Self::StagedSecretDropped,
        Self::WebhookEnabled,
        Self::WebhookDisabled,
        Self::WebhookDeleted,
        Self::DeliveryRetried,
        Self::RequeueStarted,
        Self::Requeued,
        Self::PurgeStarted,
        Self::Purged,
    ];

    /// The stable name in entries, filters and the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebhookCreated => "webhook.created",
            Self::WebhookChanged => "webhook.changed",
            Self::SecretRotated => "webhook.secret_rotated",
            Self::SecretStaged => "webhook.secret_staged",
            Self::SecretPromoted => "webhook.secret_promoted",
            Self::StagedSecretDropped => "webhook.staged_secret_dropped",
            Self::WebhookEnabled => "webhook.enabled",
            Self::WebhookDisabled => "webhook.disabled",
            Self::WebhookDeleted => "webhook.deleted",
            Self::DeliveryRetried => "delivery.retried",
            Self::RequeueStarted => "dead_letters.requeue_started",
            Self::Requeued => "dead_letters.requeued",
            Self::PurgeStarted => "dead_letters.purge_started",
            Self::Purged => "dead_letters.purged",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no action of the audit log; there are {}", all())]
pub struct UnknownAction {
    given: String,
}

fn all() -> String {
    Action::ALL.map(Action::name).join(", ")
}

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        let found = Self::ALL.into_iter().find(|action| action.name() == text);
        found.ok_or_else(|| UnknownAction {
            given: text.chars().take(100).collect(),
        })
    }
}

/// One entry of the audit log. The field names are those of its JSON, stored and shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Whose webhook or deliveries; `None`: everybody's at once, which is the operator's alone.
    pub organization: Option<Organization>,
    /// Who: the name of an [`Actor`].
    pub actor: String,
    /// Through what.
    pub through: Through,
    /// What was done.
    pub action: Action,
    /// The webhook that was changed, or that the delivery was for.
    pub webhook_id: Option<WebhookId>,
    /// Its name afterwards.
    pub webhook_name: Option<String>,
    /// Its endpoint, [as it is shown](super::endpoint::shown), if that is new.
    pub url: Option<String>,
    /// The fields of the webhook that changed.
    pub fields: Vec<String>,
    /// Why the webhook was disabled.
    pub reason: Option<String>,
    /// The delivery that was retried.
    pub delivery_id: Option<DeliveryId>,
    /// The requeue or purge.
    pub job: Option<AuditedJob>,
}

/// A requeue or a purge of dead letters: which were meant, and what was done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AuditedJob {
    /// Its id: that of the entry of its beginning and of that of its end.
    pub id: String,
    /// How it stood: `running`, `done`, `stopped` or `failed`.
    pub state: String,
    /// Why it could not go on, of one that failed.
    pub error: Option<String>,
    /// Only those of this webhook.
    pub webhook_id: Option<String>,
    /// Only those of events of this type.
    pub event_type: Option<String>,
    /// Only those given up for this reason.
    pub reason: Option<Reason>,
    /// Only those given up then or later.
    pub since: Option<Timestamp>,
    /// Only those given up before then.
    pub until: Option<Timestamp>,
    /// The first hundred of those that were chosen one by one.
    pub ids: Vec<String>,
    /// How many were chosen one by one.
    pub chosen: Option<u64>,
    /// So many at most.
    pub limit: Option<u64>,
    /// How many were requeued or purged until then.
    pub done: u64,
    /// How many could not be requeued, for they are no deliveries.
    pub unusable: u64,
}

impl AuditedJob {
    /// So many of those that were chosen one by one are named.
    pub const NAMED: usize = 100;
}

impl AuditEntry {
    /// An entry that says no more than who did what, where and when.
    pub fn new(
        organization: Option<&Organization>,
        actor: &Actor,
        action: Action,
        at: Timestamp,
    ) -> Self {
        Self {
            at,
            organization: organization.cloned(),
            actor: actor.name.clone(),
            through: actor.through,
            action,
            webhook_id: None,
            webhook_name: None,
            url: None,
            fields: Vec::new(),
            reason: None,
            delivery_id: None,
            job: None,
        }
    }

    /// The entry as it is stored.
    pub fn to_json(&self) -> String {
        #[expect(clippy::expect_used, reason = "texts, numbers and times have a JSON")]
        serde_json::to_string(self).expect("an entry has a JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_stored_shown_and_asked_for_under_one_name() {
        for action in Action::ALL {
            assert_eq!(action.name().parse(), Ok(action));
            assert_eq!(serde_json::to_value(action).unwrap(), action.name());
        }
        let error = "webhook.moved".parse::<Action>().unwrap_err().to_string();
        assert!(
            error.contains("webhook.changed, webhook.secret_rotated"),
            "{error}"
        );
    }

    #[test]
    fn an_entry_is_read_back_as_it_was_written() {
        let actor = Actor::new("alice", Through::Api);
        let acme = Organization::new("acme").unwrap();
        let at = Timestamp::from_second(1_780_000_000).unwrap();
        let entry = AuditEntry {
            fields: vec!["url".to_owned()],
            job: Some(AuditedJob {
                reason: Some(Reason::Poison),
                ..AuditedJob::default()
            }),
            ..AuditEntry::new(Some(&acme), &actor, Action::WebhookChanged, at)
        };
        let json = entry.to_json();
        assert_eq!(serde_json::from_str::<AuditEntry>(&json).unwrap(), entry);
        assert!(json.contains(r#""through":"api""#), "{json}");
    }

    #[test]
    fn a_name_is_short_and_prints() {
        let actor = Actor::new(&format!("a\u{1b}{}", "b".repeat(200)), Through::Cli);
        assert_eq!(actor.name.chars().count(), Actor::LONGEST);
        assert!(actor.name.starts_with("a\u{fffd}b"), "{}", actor.name);
    }
}
