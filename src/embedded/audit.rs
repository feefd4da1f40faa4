//! The audit logs in SQLite: one table, capped for each organization.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::store::Store;
use super::writer::{WhenFull, Write};
use super::{millis, millis_of};
use crate::domain::audit::AuditEntry;
use crate::domain::ids::Organization;
use crate::store::Unavailable;
use crate::store::audit::{AuditFilter, AuditKept, AuditLog, AuditPart};
use crate::store::entry::EntryId;
use crate::store::retention::MAX_EXAMINED;

/// What stands in the place of the organization where all of them are meant: no identifier is empty.
const ALL: &str = "";

/// Enters what is done, in the transaction that does it.
pub(super) fn enter(
    connection: &Connection,
    entry: &AuditEntry,
    kept: AuditKept,
) -> rusqlite::Result<()> {
    let organization = scope(entry.organization.as_ref());
    let at = millis(entry.at);
    let sql = "INSERT INTO audit (organization, at, entry) VALUES (?, ?, ?)";
    connection.prepare_cached(sql)?.execute(params![
        organization,
        at,
        entry.to_json().as_bytes()
    ])?;
    let sql = "DELETE FROM audit WHERE organization = ?1 AND id <= \
               (SELECT id FROM audit WHERE organization = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    let entries = i64::try_from(kept.entries).unwrap_or(i64::MAX);
    connection
        .prepare_cached(sql)?
        .execute(params![organization, entries])?;
    let sql = "DELETE FROM audit WHERE at < ?";
    let oldest = at.saturating_sub(millis_of(kept.age));
    connection.prepare_cached(sql)?.execute([oldest])?;
    Ok(())
}

fn scope(organization: Option<&Organization>) -> &str {
    organization.map_or(ALL, Organization::as_str)
}

/// The audit logs of a deployment.
#[derive(Debug, Clone)]
pub struct EmbeddedAuditLog {
    store: Store,
    kept: AuditKept,
}

impl EmbeddedAuditLog {
    pub(super) fn new(store: Store, kept: AuditKept) -> Self {
        Self { store, kept }
    }
}

#[async_trait]
impl AuditLog for EmbeddedAuditLog {
    async fn add(&self, entry: &AuditEntry) -> Result<(), Unavailable> {
        let (entry, kept) = (entry.clone(), self.kept);
        let write = Write::new(WhenFull::Refuse);
        let entering = move |connection: &Connection| enter(connection, &entry, kept);
        let entered = self.store.submit(write, entering).await;
        entered.map_err(Unavailable::new)
    }

    async fn list(
        &self,
        organization: Option<&Organization>,
        filter: &AuditFilter,
        limit: usize,
        before: Option<EntryId>,
    ) -> Result<AuditPart, Unavailable> {
        let organization = organization.cloned();
        let filter = filter.clone();
        let before = before.map_or(i64::MAX, |entry| {
            i64::try_from(entry.major).unwrap_or(i64::MAX)
        });
        let part = self.store.read(move |connection| {
            list(connection, organization.as_ref(), &filter, limit, before)
        });
        part.await.map_err(Unavailable::new)
    }
}

fn list(
    connection: &Connection,
    organization: Option<&Organization>,
    filter: &AuditFilter,
    limit: usize,
    before: i64,
) -> rusqlite::Result<AuditPart> {
    let sql = "SELECT id, entry FROM audit WHERE organization = ? AND id < ? ORDER BY id DESC";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![scope(organization), before])?;
    let mut part = AuditPart::default();
    for _ in 0..MAX_EXAMINED {
        let Some(row) = rows.next()? else {
            part.next = None;
            return Ok(part);
        };
        let id: i64 = row.get(0)?;
        let entry: Vec<u8> = row.get(1)?;
        let place = EntryId {
            major: id.unsigned_abs(),
            minor: 0,
        };
        if part.take(place, &entry, filter, limit) {
            return Ok(part);
        }
    }
    Ok(part)
}
