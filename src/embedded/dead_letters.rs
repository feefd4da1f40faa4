//! Looking through the dead letters, sending them round again, throwing them away.
//!
//! A letter leaves its table in the transaction that adds what becomes of it: however often this is
//! cut off or done at once, each letter is acted upon once.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use super::handover::LetterKind;
use super::message::{self, DeliveryHead, Draft, EventHead, MessageKind, StoredHeader};
use super::millis;
use super::store::{ReadError, Store};
use super::writer::{WhenFull, Write, WriteError};
use crate::domain::ids::Organization;
use crate::engine::clock::Clock;
use crate::store::Unavailable;
use crate::store::dead_letters::{
    self, Action, Disposition, Filter, Found, Options, Pace, Position, Progress, Report, Summary,
    disposition,
};

/// How many letters are looked at or moved at once.
const AT_ONCE: usize = 256;

/// The dead letters could not be gone through.
#[derive(Debug, thiserror::Error)]
pub enum DeadLettersError {
    /// They cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// They cannot be moved. What was done until then stays done, the rest is as it was.
    #[error("stopped after {} were done: {source}", progress.done)]
    Write {
        /// Why they cannot be moved.
        source: WriteError,
        /// How far the job was.
        progress: Box<Progress>,
    },
}

/// The dead letters.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    store: Store,
    clock: Clock,
}

/// A letter as it was looked at.
struct Looked {
    id: i64,
    summary: Summary,
    usable: bool,
    /// Of what is no delivery, a digest that tells it from others.
    digest: Option<String>,
}

impl Looked {
    /// Its place, which says nothing of how many others there are.
    fn position(&self) -> Position {
        let at = self.summary.dead_at.map_or(0, Timestamp::as_microsecond);
        let id = self
            .digest
            .clone()
            .or_else(|| self.summary.delivery.clone());
        Position {
            at,
            id: id.unwrap_or_default(),
        }
    }
}

impl DeadLetters {
    pub(super) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// How many dead letters there are.
    pub async fn count(&self) -> Result<u64, DeadLettersError> {
        let count = |connection: &Connection| {
            connection.query_row("SELECT count(*) FROM dead_letters", [], |row| row.get(0))
        };
        Ok(self.store.read(count).await?)
    }

