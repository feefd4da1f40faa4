//! The record, read for those who follow it: all followed streams by one connection, which blocks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, cmd};
use tokio::time::{Instant, sleep, timeout};

use super::attempts::{Attempts, Entries, decoded};
use super::error::{StoreError, is_permanent};
use super::supervisor::TIME_LIMIT;
use crate::reconnect::Reconnect;
use crate::store::Unavailable;
use crate::store::entry::EntryId;
use crate::store::following::followed::Followed;
use crate::store::following::{Part, Reader, Record, Scope};

/// How long one reading waits in Redis for something new. What somebody begins to follow meanwhile is
/// in the next one: quick to the eye, needs no right but that to read, and costs Redis next to nothing.
const BLOCK: Duration = Duration::from_millis(200);

/// Redis looks at every stream that it is asked for, each time. Between two readings passes so much
/// time for each, so that many streams of which one is busy cost no more than a few do.
const PER_STREAM: Duration = Duration::from_micros(100);

/// How many entries one reading may bring, of all streams together; but some of each.
const AT_ONCE: usize = 5_000;
const LEAST: usize = 10;

/// How many entries of one stream are asked for at a time.
const PAGE: usize = 500;

/// How long a key that holds no stream is left alone.
const ASIDE: Duration = Duration::from_secs(5);

/// What XREAD answers: of each stream that has something new its key and the entries.
type News = Option<Vec<(String, Entries)>>;

#[async_trait]
impl Reader for Attempts {
    async fn newest(&self, record: &Record) -> Result<EntryId, Unavailable> {
        let mut command = cmd("XREVRANGE");
        command.arg(self.key(record));
        command.arg("+").arg("-").arg("COUNT").arg(1);
        let entries: Result<Entries, StoreError> = self.connection.call(&command).await;
        let newest = entries.map_err(Unavailable::new)?.into_iter().next();
        let newest = newest.and_then(|(id, _)| id.parse().ok());
        Ok(newest.unwrap_or_default())
    }

    async fn behind(&self, scope: &Scope, last: EntryId) -> Part {
        let mut command = cmd("XRANGE");
        command.arg(self.key(&scope.record));
        command.arg(format!("({last}")).arg("+");
        command.arg("COUNT").arg(PAGE);
        let mut reconnect = Reconnect::new();
        loop {
            match self.connection.call::<Entries>(&command).await {
                Ok(entries) => {
                    let more = entries.len() == PAGE;
                    return part(entries, last, more);
                }
                Err(error) => {
                    tracing::debug!(%error, "what a follower missed cannot be read; trying again");
                    self.connection.pause(&mut reconnect).await;
                }
            }
        }
    }

    async fn read(self, followed: Arc<Followed>) {
        let mut reconnect = Reconnect::new();
        let mut reading = Reading::default();
        loop {
            match reading.look(&self, &followed).await {
                Ok(streams) => {
                    reconnect.succeeded();
                    sleep(BLOCK.min(PER_STREAM * streams)).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "the record of attempts cannot be followed; trying again");
                    self.connection.pause(&mut reconnect).await;
                }
            }
        }
    }
}

/// The one reader of all that is followed.
#[derive(Default)]
struct Reading {
    connection: Option<MultiplexedConnection>,
    /// What holds no stream, and when it was found out.
    aside: HashMap<String, Instant>,
}

impl Reading {
    /// Reads once what is new, and tells of it. Returns how many streams it read.
    async fn look(&mut self, attempts: &Attempts, followed: &Followed) -> Result<u32, StoreError> {
        self.aside.retain(|_, since| since.elapsed() < ASIDE);
        let records = followed.read_up_to();
        let records: HashMap<String, (Record, EntryId)> = records
            .into_iter()
            .map(|(record, last)| (attempts.key(&record), (record, last)))
            .filter(|(key, _)| !self.aside.contains_key(key))
            .collect();
        if records.is_empty() {
            sleep(BLOCK).await;
            return Ok(0);
        }
        let news = match self.ask(attempts, &follow(&records)).await {
            Err(StoreError::Refused(error)) => {
                // One key that holds something else must not keep the others from being read.
                self.set_aside(attempts, records.into_keys()).await?;
                return Err(StoreError::Refused(error));
            }
            news => news?,
        };
        for (key, entries) in news.into_iter().flatten() {
            if let Some((record, last)) = records.get(&key) {
                let Part {
                    attempts, reached, ..
                } = part(entries, *last, false);
                followed.tell(record, attempts, reached);
            }
        }
        Ok(u32::try_from(records.len()).unwrap_or(u32::MAX))
    }

    async fn ask(&mut self, attempts: &Attempts, command: &Cmd) -> Result<News, StoreError> {
        let shared = &attempts.connection;
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(shared.dedicated().await?),
        };
        let limit = BLOCK + TIME_LIMIT;
        let error = match timeout(limit, command.query_async(connection)).await {
            Ok(Ok(news)) => return Ok(news),
            Ok(Err(error)) if is_permanent(&error) => return Err(StoreError::Refused(error)),
            Ok(Err(error)) => shared.away(error),
            Err(_) => shared.timed_out(limit),
        };
        self.connection = None;
        Err(error)
    }

    async fn set_aside(
        &mut self,
        attempts: &Attempts,
        keys: impl Iterator<Item = String>,
    ) -> Result<(), StoreError> {
        for key in keys {
            let kind: String = attempts.connection.call(cmd("TYPE").arg(&key)).await?;
            if !matches!(&*kind, "stream" | "none") {
                tracing::warn!(key, kind, "this holds no attempts, and cannot be followed");
                self.aside.insert(key, Instant::now());
            }
        }
        Ok(())
    }
}

fn follow(records: &HashMap<String, (Record, EntryId)>) -> Cmd {
    let count = (AT_ONCE / records.len()).clamp(LEAST, PAGE);
    let mut command = cmd("XREAD");
    command.arg("COUNT").arg(count);
    command.arg("BLOCK").arg(BLOCK.as_millis().to_string());
    command.arg("STREAMS");
    for key in records.keys() {
        command.arg(key);
    }
    for (_, last) in records.values() {
        command.arg(last.to_string());
    }
    command
}

fn part(entries: Entries, last: EntryId, more: bool) -> Part {
    let mut part = Part {
        attempts: Vec::with_capacity(entries.len()),
        reached: last,
        more,
    };
    for (id, fields) in entries {
        let Ok(entry) = id.parse() else { continue };
        part.reached = entry;
        part.attempts.extend(decoded(entry, fields));
    }
    part
}
