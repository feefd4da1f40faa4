//! The record, read for those who follow it: everything that is followed in one look.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, Statement, params};
use tokio::time::sleep;

use super::attempts::{Attempts, decode, entry_id, row_id};
use super::store::ReadError;
use crate::store::Unavailable;
use crate::store::delivery_log::RecordedAttempt;
use crate::store::entry::EntryId;
use crate::store::following::followed::Followed;
use crate::store::following::{Part, Reader, Record, Scope};

/// How long before the record is looked at again: quick to the eye, and next to nothing for a store in
/// the same process.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How many entries of one record are taken at a time.
const PAGE: usize = 500;

#[async_trait]
impl Reader for Attempts {
    /// Rows are numbered through, whatever record they are in.
    async fn newest(&self, _: &Record) -> Result<EntryId, Unavailable> {
        let newest = self.store.read(newest).await;
        newest.map(entry_id).map_err(Unavailable::new)
    }

    async fn behind(&self, scope: &Scope, last: EntryId) -> Part {
        loop {
            let scope = scope.clone();
            let read = move |connection: &Connection| behind(connection, &scope, last);
            match self.store.read(read).await {
                Ok(part) => return part,
                Err(error) => {
                    tracing::debug!(%error, "what a follower missed cannot be read; trying again");
                    sleep(LOOK_AGAIN).await;
                }
            }
        }
    }

    async fn read(self, followed: Arc<Followed>) {
        loop {
            match self.look(&followed).await {
                Ok(true) => {}
                Ok(false) => sleep(LOOK_AGAIN).await,
                Err(error) => {
                    tracing::debug!(%error, "the record of attempts cannot be followed; trying again");
                    sleep(LOOK_AGAIN).await;
                }
            }
        }
    }
}

impl Attempts {
    /// Reads once what is new, and tells of it. Returns whether there may be more now.
    async fn look(&self, followed: &Followed) -> Result<bool, ReadError> {
        let records = followed.read_up_to();
        let news = self
            .store
            .read(move |connection| news(connection, records))
            .await?;
        let more = news.iter().any(|(_, part)| part.more);
        for (record, part) in news {
            followed.tell(&record, part.attempts, part.reached);
        }
        Ok(more)
    }
}

/// What is new in these records behind what was read: nothing is looked for where nothing can be.
fn news(
    connection: &Connection,
    records: Vec<(Record, EntryId)>,
) -> rusqlite::Result<Vec<(Record, Part)>> {
    let newest = entry_id(newest(connection)?);
    let stale = records.into_iter().filter(|(_, last)| *last < newest);
    stale
        .map(|(record, last)| {
            let scope = Scope {
                record,
                organization: None,
            };
            let mut part = behind(connection, &scope, last)?;
            if !part.more {
                // All rows up to it were there when the record was read.
                part.reached = part.reached.max(newest);
            }
            Ok((scope.record, part))
        })
        .collect()
}

fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT coalesce(max(id), 0) FROM attempts";
    connection
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))
}

fn behind(connection: &Connection, scope: &Scope, last: EntryId) -> rusqlite::Result<Part> {
    let last = row_id(last);
    match (&scope.record, &scope.organization) {
        (Record::Whole, Some(organization)) => {
            let sql = "SELECT id, attempt FROM attempts \
                       WHERE organization = ? AND id > ? ORDER BY id LIMIT ?";
            let mut statement = connection.prepare_cached(sql)?;
            part(
                &mut statement,
                params![organization.as_str(), last, PAGE],
                last,
            )
        }
        (Record::Whole, None) => {
            let sql = "SELECT id, attempt FROM attempts WHERE id > ? ORDER BY id LIMIT ?";
            let mut statement = connection.prepare_cached(sql)?;
            part(&mut statement, params![last, PAGE], last)
        }
        (Record::Webhook(webhook), _) => {
            let sql = "SELECT id, attempt FROM webhook_attempts \
                       WHERE organization = ? AND webhook = ? AND id > ? ORDER BY id LIMIT ?";
            let (organization, id) = (webhook.organization.as_str(), webhook.id.as_str());
            let key = params![organization, id, last, PAGE];
            let mut statement = connection.prepare_cached(sql)?;
            part(&mut statement, key, last)
        }
    }
}

fn part(
    statement: &mut Statement<'_>,
    key: &[&dyn rusqlite::ToSql],
    last: i64,
) -> rusqlite::Result<Part> {
    let mut rows = statement.query(key)?;
    let (mut attempts, mut reached, mut count) = (Vec::new(), last, 0);
    while let Some(row) = rows.next()? {
        reached = row.get(0)?;
        count += 1;
        let entry = entry_id(reached);
        attempts.extend(decode(row)?.map(|attempt| RecordedAttempt { entry, attempt }));
    }
    Ok(Part {
        attempts,
        reached: entry_id(reached),
        more: count == PAGE,
    })
}