    /// The letters that match `filter` and stand behind `after`, at most `limit` of them, oldest
    /// first.
    pub async fn list(
        &self,
        filter: &Filter,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Found, DeadLettersError> {
        let mut found = Found::default();
        let mut after = match after.cloned() {
            Some(position) => {
                let place = move |connection: &Connection| place(connection, &position);
                self.store.read(place).await?
            }
            None => 0,
        };
        let mut last = None;
        loop {
            let looked = self.look(after, i64::MAX).await?;
            let over = looked.len() < AT_ONCE;
            for letter in looked {
                after = letter.id;
                found.looked_at += 1;
                if !filter.matches(&letter.summary) {
                    continue;
                }
                // Whether it goes on depends on what is meant alone, and not on what others have.
                if found.letters.len() == limit {
                    found.next = last;
                    return Ok(found);
                }
                last = Some(letter.position());
                found.letters.push(letter.summary);
            }
            if over {
                return Ok(found);
            }
        }
    }

    /// Goes once through the letters there are and does `action` with those that match `filter`.
    /// Calls `report` now and then with what was done so far.
    pub async fn process(
        &self,
        action: Action,
        filter: &Filter,
        options: &Options,
        mut report: impl FnMut(&Progress),
    ) -> Result<Progress, DeadLettersError> {
        let (total, last) = self.extent().await?;
        let mut progress = Progress {
            total,
            ..Progress::default()
        };
        let mut pace = Pace::new(options.rate);
        // A pace is kept letter by letter.
        let at_once = if options.rate.is_some() { 1 } else { AT_ONCE };
        let mut after = 0;
        loop {
            let looked = self.look(after, last).await?;
            let Some(newest) = looked.last().map(|letter| letter.id) else {
                report(&progress);
                return Ok(progress);
            };
            after = newest;
            let mut chosen = Vec::new();
            for letter in looked {
                if options.limit.is_some_and(|limit| progress.done >= limit) {
                    after = i64::MAX;
                    break;
                }
                let disposition = disposition(&letter.summary, letter.usable, action, filter);
                if disposition == Disposition::Done && !options.dry_run {
                    tokio::select! {
                        biased;
                        () = options.stop.cancelled() => {}
                        () = pace.wait() => {}
                    }
                }
                if options.stop.is_cancelled() {
                    after = i64::MAX;
                    break;
                }
                if disposition == Disposition::Done && !options.dry_run {
                    chosen.push(letter.id);
                    if chosen.len() >= at_once {
                        self.act(action, std::mem::take(&mut chosen), &progress)
                            .await?;
                    }
                }
                progress.note(&letter.summary, disposition);
                if at_once == 1 {
                    report(&progress);
                }
            }
            self.act(action, chosen, &progress).await?;
            report(&progress);
        }
    }

    /// How many letters there are, and the id of the last.
    async fn extent(&self) -> Result<(u64, i64), ReadError> {
        let extent = |connection: &Connection| {
            let sql = "SELECT count(*), coalesce(max(id), 0) FROM dead_letters";
            connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        };
        self.store.read(extent).await
    }

    /// The next letters.
    async fn look(&self, after: i64, last: i64) -> Result<Vec<Looked>, ReadError> {
        self.store
            .read(move |connection| look(connection, after, last))
            .await
    }

    async fn act(
        &self,
        action: Action,
        letters: Vec<i64>,
        progress: &Progress,
    ) -> Result<(), DeadLettersError> {
        if letters.is_empty() {
            return Ok(());
        }
        let first_id = self.store.message_ids(letters.len());
        let now = millis(self.clock.now());
        let mut write = Write::new(WhenFull::Refuse);
        if action == Action::Requeue {
            write = write.adds(MessageKind::Delivery);
        }
        let events = action == Action::Requeue;
        let acting = self.store.submit(write, move |connection| {
            for (message, letter) in (first_id..).zip(&letters) {
                if action == Action::Requeue {
                    requeue(connection, *letter, message, now)?;
                }
                let sql = "DELETE FROM dead_letters WHERE id = ?";
                connection.prepare_cached(sql)?.execute([letter])?;
            }
            Ok(())
        });
        let acted = acting.await;
        if events {
            // Which kinds there were is known to the database alone; looking costs little.
            self.store.signals().of(MessageKind::Event).notify_one();
        }
        acted.map_err(|source| DeadLettersError::Write {
            source,
            progress: Box::new(progress.clone()),
        })
    }
}

#[async_trait]
impl dead_letters::DeadLetters for DeadLetters {
    async fn list(
        &self,
        filter: &Filter,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Found, Unavailable> {
        let found = Self::list(self, filter, after, limit).await;
        found.map_err(Unavailable::new)
    }

    async fn process(
        &self,
        action: Action,
        filter: &Filter,
        options: &Options,
        report: Report<'_>,
    ) -> Result<Progress, Unavailable> {
        let done = Self::process(self, action, filter, options, report).await;
        done.map_err(Unavailable::new)
    }
}

/// What tells a message that is no delivery from others.
fn digest(head: &[u8]) -> String {
    hex::encode(&Sha256::digest(head)[..16])
}

/// Behind which letter a list goes on from a position: behind the letter that stood there, or if it
/// has gone, behind those that were given up before it.
fn place(connection: &Connection, position: &Position) -> rusqlite::Result<i64> {
    let millis = position.at / 1000;
    let sql = "SELECT id, head, delivery FROM dead_letters WHERE dead_at = ?";
    let mut rows = connection.prepare_cached(sql)?;
    let mut rows = rows.query([millis])?;
    while let Some(row) = rows.next()? {
        let (head, delivery): (Vec<u8>, Option<String>) = (row.get(1)?, row.get(2)?);
        if delivery.unwrap_or_else(|| digest(&head)) == position.id {
            return row.get(0);
        }
    }
    let sql = "SELECT coalesce(min(id) - 1, max(id), 0) FROM dead_letters WHERE dead_at >= ?";
    connection.query_row(sql, [millis], |row| row.get(0))
}

fn look(connection: &Connection, after: i64, last: i64) -> rusqlite::Result<Vec<Looked>> {
    let sql = "SELECT id, kind, reason, detail, dead_at, head, length(body) FROM dead_letters \
               WHERE id > ? AND id <= ? ORDER BY id LIMIT ?";
    let mut rows = connection.prepare_cached(sql)?;
    let rows = rows.query_map(params![after, last, AT_ONCE], |row| {
        let (kind, head): (i64, Vec<u8>) = (row.get(1)?, row.get(5)?);
        let reason: String = row.get(2)?;
        let mut summary = Summary {
            reason: reason.parse().ok(),
            detail: Some(row.get(3)?),
            dead_at: Timestamp::from_millisecond(row.get(4)?).ok(),
            organization: None,
            webhook: None,
            event_type: None,
            event: None,
            delivery: None,
            attempts: None,
            last_outcome: None,
            last_status: None,
            size: row.get(6)?,
        };
        let usable = describe(kind, &head, &mut summary);
        let digest = summary.delivery.is_none().then(|| digest(&head));
        Ok(Looked {
            id: row.get(0)?,
            summary,
            usable,
            digest,
        })
    })?;
    rows.collect()
}

/// Says what the head knows. Returns whether something can come of the letter.
fn describe(kind: i64, head: &[u8], summary: &mut Summary) -> bool {
    if kind == LetterKind::Delivery as i64 {
        let Ok(head) = serde_json::from_slice::<DeliveryHead>(head) else {
            return false;
        };
        summary.organization = Some(head.organization.to_string());
        summary.webhook = Some(head.webhook.to_string());
        summary.event_type = Some(head.event_type.to_string());
        summary.event = Some(head.event.to_string());
        summary.delivery = Some(head.delivery.to_string());
        summary.attempts = Some(head.attempt);
        summary.last_outcome = head.last_outcome;
        summary.last_status = head.last_status;
        return true;
    }
    let Ok(head) = serde_json::from_slice::<EventHead>(head) else {
        return false;
    };
    summary.organization = match head.organization {
        // As an event has it. What was to be a delivery says whose it is, or it is nobody's.
        StoredHeader::Absent if kind == LetterKind::Event as i64 => {
            Some(Organization::default().to_string())
        }
        stated => stated.text(),
    };
    summary.event_type = Some(head.routing_key);
    summary.event = head.message_id;
    kind == LetterKind::Event as i64
}

/// Adds the message that starts a letter again from attempt 1, if the letter is still there.
fn requeue(connection: &Connection, letter: i64, message: i64, now: i64) -> rusqlite::Result<()> {
    let sql = "SELECT kind, head, body FROM dead_letters WHERE id = ?";
    let mut row = connection.prepare_cached(sql)?;
    let found = row.query_row([letter], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let Some((kind, head, body)) = found.optional()? else {
        return Ok(());
    };
    let (kind, head, body): (i64, Vec<u8>, Vec<u8>) = (kind, head, body);
    let body = Bytes::from(body);
    if kind == LetterKind::Event as i64 {
        let draft = Draft {
            kind: MessageKind::Event,
            head,
            body,
        };
        return draft.insert(connection, message, 0);
    }
    match message::delivery(&head, body) {
        Ok(delivery) => Draft::delivery(&delivery.requeued()).insert(connection, message, now),
        // The letter was usable when it was looked at.
        Err(error) => Err(rusqlite::Error::ToSqlConversionFailure(Box::new(error))),
    }
}
