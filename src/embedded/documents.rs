//! The webhooks' documents in SQLite, and telling of changes.
//!
//! What is changed is entered in the audit log in the same transaction. Whoever changes a document forgets, once that is on the disk, what is known of its organization:
//! in one process a notice is a call.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use moka::sync::Cache;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::OnceCell;

use super::audit::enter;
use super::store::{ReadError, Store};
use super::writer::{WhenFull, Write, WriteError};
use crate::domain::audit::AuditEntry;
use crate::domain::ids::Organization;
use crate::domain::organization::OrganizationWebhooks;
use crate::domain::webhook::{WebhookDocument, WebhookKey};
use crate::registry::disabling::{Disabled, disabled};
use crate::registry::documents::{self, Change, DocumentStore, Replacement, SomeOrganizations};
use crate::store::Unavailable;
use crate::store::audit::{self, AuditKept};

/// What is known of each organization, in a cell that the first who asks fills. A change removes
/// the cell, so a load that began before it ends where nobody looks any more.
type Known = Cache<Organization, Arc<OnceCell<Arc<OrganizationWebhooks>>>>;

/// So many organizations are listed in one step.
const ORGANIZATIONS: usize = 1000;

/// The documents of all organizations.
#[derive(Debug, Clone)]
pub struct Documents {
    store: Store,
    known: Known,
    kept: AuditKept,
}

impl Documents {
    /// `kept` is how much of the audit log is.
    pub(super) fn new(store: Store, max_organizations: u64, kept: AuditKept) -> Self {
        Self {
            store,
            kept,
            known: Cache::new(max_organizations),
        }
    }

    /// The cell for what is known of an organization.
    pub(super) fn known(
        &self,
        organization: &Organization,
    ) -> Arc<OnceCell<Arc<OrganizationWebhooks>>> {
        match self.known.get(organization) {
            Some(cell) => cell,
            None => self
                .known
                .get_with(organization.clone(), Arc::<OnceCell<_>>::default),
        }
    }

    /// Every document of an organization; waits while they cannot be read.
    pub(super) async fn all_retrying(
        &self,
        organization: &Organization,
    ) -> BTreeMap<String, Vec<u8>> {
        let organization = organization.clone();
        let all = move |connection: &Connection| all(connection, &organization);
        self.store.read_retrying("webhooks", all).await
    }

    /// Disables a webhook; `true` if it was this call that did it. Waits while it cannot.
    pub(super) async fn disable(&self, webhook: &WebhookKey, reason: &str, now: Timestamp) -> bool {
        let (key, reason, kept) = (webhook.clone(), reason.to_owned(), self.kept);
        let write = Write::new(WhenFull::WaitIfItHelps);
        let disabling = self.store.submit(write, move |connection| {
            let WebhookKey { organization, id } = &key;
            let Some(old) = one(connection, organization, id.as_str())? else {
                return Ok(None);
            };
            let Disabled { json, entry } = match disabled(&key, &old, &reason, now) {
                Ok(Some(disabled)) => disabled,
                Ok(None) => return Ok(None),
                Err(error) => {
                    tracing::error!(%organization, webhook = %id, %error, "a webhook cannot be disabled");
                    return Ok(None);
                }
            };
            enter(connection, &entry, kept)?;
            update(connection, &key, &json)?;
            forget_health(connection, &key)?;
            Ok(Some(entry))
        });
        let did = disabling.await;
        self.known.invalidate(&webhook.organization);
        match did {
            Ok(entry) => {
                entry.iter().for_each(audit::tell);
                entry.is_some()
            }
            // What depends on the answer must not go on.
            Err(WriteError::Stopped) => std::future::pending().await,
            Err(error) => {
                let WebhookKey { organization, id } = webhook;
                tracing::error!(%organization, webhook = %id, %error, "a webhook cannot be disabled");
                false
            }
        }
    }

