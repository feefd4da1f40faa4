//! The hash of an organization's webhooks: reading it, compare-and-set, notices.
//!
//! Every change compares with what was read, is entered in the audit log and publishes a notice, in one
//! script: two people who change the same webhook do not undo each other, and no change goes untold.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use redis::{Script, ScriptInvocation, cmd};

use super::connection::Connection;
use super::error::StoreError;
use super::keys::Keys;
use super::{audit, names, statistics};
use crate::domain::audit::AuditEntry;
use crate::domain::ids::Organization;
use crate::domain::webhook::{WebhookDocument, WebhookKey};
use crate::registry::documents::{Change, DocumentStore, Replacement, SomeOrganizations};
use crate::store::Unavailable;
use crate::store::audit::AuditKept;

/// So many keys of every kind are looked at in one step: less than a millisecond of the server's time.
const SCANNED: u32 = 1000;

/// The documents of all organizations.
#[derive(Debug, Clone)]
pub(super) struct Documents {
    pub(super) connection: Connection,
    pub(super) keys: Keys,
    kept: AuditKept,
    scripts: Arc<Scripts>,
}

#[derive(Debug)]
struct Scripts {
    create: Script,
    replace: Script,
    delete: Script,
    learn: Script,
}

/// How often a change is made again because the index of names was not up to date.
const TRIES: usize = 5;

impl Documents {
    /// `kept` is how much of the audit log is.
    pub(super) fn new(connection: Connection, keys: Keys, kept: AuditKept) -> Self {
        let asking = |script: &str| names::asking(&audit::entering(script));
        Self {
            connection,
            keys,
            kept,
            scripts: Arc::new(Scripts {
                create: asking(include_str!("scripts/create.lua")),
                replace: asking(include_str!("scripts/replace.lua")),
                delete: asking(include_str!("scripts/delete.lua")),
                learn: names::asking(include_str!("scripts/learn.lua")),
            }),
        }
    }

