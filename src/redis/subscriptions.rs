//! The registered webhooks, for the engine: cached, and told of every change.
//!
//! What a worker knows of an organization is a cell that the first who asks fills. A notice removes
//! the cell, it does not empty it: a load that began before a change ends in a cell that nobody
//! finds any more. A notice can be missed while the subscription is down, so everything is
//! forgotten whenever it comes up; and nothing is kept for longer than `max_age`.
//!
//! Whose receivers asked to be left alone is heard the same way, and recalled with every load.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use moka::sync::Cache;
use tokio::sync::OnceCell;
use tokio_util::task::AbortOnDropHandle;

use super::connection::Connection;
use super::documents::Documents;
use super::error::StoreError;
use super::keys::Keys;
use super::listener::Listener;
use super::pauses::RedisPauses;
use crate::domain::ids::Organization;
use crate::domain::organization::OrganizationWebhooks;
use crate::domain::webhook::WebhookKey;
use crate::engine::ports::Subscriptions;
use crate::registry::disabling::{Disabled, disabled};
use crate::registry::documents::{Change, DocumentReader, Replacement};
use crate::store::audit::{self, AuditKept};

/// How much is cached, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct SubscriptionsSettings {
    /// The most organizations whose webhooks are kept in memory.
    pub max_organizations: u64,
    /// How long they are kept at most, whatever notices come.
    pub max_age: Duration,
    /// How much of the audit log is kept, where it is entered that a webhook was disabled.
    pub audit: AuditKept,
}

type Known = Cache<Organization, Arc<OnceCell<Arc<OrganizationWebhooks>>>>;

/// The webhooks that the engine delivers to.
#[derive(Debug)]
pub struct RedisSubscriptions {
    documents: Documents,
    reader: DocumentReader,
    known: Known,
    pauses: Arc<RedisPauses>,
    _listener: AbortOnDropHandle<()>,
}

impl RedisSubscriptions {
    /// Begins to listen for changes and for `pauses`, in the background; must be called on a Tokio
    /// runtime.
    pub fn start(
        connection: Connection,
        keys: Keys,
        reader: DocumentReader,
        settings: SubscriptionsSettings,
        pauses: Arc<RedisPauses>,
    ) -> Self {
        let known: Known = Cache::builder()
            .max_capacity(settings.max_organizations)
            .time_to_live(settings.max_age)
            .build();
        let (missed, changed) = (known.clone(), known.clone());
        let (paused, told) = (keys.pauses(), pauses.clone());
        let listener = Listener {
            connection: connection.clone(),
            channels: vec![keys.changed(), paused.clone()],
            what: "changes of webhooks",
            begins: move || missed.invalidate_all(),
            hears: move |channel: &str, notice: &[u8]| {
                if channel == paused {
                    told.hear(notice);
                } else {
                    forget(&changed, notice);
                }
            },
        };
        Self {
            documents: Documents::new(connection, keys, settings.audit),
            reader,
            known,
            pauses,
            _listener: listener.start(),
        }
    }

    /// Reads the organization's webhooks, for as long as it takes. If Redis refuses for good, as
    /// when the key holds something else, that is what is known: to wait would hold up every other
    /// organization, and to take it for no webhooks would lose events.
    async fn load(&self, organization: &Organization) -> Arc<OrganizationWebhooks> {
        let connection = &self.documents.connection;
        let all = connection.persist(|| self.documents.all(organization));
        let all = match all.await {
            Ok(all) => all,
            Err(error) => {
                tracing::error!(
                    %organization, %error,
                    "the webhooks of an organization cannot be read; its events become dead letters"
                );
                return Arc::new(OrganizationWebhooks {
                    unreadable: Some(format!("the webhooks cannot be read: {error}")),
                    ..OrganizationWebhooks::default()
                });
            }
        };
        let webhooks = self.reader.read_all(organization, all);
        let ids = webhooks.webhooks.iter().map(|webhook| webhook.id.clone());
        self.pauses.recall(organization, ids.collect()).await;
        Arc::new(webhooks)
    }

    /// One try at disabling. `unsure` holds what an earlier try wrote without hearing back.
    async fn try_disable(
        &self,
        webhook: &WebhookKey,
        reason: &str,
        now: Timestamp,
        unsure: &std::sync::Mutex<Option<String>>,
    ) -> Result<Tried, StoreError> {
        let organization = &webhook.organization;
        let id = webhook.id.as_str();
        let Some(old) = self.documents.get(organization, id).await? else {
            return Ok(Tried::Settled(false));
        };
        let last = unsure.lock().unwrap_or_else(|e| e.into_inner()).take();
        if last.is_some_and(|written| written.as_bytes() == old) {
            return Ok(Tried::Settled(true));
        }
        let Disabled { json: new, entry } = match disabled(webhook, &old, reason, now) {
            Ok(Some(disabled)) => disabled,
            Ok(None) => return Ok(Tried::Settled(false)),
            Err(error) => {
                tracing::error!(%organization, webhook = id, %error, "a webhook cannot be disabled");
                return Ok(Tried::Settled(false));
            }
        };
        let replacement = Replacement {
            old: &old,
            new: &new,
            name: None,
            forget_health: true,
            entry: Some(&entry),
            means_the_same: false,
        };
        match self.documents.replace(webhook, &replacement).await {
            Ok(Change::Done) => {
                audit::tell(&entry);
                Ok(Tried::Settled(true))
            }
            Ok(Change::Gone) => Ok(Tried::Settled(false)),
            Ok(_) => Ok(Tried::Overtaken),
            Err(error) => {
                *unsure.lock().unwrap_or_else(|e| e.into_inner()) = Some(new);
                Err(error)
            }
        }
    }
}

/// The result of one try at disabling a webhook.
enum Tried {
    /// The webhook is disabled; whether by this call.
    Settled(bool),
    /// Somebody changed the document in between.
    Overtaken,
}

#[async_trait]
impl Subscriptions for RedisSubscriptions {
    async fn webhooks(&self, organization: &Organization) -> Arc<OrganizationWebhooks> {
        let cell = match self.known.get(organization) {
            Some(cell) => cell,
            None => self
                .known
                .get_with(organization.clone(), Arc::<OnceCell<_>>::default),
        };
        cell.get_or_init(|| self.load(organization)).await.clone()
    }

    async fn disable(&self, webhook: &WebhookKey, reason: &str, now: Timestamp) -> bool {
        let unsure = std::sync::Mutex::new(None);
        let result = loop {
            let tried = || self.try_disable(webhook, reason, now, &unsure);
            match self.documents.connection.persist(tried).await {
                Ok(Tried::Overtaken) => {}
                Ok(Tried::Settled(by_us)) => break by_us,
                Err(error) => {
                    let WebhookKey { organization, id } = webhook;
                    tracing::error!(%organization, webhook = %id, %error, "a webhook cannot be disabled");
                    break false;
                }
            }
        };
        self.known.invalidate(&webhook.organization);
        result
    }
}

/// Forgets what has changed.
fn forget(known: &Known, notice: &[u8]) {
    let organization = std::str::from_utf8(notice).ok().map(Organization::new);
    match organization {
        Some(Ok(organization)) => known.invalidate(&organization),
        // Something changed, but it does not say where.
        _ => known.invalidate_all(),
    }
}