    /// Makes a change, and has everybody forget what they knew before.
    async fn change<T: Send + 'static>(
        &self,
        organization: &Organization,
        run: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.change_told(true, organization, run).await
    }

    /// Makes a change, and if it is to be told, has everybody forget what they knew before.
    async fn change_told<T: Send + 'static>(
        &self,
        told: bool,
        organization: &Organization,
        run: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let changed = self.store.submit(Write::new(WhenFull::Refuse), run).await;
        if told {
            self.known.invalidate(organization);
        }
        changed.map_err(Unavailable::new)
    }

    /// Puts a document in its place unseen, as another program may, and has everybody forget what
    /// they knew.
    pub async fn put(
        &self,
        organization: &Organization,
        id: &str,
        json: &[u8],
    ) -> Result<(), Unavailable> {
        let (own, id, json) = (organization.clone(), id.to_owned(), json.to_vec());
        let put = move |connection: &Connection| {
            let name = documents::name(&json);
            connection.execute(
                "INSERT OR REPLACE INTO webhooks (organization, id, document, name) \
                 VALUES (?, ?, ?, ?)",
                params![own.as_str(), id, json, name],
            )?;
            Ok(())
        };
        self.change(organization, put).await
    }

    async fn read<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let found: Result<T, ReadError> = self.store.read(run).await;
        found.map_err(Unavailable::new)
    }
}

#[async_trait]
impl DocumentStore for Documents {
    async fn organizations(&self, after: &str) -> Result<SomeOrganizations, Unavailable> {
        let after = after.to_owned();
        self.read(move |connection| organizations(connection, &after))
            .await
    }

    async fn all(
        &self,
        organization: &Organization,
    ) -> Result<BTreeMap<String, Vec<u8>>, Unavailable> {
        let organization = organization.clone();
        self.read(move |connection| all(connection, &organization))
            .await
    }

    async fn get(
        &self,
        organization: &Organization,
        id: &str,
    ) -> Result<Option<Vec<u8>>, Unavailable> {
        let (organization, id) = (organization.clone(), id.to_owned());
        self.read(move |connection| one(connection, &organization, &id))
            .await
    }

    async fn create(
        &self,
        organization: &Organization,
        document: &WebhookDocument,
        json: &str,
        most: u64,
        entry: &AuditEntry,
    ) -> Result<Change, Unavailable> {
        let own = organization.clone();
        let (id, name) = (document.id.clone(), document.name.clone());
        let json = json.to_owned();
        let (entry, kept) = (entry.clone(), self.kept);
        self.change(organization, move |connection| {
            if count(connection, &own)? >= most {
                return Ok(Change::TooMany);
            }
            if let Some(taken) = called(connection, &own, &name, &id)? {
                return Ok(Change::NameTaken(taken));
            }
            let created = connection.execute(
                "INSERT INTO webhooks (organization, id, document, name) VALUES (?, ?, ?, ?) \
                 ON CONFLICT DO NOTHING",
                params![own.as_str(), id, json.as_bytes(), name],
            )?;
            if created == 0 {
                return Ok(Change::Conflict);
            }
            enter(connection, &entry, kept)?;
            Ok(Change::Done)
        })
        .await
    }

    async fn replace(
        &self,
        webhook: &WebhookKey,
        replacement: &Replacement<'_>,
    ) -> Result<Change, Unavailable> {
        let key = webhook.clone();
        let (old, new) = (replacement.old.to_vec(), replacement.new.to_owned());
        let name = replacement.name.map(str::to_owned);
        let fresh = replacement.forget_health;
        let told = !replacement.means_the_same;
        let (entry, kept) = (replacement.entry.cloned(), self.kept);
        self.change_told(told, &webhook.organization, move |connection| {
            let WebhookKey { organization, id } = &key;
            match one(connection, organization, id.as_str())? {
                None => return Ok(Change::Gone),
                Some(present) if present != old => return Ok(Change::Conflict),
                Some(_) => {}
            }
            if let Some(name) = &name
                && let Some(taken) = called(connection, organization, name, id.as_str())?
            {
                return Ok(Change::NameTaken(taken));
            }
            if let Some(entry) = &entry {
                enter(connection, entry, kept)?;
            }
            update(connection, &key, &new)?;
            if fresh {
                forget_health(connection, &key)?;
            }
            Ok(Change::Done)
        })
        .await
    }

