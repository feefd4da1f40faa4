//! The attempts on record, for commands and the API: newest first, or as they come.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use redis::{Cmd, cmd};
use tokio::time::timeout;

use super::attempt_fields;
use super::connection::Connection;
use super::error::StoreError;
use super::keys::Keys;
use super::supervisor::TIME_LIMIT;
use super::texts::Texts;
use crate::domain::ids::{Organization, WebhookId};
use crate::reconnect::Reconnect;
pub use crate::store::delivery_log::{AttemptFilter, Page, RecordedAttempt};
use crate::store::retention::MAX_EXAMINED;

/// How many entries are asked for at a time.
const PAGE: usize = 500;

/// An attempt begins before its entry is written. By how much the clocks of a worker and of Redis
/// may differ without an entry being missed.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);

/// How long a tail waits in Redis before it asks again, so that a dead connection is noticed.
const BLOCK: std::time::Duration = std::time::Duration::from_secs(1);

/// What XREVRANGE answers: each entry's id and its fields. redis-rs' own type hashes every field,
/// which takes a third of the time of a long look.
type Entries = Vec<(String, Vec<(String, Vec<u8>)>)>;

/// Reads the record of attempts.
#[derive(Debug, Clone)]
pub struct Attempts {
    connection: Connection,
    keys: Keys,
}

impl Attempts {
    /// The record of the deployment whose keys these are.
    pub fn new(connection: Connection, keys: Keys) -> Self {
        Self { connection, keys }
    }

    /// The newest attempts wanted, at most `limit`; those before the entry `before`, if given: the
    /// `next` of the page before this.
    pub async fn list(
        &self,
        filter: &AttemptFilter,
        limit: usize,
        before: Option<&str>,
    ) -> Result<Page, StoreError> {
        let stream = self.stream(filter);
        let mut page = Page::default();
        let mut end = before.map_or_else(|| "+".to_owned(), |id| format!("({id}"));
        // Mostly everything is wanted, and then no more need be read.
        let mut count = limit.clamp(1, PAGE);
        let mut examined = 0;
        while examined < MAX_EXAMINED {
            let mut command = cmd("XREVRANGE");
            command.arg(&stream).arg(&end).arg("-");
            command.arg("COUNT").arg(count);
            let entries: Entries = self.connection.call(&command).await?;
            let whole = entries.len() == count;
            examined += entries.len();
            count = PAGE;
            for (id, fields) in entries {
                if too_old(&id, filter.since) {
                    page.next = None;
                    return Ok(page);
                }
                page.next = Some(id.clone());
                match decode(id, &Texts::from_pairs(fields)) {
                    Some(one) if filter.wants(&one.attempt) => {
                        let first = filter.ends_with(&one.attempt);
                        page.attempts.push(one);
                        if first {
                            page.next = None;
                            return Ok(page);
                        }
                    }
                    Some(_) => {}
                    None => page.unreadable += 1,
                }
                if page.attempts.len() >= limit {
                    return Ok(page);
                }
            }
            if !whole {
                page.next = None;
                return Ok(page);
            }
            if let Some(last) = &page.next {
                end = format!("({last}");
            }
        }
        Ok(page)
    }

    /// The attempt that stands under `entry` in a webhook's stream.
    pub async fn get(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        entry: &str,
    ) -> Result<Option<RecordedAttempt>, StoreError> {
        let mut command = cmd("XRANGE");
        command.arg(self.keys.webhook_attempts(organization, webhook));
        command.arg(entry).arg(entry);
        let entries: Entries = self.connection.call(&command).await?;
        let found = entries.into_iter().next();
        Ok(found.and_then(|(id, fields)| decode(id, &Texts::from_pairs(fields))))
    }

