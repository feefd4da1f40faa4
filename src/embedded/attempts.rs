//! The attempts on record: newest first, or as they come.

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::store::{ReadError, Store};
use crate::domain::attempt::Attempt;
use crate::domain::ids::{Organization, WebhookId};
use crate::store::delivery_log::{AttemptFilter, Page, RecordedAttempt};
use crate::store::retention::MAX_EXAMINED;

/// How many entries are taken at a time by whoever follows the record.
const FOLLOWED: i64 = 500;

/// Reads the record of attempts.
#[derive(Debug, Clone)]
pub struct Attempts {
    store: Store,
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
        before: Option<&str>,
    ) -> Result<Page, ReadError> {
        let filter = filter.clone();
        let before = before.and_then(|id| id.parse().ok()).unwrap_or(i64::MAX);
        self.store
            .read(move |connection| list(connection, &filter, limit, before))
            .await
    }

    /// The attempt that stands under `entry` in a webhook's record.
    pub async fn get(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        entry: &str,
    ) -> Result<Option<RecordedAttempt>, ReadError> {
        let (organization, webhook) = (organization.clone(), webhook.clone());
        let id: i64 = entry.parse().unwrap_or(0);
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
        let entry = entry.to_owned();
        Ok(found.map(|attempt| RecordedAttempt { entry, attempt }))
    }

    /// The id of the newest entry there is.
    pub async fn newest(&self) -> Result<String, ReadError> {
        let sql = "SELECT coalesce(max(id), 0) FROM attempts";
        let newest = self
            .store
            .read(|connection| connection.query_row(sql, [], |row| row.get::<_, i64>(0)));
        Ok(newest.await?.to_string())
    }

    /// The attempts wanted behind the entry `last`, oldest first, and the entry reached: the same
    /// if there is nothing new.
    pub async fn after(
        &self,
        filter: &AttemptFilter,
        last: &str,
    ) -> Result<(Vec<RecordedAttempt>, String), ReadError> {
        let filter = filter.clone();
        let last = last.parse().unwrap_or(0);
        self.store
            .read(move |connection| after(connection, &filter, last))
            .await
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
        _ => {
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
        page.next = Some(id.to_string());
        match decode(row)? {
            Some(attempt) if filter.wants(&attempt) => {
                let first = filter.ends_with(&attempt);
                page.attempts.push(RecordedAttempt {
                    entry: id.to_string(),
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

fn after(
    connection: &Connection,
    filter: &AttemptFilter,
    last: i64,
) -> rusqlite::Result<(Vec<RecordedAttempt>, String)> {
    let mut statement;
    let mut rows = match (&filter.organization, &filter.webhook) {
        (Some(organization), Some(webhook)) => {
            let sql = "SELECT id, attempt FROM webhook_attempts \
                       WHERE organization = ? AND webhook = ? AND id > ? ORDER BY id LIMIT ?";
            statement = connection.prepare_cached(sql)?;
            let of = (organization.as_str(), webhook.as_str());
            statement.query(params![of.0, of.1, last, FOLLOWED])?
        }
        _ => {
            let sql = "SELECT id, attempt FROM attempts WHERE id > ? ORDER BY id LIMIT ?";
            statement = connection.prepare_cached(sql)?;
            statement.query(params![last, FOLLOWED])?
        }
    };
    let (mut found, mut reached) = (Vec::new(), last);
    while let Some(row) = rows.next()? {
        reached = row.get(0)?;
        if let Some(attempt) = decode(row)?.filter(|attempt| filter.wants(attempt)) {
            found.push(RecordedAttempt {
                entry: reached.to_string(),
                attempt,
            });
        }
    }
    Ok((found, reached.to_string()))
}

fn decode(row: &Row<'_>) -> rusqlite::Result<Option<Attempt>> {
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