    async fn delete(
        &self,
        webhook: &WebhookKey,
        old: &[u8],
        entry: &AuditEntry,
    ) -> Result<Change, Unavailable> {
        let (key, old) = (webhook.clone(), old.to_owned());
        let (entry, kept) = (entry.clone(), self.kept);
        self.change(&webhook.organization, move |connection| {
            let own = [key.organization.as_str(), key.id.as_str()];
            match one(connection, &key.organization, key.id.as_str())? {
                None => return Ok(Change::Gone),
                Some(present) if present != old => return Ok(Change::Conflict),
                Some(_) => {}
            }
            enter(connection, &entry, kept)?;
            let sql = "DELETE FROM webhooks WHERE organization = ? AND id = ?";
            connection.execute(sql, own)?;
            for table in ["webhook_attempts", "statistics", "pauses"] {
                let sql = format!("DELETE FROM {table} WHERE organization = ? AND webhook = ?");
                connection.execute(&sql, own)?;
            }
            forget_health(connection, &key)?;
            Ok(Change::Done)
        })
        .await
    }
}

fn all(
    connection: &Connection,
    organization: &Organization,
) -> rusqlite::Result<BTreeMap<String, Vec<u8>>> {
    let sql = "SELECT id, document FROM webhooks WHERE organization = ?";
    let mut rows = connection.prepare_cached(sql)?;
    let rows = rows.query_map([organization.as_str()], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    rows.collect()
}

/// Some of the organizations behind `after`, by name. What is none can have no webhooks either.
fn organizations(connection: &Connection, after: &str) -> rusqlite::Result<SomeOrganizations> {
    let sql = "SELECT DISTINCT organization FROM webhooks WHERE organization > ? \
               ORDER BY organization LIMIT ?";
    let mut rows = connection.prepare_cached(sql)?;
    let rows = rows.query_map(params![after, ORGANIZATIONS], |row| row.get(0))?;
    let names: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
    let organizations = names.iter().filter_map(|name| Organization::new(name).ok());
    Ok(SomeOrganizations {
        organizations: organizations.collect(),
        next: (names.len() == ORGANIZATIONS)
            .then(|| names.last().cloned())
            .flatten(),
    })
}

fn one(
    connection: &Connection,
    organization: &Organization,
    id: &str,
) -> rusqlite::Result<Option<Vec<u8>>> {
    let sql = "SELECT document FROM webhooks WHERE organization = ? AND id = ?";
    let mut row = connection.prepare_cached(sql)?;
    row.query_row([organization.as_str(), id], |row| row.get(0))
        .optional()
}

/// Whether a webhook is registered: of one that is not, nothing is to be kept, for an attempt may end
/// after its webhook was deleted.
pub(super) fn registered(connection: &Connection, webhook: &WebhookKey) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM webhooks WHERE organization = ? AND id = ?";
    let mut row = connection.prepare_cached(sql)?;
    row.exists([webhook.organization.as_str(), webhook.id.as_str()])
}

/// The webhook other than `id` that has this name.
fn called(
    connection: &Connection,
    organization: &Organization,
    name: &str,
    id: &str,
) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT id FROM webhooks WHERE organization = ? AND name = ? AND id <> ? LIMIT 1";
    let mut row = connection.prepare_cached(sql)?;
    row.query_row([organization.as_str(), name.trim(), id], |row| row.get(0))
        .optional()
}

/// How many webhooks an organization has.
fn count(connection: &Connection, organization: &Organization) -> rusqlite::Result<u64> {
    let sql = "SELECT count(*) FROM webhooks WHERE organization = ?";
    let mut row = connection.prepare_cached(sql)?;
    row.query_row([organization.as_str()], |row| row.get(0))
}

fn update(connection: &Connection, webhook: &WebhookKey, json: &str) -> rusqlite::Result<()> {
    let WebhookKey { organization, id } = webhook;
    let name = documents::name(json.as_bytes());
    connection.execute(
        "UPDATE webhooks SET document = ?, name = ? WHERE organization = ? AND id = ?",
        params![json.as_bytes(), name, organization.as_str(), id.as_str()],
    )?;
    Ok(())
}

fn forget_health(connection: &Connection, webhook: &WebhookKey) -> rusqlite::Result<()> {
    let WebhookKey { organization, id } = webhook;
    let sql = "DELETE FROM health WHERE organization = ? AND webhook = ?";
    connection.execute(sql, [organization.as_str(), id.as_str()])?;
    Ok(())
}
