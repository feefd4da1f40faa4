//! The attempts on record, newest first.

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::store::{ReadError, Store};
use crate::domain::attempt::Attempt;
use crate::domain::ids::{Organization, WebhookId};
use crate::store::cursor_key::CursorKey;
use crate::store::delivery_log::{AttemptFilter, Page, RecordedAttempt};
use crate::store::entry::EntryId;
use crate::store::retention::MAX_EXAMINED;

/// Reads the record of attempts.
#[derive(Debug, Clone)]
pub struct Attempts {
    pub(super) store: Store,
}

impl Attempts {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    /// The newest attempts wanted, at most `limit`; those before the entry `before`, if given: the
    /// `next` of the page before this.
    pub async fn list(
        &self,
        filter: &AttemptFilter,
        limit: usize,
        before: Option<EntryId>,
    ) -> Result<Page, ReadError> {
        let filter = filter.clone();
        let before = before.map_or(i64::MAX, row_id);
        self.store
            .read(move |connection| list(connection, &filter, limit, before))
            .await
    }

    /// The attempt that stands under `entry` in a webhook's record.
    pub async fn get(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        entry: EntryId,
    ) -> Result<Option<RecordedAttempt>, ReadError> {
        let (organization, webhook) = (organization.clone(), webhook.clone());
        let id = row_id(entry);
        let one = move |connection: &Connection| {
            let sql = "SELECT id, attempt FROM webhook_attempts \
                       WHERE organization = ? AND webhook = ? AND id = ?";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![organization.as_str(), webhook.as_str(), id])?;
            match rows.next()? {
                Some(row) => decode(row),
                None => Ok(None),
            }
        };
        let found = self.store.read(one).await?;
        Ok(found.map(|attempt| RecordedAttempt { entry, attempt }))
    }

    /// What places in the record are sealed with.
    pub async fn cursor_key(&self) -> Result<CursorKey, ReadError> {
        let sql = "SELECT key FROM cursor_key";
        let key = self.store.read(|connection| {
            connection
                .prepare_cached(sql)?
                .query_row([], |row| row.get(0))
        });
        key.await.map(CursorKey::new)
    }
}

fn list(
    connection: &Connection,
    filter: &AttemptFilter,
    limit: usize,
    before: i64,
) -> rusqlite::Result<Page> {
    let mut statement;
    let mut rows = match (&filter.organization, &filter.webhook) {
        (Some(organization), Some(webhook)) => {
            let sql = "SELECT id, attempt FROM webhook_attempts \
                       WHERE organization = ? AND webhook = ? AND id < ? ORDER BY id DESC";
            statement = connection.prepare_cached(sql)?;
            statement.query(params![organization.as_str(), webhook.as_str(), before])?
        }
        // By itself, so that what others do neither costs it anything nor shows.
        (Some(organization), None) => {
            let sql = "SELECT id, attempt FROM attempts \
                       WHERE organization = ? AND id < ? ORDER BY id DESC";
            statement = connection.prepare_cached(sql)?;
            statement.query(params![organization.as_str(), before])?
        }
        (None, _) => {
            let sql = "SELECT id, attempt FROM attempts WHERE id < ? ORDER BY id DESC";
            statement = connection.prepare_cached(sql)?;
            statement.query([before])?
        }
    };
    let mut page = Page::default();
    for _ in 0..MAX_EXAMINED {
        if page.attempts.len() >= limit {
            return Ok(page);
        }
        let Some(row) = rows.next()? else {
            page.next = None;
            return Ok(page);
        };
        let id: i64 = row.get(0)?;
        page.next = Some(entry_id(id));
        match decode(row)? {
            Some(attempt) if filter.wants(&attempt) => {
                let first = filter.ends_with(&attempt);
                page.attempts.push(RecordedAttempt {
                    entry: entry_id(id),
                    attempt,
                });
                if first {
                    page.next = None;
                    return Ok(page);
                }
            }
            Some(_) => {}
            None => page.unreadable += 1,
        }
    }
    Ok(page)
}

/// The number of the row that an entry is; behind all rows, if there can be none.
pub(super) fn row_id(entry: EntryId) -> i64 {
    i64::try_from(entry.major).unwrap_or(i64::MAX)
}

/// The entry that a row is.
pub(super) fn entry_id(row: i64) -> EntryId {
    EntryId {
        major: u64::try_from(row).unwrap_or(0),
        minor: 0,
    }
}

pub(super) fn decode(row: &Row<'_>) -> rusqlite::Result<Option<Attempt>> {
    let json: Vec<u8> = row.get(1)?;
    let attempt = serde_json::from_slice(&json).ok();
    Ok(attempt.map(|attempt: Attempt| Attempt {
        // Written to the microsecond; the division leaves crumbs below.
        duration: to_micros(attempt.duration),
        ..attempt
    }))
}

fn to_micros(duration: Duration) -> Duration {
    let micros = (duration.as_nanos() + 500) / 1000;
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}