    /// Every document of an organization with the field that it stands under, ordered by that.
    pub(super) async fn all(
        &self,
        organization: &Organization,
    ) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let mut command = cmd("HGETALL");
        command.arg(self.keys.webhooks(organization));
        let all: Vec<(Vec<u8>, Vec<u8>)> = self.connection.call(&command).await?;
        let text = |field: Vec<u8>| String::from_utf8_lossy(&field).into_owned();
        Ok(all.into_iter().map(|(id, raw)| (text(id), raw)).collect())
    }

    /// Some of the organizations that have webhooks, and the server's cursor if there are more.
    async fn organizations(&self, after: &str) -> Result<SomeOrganizations, StoreError> {
        let mut command = cmd("SCAN");
        command.arg(if after.is_empty() { "0" } else { after });
        command.arg("MATCH").arg(self.keys.all_webhooks());
        command.arg("COUNT").arg(SCANNED).arg("TYPE").arg("hash");
        let (cursor, keys): (String, Vec<Vec<u8>>) = self.connection.call(&command).await?;
        let texts = keys.iter().filter_map(|key| std::str::from_utf8(key).ok());
        let organizations = texts.filter_map(|key| self.keys.organization(key));
        Ok(SomeOrganizations {
            organizations: organizations.collect(),
            next: (cursor != "0").then_some(cursor),
        })
    }

    /// One document as it is stored.
    pub(super) async fn get(
        &self,
        organization: &Organization,
        id: &str,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut command = cmd("HGET");
        command.arg(self.keys.webhooks(organization)).arg(id);
        self.connection.call(&command).await
    }

    pub(super) async fn create(
        &self,
        organization: &Organization,
        document: &WebhookDocument,
        json: &str,
        most: u64,
        entry: &AuditEntry,
    ) -> Result<Change, StoreError> {
        let mut call = self.scripts.create.key(self.keys.webhooks(organization));
        call.key(self.keys.names(organization));
        call.key(self.keys.audit(Some(organization)));
        call.arg(&document.id).arg(&document.name).arg(json);
        call.arg(self.keys.changed()).arg(organization.as_str());
        call.arg(most);
        audit::write(&mut call, Some(entry), self.kept);
        self.knowing_names(organization, &call).await
    }

    pub(super) async fn replace(
        &self,
        webhook: &WebhookKey,
        replacement: &Replacement<'_>,
    ) -> Result<Change, StoreError> {
        let organization = &webhook.organization;
        let mut call = self.scripts.replace.key(self.keys.webhooks(organization));
        call.key(self.keys.names(organization));
        call.key(self.keys.health(webhook));
        call.key(self.keys.audit(Some(organization)));
        call.arg(webhook.id.as_str());
        call.arg(replacement.old).arg(replacement.new);
        call.arg(replacement.name.unwrap_or_default());
        call.arg(u8::from(replacement.forget_health));
        let channel = match replacement.means_the_same {
            true => String::new(),
            false => self.keys.changed(),
        };
        call.arg(channel).arg(organization.as_str());
        audit::write(&mut call, replacement.entry, self.kept);
        self.knowing_names(organization, &call).await
    }

    /// Makes a change that needs the index of names, which is made anew first if others wrote webhooks
    /// without it.
    async fn knowing_names(
        &self,
        organization: &Organization,
        call: &ScriptInvocation<'_>,
    ) -> Result<Change, StoreError> {
        let Self {
            connection,
            keys,
            scripts,
            kept: _,
        } = self;
        for _ in 0..TRIES {
            let (what, detail): (String, String) = connection.script(call).await?;
            if what != "unknown" {
                return Ok(change((what, detail)));
            }
            names::learn(connection, keys, &scripts.learn, organization, &detail).await?;
        }
        Ok(Change::Conflict)
    }

    /// Removes a webhook with everything that is its own.
    pub(super) async fn delete(
        &self,
        webhook: &WebhookKey,
        old: &[u8],
        entry: &AuditEntry,
    ) -> Result<Change, StoreError> {
        let WebhookKey { organization, id } = webhook;
        let mut call = self.scripts.delete.key(self.keys.webhooks(organization));
        call.key(self.keys.names(organization));
        call.key(self.keys.audit(Some(organization)));
        call.key(self.keys.webhook_attempts(organization, id));
        call.key(self.keys.health(webhook));
        call.key(self.keys.calendar(webhook));
        call.key(self.keys.paused(webhook));
        call.key(self.keys.held_back(organization, id));
        for key in statistics::kept(&self.keys, webhook, Timestamp::now()) {
            call.key(key);
        }
        call.arg(id.as_str()).arg(old);
        call.arg(self.keys.changed()).arg(organization.as_str());
        audit::write(&mut call, Some(entry), self.kept);
        self.connection.script(&call).await.map(change)
    }
}

#[async_trait]
impl DocumentStore for Documents {
    async fn organizations(&self, after: &str) -> Result<SomeOrganizations, Unavailable> {
        let some = Self::organizations(self, after).await;
        some.map_err(Unavailable::new)
    }

    async fn all(
        &self,
        organization: &Organization,
    ) -> Result<BTreeMap<String, Vec<u8>>, Unavailable> {
        let all = Self::all(self, organization).await;
        all.map_err(Unavailable::new)
    }

    async fn get(
        &self,
        organization: &Organization,
        id: &str,
    ) -> Result<Option<Vec<u8>>, Unavailable> {
        let one = Self::get(self, organization, id).await;
        one.map_err(Unavailable::new)
    }

    async fn create(
        &self,
        organization: &Organization,
        document: &WebhookDocument,
        json: &str,
        most: u64,
        entry: &AuditEntry,
    ) -> Result<Change, Unavailable> {
        let created = Self::create(self, organization, document, json, most, entry).await;
        created.map_err(Unavailable::new)
    }

    async fn replace(
        &self,
        webhook: &WebhookKey,
        replacement: &Replacement<'_>,
    ) -> Result<Change, Unavailable> {
        let replaced = Self::replace(self, webhook, replacement).await;
        replaced.map_err(Unavailable::new)
    }

    async fn delete(
        &self,
        webhook: &WebhookKey,
        old: &[u8],
        entry: &AuditEntry,
    ) -> Result<Change, Unavailable> {
        let deleted = Self::delete(self, webhook, old, entry).await;
        deleted.map_err(Unavailable::new)
    }
}

fn change((what, id): (String, String)) -> Change {
    match what.as_str() {
        "done" => Change::Done,
        "gone" => Change::Gone,
        "name taken" => Change::NameTaken(id),
        "too many" => Change::TooMany,
        _ => Change::Conflict,
    }
}
