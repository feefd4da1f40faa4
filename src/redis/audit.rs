//! The audit logs: a stream for each organization.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use redis::{Script, ScriptInvocation, cmd};

use super::connection::Connection;
use super::error::StoreError;
use super::keys::Keys;
use crate::domain::audit::AuditEntry;
use crate::domain::ids::Organization;
use crate::store::Unavailable;
use crate::store::audit::{AuditFilter, AuditKept, AuditLog, AuditPart};
use crate::store::entry::EntryId;
use crate::store::retention::MAX_EXAMINED;

/// How many entries are asked for at a time.
const PAGE: usize = 500;

/// By how much the clock of whoever made a change and Redis's may differ without an entry being missed.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);

/// What XREVRANGE answers: each entry's id, and its fields.
type Entries = Vec<(String, Vec<(String, Vec<u8>)>)>;

/// A script that enters something.
pub(super) fn entering(script: &str) -> String {
    let functions = include_str!("scripts/audit.lua");
    format!("{functions}\n{script}")
}

/// The arguments of a script that say what is to be entered, and how much is kept.
pub(super) fn write(call: &mut ScriptInvocation<'_>, entry: Option<&AuditEntry>, kept: AuditKept) {
    call.arg(entry.map(AuditEntry::to_json).unwrap_or_default());
    call.arg(kept.entries).arg(kept.age.as_secs());
}

/// The audit logs of a deployment.
#[derive(Debug, Clone)]
pub struct RedisAuditLog {
    connection: Connection,
    keys: Keys,
    kept: AuditKept,
    enter: Arc<Script>,
}

impl RedisAuditLog {
    /// The audit logs of the deployment whose keys these are, of which so much is `kept`.
    pub fn new(connection: Connection, keys: Keys, kept: AuditKept) -> Self {
        let enter = Script::new(&entering(include_str!("scripts/enter.lua")));
        Self {
            connection,
            keys,
            kept,
            enter: Arc::new(enter),
        }
    }

    async fn part(
        &self,
        organization: Option<&Organization>,
        filter: &AuditFilter,
        limit: usize,
        before: Option<EntryId>,
    ) -> Result<AuditPart, StoreError> {
        let stream = self.keys.audit(organization);
        let since = filter.since.map(|since| {
            let since = since.saturating_sub(CLOCKS_DIFFER).unwrap_or(since);
            since.as_millisecond().max(0).to_string()
        });
        let first = since.unwrap_or_else(|| "-".to_owned());
        let mut part = AuditPart::default();
        let mut end = before.map_or_else(|| "+".to_owned(), |id| format!("({id}"));
        let mut examined = 0;
        while examined < MAX_EXAMINED {
            let mut command = cmd("XREVRANGE");
            command.arg(&stream).arg(&end).arg(&first);
            command.arg("COUNT").arg(PAGE);
            let entries: Entries = self.connection.call(&command).await?;
            let whole = entries.len() == PAGE;
            examined += entries.len();
            for (id, fields) in entries {
                // Redis makes the ids.
                let Ok(id) = id.parse() else { continue };
                let entry = fields.first().map_or(&[][..], |(_, json)| json);
                if part.take(id, entry, filter, limit) {
                    return Ok(part);
                }
            }
            if !whole {
                part.next = None;
                return Ok(part);
            }
            if let Some(last) = &part.next {
                end = format!("({last}");
            }
        }
        Ok(part)
    }
}

#[async_trait]
impl AuditLog for RedisAuditLog {
    async fn add(&self, entry: &AuditEntry) -> Result<(), Unavailable> {
        let log = self.keys.audit(entry.organization.as_ref());
        let mut call = self.enter.key(log);
        write(&mut call, Some(entry), self.kept);
        let added: Result<(), StoreError> = self.connection.script(&call).await;
        added.map_err(Unavailable::new)
    }

    async fn list(
        &self,
        organization: Option<&Organization>,
        filter: &AuditFilter,
        limit: usize,
        before: Option<EntryId>,
    ) -> Result<AuditPart, Unavailable> {
        let part = self.part(organization, filter, limit, before).await;
        part.map_err(Unavailable::new)
    }
}
