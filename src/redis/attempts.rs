//! The attempts on record, for commands and the API, newest first.

use jiff::{SignedDuration, Timestamp};
use redis::{Pipeline, cmd};

use super::attempt_fields;
use super::connection::Connection;
use super::error::StoreError;
use super::keys::Keys;
use super::texts::Texts;
use crate::domain::ids::{Organization, WebhookId};
use crate::store::Unavailable;
use crate::store::cursor_key::{CursorKey, NoCursorKey};
pub use crate::store::delivery_log::{AttemptFilter, Page, RecordedAttempt};
use crate::store::entry::EntryId;
use crate::store::following::{Record, Scope};
use crate::store::retention::MAX_EXAMINED;

/// How many entries are asked for at a time.
const PAGE: usize = 500;

/// An attempt begins before its entry is written. By how much the clocks of a worker and of Redis
/// may differ without an entry being missed.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(5);

/// What XREVRANGE answers: each entry's id and its fields. redis-rs' own type hashes every field,
/// which takes a third of the time of a long look.
pub(super) type Entries = Vec<(String, Vec<(String, Vec<u8>)>)>;

/// Reads the record of attempts.
#[derive(Debug, Clone)]
pub struct Attempts {
    pub(super) connection: Connection,
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
        before: Option<EntryId>,
    ) -> Result<Page, StoreError> {
        let mut page = Page::default();
        let mut end = before.map_or_else(|| "+".to_owned(), |id| format!("({id}"));
        // Mostly everything is wanted, and then no more need be read.
        let mut count = limit.clamp(1, PAGE);
        let mut examined = 0;
        while examined < MAX_EXAMINED {
            let entries = self.newest_first(&Scope::of(filter), &end, count).await?;
            let whole = entries.len() == count;
            examined += entries.len();
            count = PAGE;
            for (id, fields) in entries {
                let Ok(entry) = id.parse() else { continue };
                if too_old(entry, filter.since) {
                    page.next = None;
                    return Ok(page);
                }
                page.next = Some(entry);
                // It was in the list still, and is no longer on record.
                if fields.is_empty() {
                    continue;
                }
                match decoded(entry, fields) {
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
            if let Some(last) = page.next {
                end = format!("({last}");
            }
        }
        Ok(page)
    }

    /// So many entries before `end`, of the stream with the fewest that has all that are wanted.
    async fn newest_first(
        &self,
        scope: &Scope,
        end: &str,
        count: usize,
    ) -> Result<Entries, StoreError> {
        let listed = match (&scope.record, &scope.organization) {
            (Record::Whole, Some(organization)) => {
                Some(self.keys.organization_attempts(organization))
            }
            _ => None,
        };
        let stream = self.key(&scope.record);
        // What the list has beyond the stream is gone.
        let begin = match listed {
            Some(_) => self.oldest(&stream).await?,
            None => "-".to_owned(),
        };
        let mut command = cmd("XREVRANGE");
        command.arg(listed.as_ref().unwrap_or(&stream));
        command.arg(end).arg(begin);
        command.arg("COUNT").arg(count);
        let mut entries: Entries = self.connection.call(&command).await?;
        if listed.is_some() && !entries.is_empty() {
            self.fill(&stream, &mut entries).await?;
        }
        Ok(entries)
    }

    /// The id of the first entry of a stream.
    async fn oldest(&self, stream: &str) -> Result<String, StoreError> {
        let mut command = cmd("XRANGE");
        command.arg(stream).arg("-").arg("+").arg("COUNT").arg(1);
        let entries: Entries = self.connection.call(&command).await?;
        let first = entries.into_iter().next();
        Ok(first.map_or_else(|| "+".to_owned(), |(id, _)| id))
    }

    /// Puts to the ids of a list what stands under them in the stream: nothing, if that is gone.
    async fn fill(&self, stream: &str, entries: &mut Entries) -> Result<(), StoreError> {
        let mut each = Pipeline::with_capacity(entries.len());
        for (id, _) in entries.iter() {
            each.cmd("XRANGE").arg(stream).arg(id).arg(id);
        }
        let found: Vec<Entries> = self.connection.read_all(&each).await?;
        for ((_, fields), found) in entries.iter_mut().zip(found) {
            *fields = found.into_iter().next().unwrap_or_default().1;
        }
        Ok(())
    }

    /// The attempt that stands under `entry` in a webhook's stream.
    pub async fn get(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        entry: EntryId,
    ) -> Result<Option<RecordedAttempt>, StoreError> {
        let mut command = cmd("XRANGE");
        command.arg(self.keys.webhook_attempts(organization, webhook));
        command.arg(entry.to_string()).arg(entry.to_string());
        let entries: Entries = self.connection.call(&command).await?;
        let found = entries.into_iter().next();
        Ok(found.and_then(|(_, fields)| decoded(entry, fields)))
    }

    /// What places in the record are sealed with: drawn by whoever asks first.
    pub async fn cursor_key(&self) -> Result<CursorKey, Unavailable> {
        let place = self.keys.cursor_key();
        let kept: Result<Option<String>, StoreError> =
            self.connection.call(cmd("GET").arg(&place)).await;
        let text = match kept.map_err(Unavailable::new)? {
            Some(text) => text,
            None => {
                let drawn = hex::encode(rand::random::<[u8; CursorKey::LENGTH]>());
                let mut command = cmd("SET");
                command.arg(&place).arg(&drawn).arg("NX").arg("GET");
                let before: Result<Option<String>, StoreError> =
                    self.connection.call(&command).await;
                before.map_err(Unavailable::new)?.unwrap_or(drawn)
            }
        };
        let mut key = [0; CursorKey::LENGTH];
        match hex::decode_to_slice(text, &mut key) {
            Ok(()) => Ok(CursorKey::new(key)),
            Err(_) => Err(Unavailable::new(NoCursorKey { place })),
        }
    }

    /// The stream that a record is.
    pub(super) fn key(&self, record: &Record) -> String {
        match record {
            Record::Whole => self.keys.attempts(),
            Record::Webhook(webhook) => self
                .keys
                .webhook_attempts(&webhook.organization, &webhook.id),
        }
    }
}

/// The attempt that an entry holds, if it can be read.
pub(super) fn decoded(entry: EntryId, fields: Vec<(String, Vec<u8>)>) -> Option<RecordedAttempt> {
    let attempt = attempt_fields::read(&Texts::from_pairs(fields)).ok()?;
    Some(RecordedAttempt { entry, attempt })
}

/// Whether an entry was written so long before `since` that neither it nor an older one can be of
/// an attempt that began later.
fn too_old(entry: EntryId, since: Option<Timestamp>) -> bool {
    let written = i64::try_from(entry.major).ok();
    let written = written.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    match (written, since) {
        (Some(written), Some(since)) => {
            written < since.saturating_sub(CLOCKS_DIFFER).unwrap_or(since)
        }
        _ => false,
    }
}
