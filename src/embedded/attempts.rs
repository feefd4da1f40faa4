//! The attempts on record: newest first, or as they come.

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::store::{ReadError, Store};
use crate::domain::attempt::Attempt;
use crate::records::{AttemptFilter, Page, RecordedAttempt};

/// How many entries one listing looks at before it hands back what it has.
const MAX_EXAMINED: usize = 100_000;

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
            Some(attempt) if filter.wants(&attempt) => page.attempts.push(RecordedAttempt {
                entry: id.to_string(),
                attempt,
            }),
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
    let sql = "SELECT id, attempt FROM attempts WHERE id > ? ORDER BY id LIMIT ?";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![last, FOLLOWED])?;
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