    /// The attempts wanted as they are recorded, from now on or after the entry `after`.
    pub async fn tail(
        &self,
        filter: AttemptFilter,
        after: Option<String>,
    ) -> Result<Tail, StoreError> {
        let stream = self.stream(&filter);
        let last = match after {
            Some(after) => after,
            // Not `$`: that would be the end anew after every reconnect.
            None => self.newest(&stream).await?,
        };
        Ok(Tail {
            connection: self.connection.clone(),
            reader: None,
            filter,
            stream,
            last,
            ready: VecDeque::new(),
            unreadable: 0,
        })
    }

    async fn newest(&self, stream: &str) -> Result<String, StoreError> {
        let mut command = cmd("XREVRANGE");
        command.arg(stream).arg("+").arg("-").arg("COUNT").arg(1);
        let entries: Entries = self.connection.call(&command).await?;
        let newest = entries.into_iter().next();
        Ok(newest.map_or_else(|| "0-0".to_owned(), |(id, _)| id))
    }

    /// The stream with the fewest entries that has all that are wanted.
    fn stream(&self, filter: &AttemptFilter) -> String {
        match (&filter.organization, &filter.webhook) {
            (Some(organization), Some(webhook)) => {
                self.keys.webhook_attempts(organization, webhook)
            }
            _ => self.keys.attempts(),
        }
    }
}

/// Attempts as they are recorded. Reconnects for as long as it takes, missing none that the stream
/// still has by then.
#[derive(Debug)]
pub struct Tail {
    connection: Connection,
    reader: Option<MultiplexedConnection>,
    filter: AttemptFilter,
    stream: String,
    last: String,
    ready: VecDeque<RecordedAttempt>,
    unreadable: usize,
}

impl Tail {
    /// The next attempt. Nothing is missed if the call is given up.
    pub async fn next(&mut self) -> RecordedAttempt {
        let mut reconnect = Reconnect::new();
        loop {
            if let Some(one) = self.ready.pop_front() {
                return one;
            }
            match self.read().await {
                Ok(()) => reconnect.succeeded(),
                Err(error) => {
                    tracing::debug!(%error, "the record of attempts cannot be followed; trying again");
                    self.reader = None;
                    self.connection.pause(&mut reconnect).await;
                }
            }
        }
    }

    /// How many entries were passed over so far because they cannot be read.
    pub fn unreadable(&self) -> usize {
        self.unreadable
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(self.connection.dedicated().await?),
        };
        let command = follow(&self.stream, &self.last);
        let limit = BLOCK + TIME_LIMIT;
        let reply = match timeout(limit, command.query_async(reader)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => return Err(self.connection.away(error)),
            Err(_) => return Err(self.connection.timed_out(limit)),
        };
        let reply: Option<StreamReadReply> = reply;
        let streams = reply.into_iter().flat_map(|reply| reply.keys);
        for entry in streams.flat_map(|stream| stream.ids) {
            self.last.clone_from(&entry.id);
            match decode(entry.id, &Texts::from_entry(entry.map)) {
                Some(one) if self.filter.wants(&one.attempt) => self.ready.push_back(one),
                Some(_) => {}
                None => self.unreadable += 1,
            }
        }
        Ok(())
    }
}

fn follow(stream: &str, last: &str) -> Cmd {
    let mut command = cmd("XREAD");
    command.arg("COUNT").arg(PAGE);
    command.arg("BLOCK").arg(BLOCK.as_millis().to_string());
    command.arg("STREAMS").arg(stream).arg(last);
    command
}

fn decode(entry: String, fields: &Texts) -> Option<RecordedAttempt> {
    let attempt = attempt_fields::read(fields).ok()?;
    Some(RecordedAttempt { entry, attempt })
}

/// Whether an entry was written so long before `since` that neither it nor an older one can be of
/// an attempt that began later.
fn too_old(entry: &str, since: Option<Timestamp>) -> bool {
    let written = entry
        .split('-')
        .next()
        .and_then(|millis| millis.parse().ok())
        .and_then(|millis| Timestamp::from_millisecond(millis).ok());
    match (written, since) {
        (Some(written), Some(since)) => {
            written < since.saturating_sub(CLOCKS_DIFFER).unwrap_or(since)
        }
        _ => false,
    }
}
