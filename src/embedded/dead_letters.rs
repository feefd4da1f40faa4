//! Looking through the dead letters, sending them round again, throwing them away.
//!
//! A letter leaves its table in the transaction that adds what becomes of it: however often this is
//! cut off or done at once, each letter is acted upon once.

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _};

use super::handover::LetterKind;
use super::letter_rows::{AT_ONCE, Looked, look, place};
use super::message::{self, Draft, MessageKind};
use super::millis;
use super::store::{ReadError, Store};
use super::writer::{WhenFull, Write, WriteError};
use crate::engine::clock::Clock;
use crate::store::Unavailable;
use crate::store::dead_letters::{
    self, Action, Disposition, Filter, Found, Options, Pace, Position, Progress, Report,
    disposition,
};

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
        let organization = filter.organization.as_deref();
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
            let looked = self.look(organization, after, i64::MAX).await?;
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
            let looked = self.look(None, after, last).await?;
            let Some(newest) = looked.last().map(|letter| letter.id) else {
                report(&progress);
                return Ok(progress);
            };
            after = newest;
            let mut chosen = Vec::new();
            for letter in looked {
                let taken = progress.done + chosen.len() as u64;
                if options.limit.is_some_and(|limit| taken >= limit) {
                    after = i64::MAX;
                    break;
                }
                let disposition = disposition(&letter.summary, letter.usable, action, filter);
                let acts = disposition == Disposition::Done && !options.dry_run;
                if acts {
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
                if acts {
                    chosen.push(letter);
                } else {
                    progress.note(&letter.summary, disposition);
                }
                if chosen.len() >= at_once {
                    let chosen = std::mem::take(&mut chosen);
                    self.act(action, chosen, &mut progress).await?;
                }
                if at_once == 1 {
                    report(&progress);
                }
            }
            self.act(action, chosen, &mut progress).await?;
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

    /// The next letters, of everybody or of this organization.
    async fn look(
        &self,
        organization: Option<&str>,
        after: i64,
        last: i64,
    ) -> Result<Vec<Looked>, ReadError> {
        let organization = organization.map(str::to_owned);
        let look =
            move |connection: &Connection| look(connection, organization.as_deref(), after, last);
        self.store.read(look).await
    }

    /// Acts on letters, and counts those that were still there: another job may have been faster.
    async fn act(
        &self,
        action: Action,
        letters: Vec<Looked>,
        progress: &mut Progress,
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
        let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
        let acting = self.store.submit(write, move |connection| {
            let mut were_there = Vec::new();
            for (message, letter) in (first_id..).zip(&ids) {
                if action == Action::Requeue {
                    requeue(connection, *letter, message, now)?;
                }
                let sql = "DELETE FROM dead_letters WHERE id = ?";
                let deleted = connection.prepare_cached(sql)?.execute([letter])?;
                were_there.push(deleted > 0);
            }
            Ok(were_there)
        });
        let acted = acting.await;
        if events {
            // Which kinds there were is known to the database alone; looking costs little.
            self.store.signals().of(MessageKind::Event).notify_one();
        }
        let were_there = acted.map_err(|source| DeadLettersError::Write {
            source,
            progress: Box::new(progress.clone()),
        })?;
        for (letter, was_there) in letters.iter().zip(were_there) {
            let disposition = match was_there {
                true => Disposition::Done,
                false => Disposition::Superseded,
            };
            progress.note(&letter.summary, disposition);
        }
        Ok(())
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
