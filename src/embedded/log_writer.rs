//! The record of what was done, for the engine.
//!
//! Entries put on record together are one job of the writer. Caps and times of keeping are those of
//! [`retention`](crate::store::retention); entries over them are removed now and then, and not read
//! meanwhile where it matters.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::documents::registered;
use super::health::Health;
use super::millis;
use super::statistics::Counting;
use super::store::Store;
use super::writer::{WhenFull, Write, recorded};
use super::{deliveries, millis_of};
use crate::domain::ids::{DeliveryId, MessageKey, Organization, WebhookId};
use crate::domain::streak::Streak;
use crate::domain::webhook::WebhookKey;
use crate::engine::clock::Clock;
use crate::engine::ports::{DeliveryRecord, Entry, Keep, LogWriter, SettledMarker};
use crate::store::retention::{DeliveryLogSettings, MARKS_KEPT, SEQUENCE_KEPT, SERVED_MARKS_KEPT};

/// After so many entries what is over the caps is removed: the caps are kept to about this.
const PRUNE_EVERY: u64 = 256;

/// The record in SQLite.
#[derive(Debug)]
pub struct EmbeddedLogWriter {
    store: Store,
    settings: DeliveryLogSettings,
    clock: Clock,
    health: Arc<Health>,
    counting: Arc<Counting>,
    entries: AtomicU64,
    /// The webhooks with new attempts since the last pruning.
    touched: Mutex<HashSet<WebhookKey>>,
}

impl EmbeddedLogWriter {
    pub(super) fn new(store: Store, settings: DeliveryLogSettings, clock: Clock) -> Self {
        Self {
            health: Health::start(store.clone(), clock),
            counting: Counting::start(store.clone(), clock),
            store,
            settings,
            clock,
            entries: AtomicU64::new(0),
            touched: Mutex::default(),
        }
    }

    /// Returns once everything that was handed over before this call is on record, successes
    /// included.
    pub async fn flush(&self) {
        self.health.note_rest();
        self.counting.add_rest();
        let nothing = self.store.submit(Write::new(WhenFull::Wait), |_| Ok(()));
        recorded(nothing.await).await;
    }

    /// Removes what is over the caps and what has expired. Nobody waits for it.
    fn prune(&self) {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        let touched: Vec<WebhookKey> = touched.drain().collect();
        let now = millis(self.clock.now());
        let kept = i64::try_from(self.settings.attempts_kept).unwrap_or(i64::MAX);
        let per_webhook =
            i64::try_from(self.settings.attempts_kept_per_webhook).unwrap_or(i64::MAX);
        // Eagerly handed to the writer.
        drop(
            self.store
                .submit(Write::new(WhenFull::WaitIfItHelps), move |connection| {
                    prune_attempts(connection, kept)?;
                    for webhook in &touched {
                        prune_webhook(connection, webhook, per_webhook)?;
                    }
                    for table in ["deliveries", "marks", "health", "pauses"] {
                        let sql = format!("DELETE FROM {table} WHERE expires_at <= ?");
                        connection.prepare_cached(&sql)?.execute([now])?;
                    }
                    Ok(())
                }),
        );
    }
}

#[async_trait]
impl LogWriter for EmbeddedLogWriter {
    async fn available(&self) {
        let mut writing = self.store.writing();
        if writing.wait_for(Option::is_none).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn write(&self, entry: Entry) {
        if let Some(attempt) = &entry.attempt {
            self.counting.count(attempt);
        }
        let rows = Rows::of(&entry, self);
        let size = rows.attempt.as_ref().map_or(0, |(_, json)| 2 * json.len())
            + rows.delivery.as_ref().map_or(0, |row| row.size());
        let write = Write::new(WhenFull::WaitIfItHelps).size(size);
        if let Some((key, _)) = &rows.attempt {
            let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
            if !touched.contains(key) {
                touched.insert(key.clone());
            }
        }
        let writing = self
            .store
            .submit(write, move |connection| rows.insert(connection));
        recorded(writing.await).await;
        if self.entries.fetch_add(1, Ordering::Relaxed) % PRUNE_EVERY == PRUNE_EVERY - 1 {
            self.prune();
        }
    }

    async fn settled(
        &self,
        organization: &Organization,
        message: &MessageKey,
    ) -> HashSet<WebhookId> {
        let (organization, message) = (organization.clone(), message.clone());
        let now = millis(self.clock.now());
        let marked = move |connection: &Connection| {
            let sql = "SELECT webhook FROM marks \
                       WHERE event = ? AND organization = ? AND expires_at > ?";
            let mut rows = connection.prepare_cached(sql)?;
            let key = params![message.as_str(), organization.as_str(), now];
            let ids = rows.query_map(key, |row| row.get::<_, String>(0))?;
            ids.collect::<rusqlite::Result<Vec<_>>>()
        };
        let ids = self.store.read_retrying("marks", marked).await;
        ids.iter()
            .filter_map(|id| WebhookId::new(id).ok())
            .collect()
    }

    /// Every message in this store has a stamp, and its delivery's id is its own.
    async fn claim(&self, _: &Organization, _: &DeliveryId, _: u64) -> bool {
        true
    }

    async fn settled_sequence(&self, organization: &Organization, delivery: &DeliveryId) -> u32 {
        let (organization, delivery) = (organization.clone(), delivery.clone());
        let now = millis(self.clock.now());
        let sequence = move |connection: &Connection| {
            let sql = "SELECT sequence FROM deliveries \
                       WHERE id = ? AND organization = ? AND expires_at > ?";
            let mut row = connection.prepare_cached(sql)?;
            let key = params![delivery.as_str(), organization.as_str(), now];
            row.query_row(key, |row| row.get(0)).optional()
        };
        let sequence = self.store.read_retrying("deliveries", sequence).await;
        sequence.unwrap_or(0)
    }

    async fn failed(&self, webhook: &WebhookKey, now: Timestamp, silence: Duration) -> Streak {
        self.health.failed(webhook, now, silence).await
    }

    fn succeeded(&self, webhook: &WebhookKey, now: Timestamp) {
        self.health.succeeded(webhook, now);
    }
}

/// An entry as rows.
struct Rows {
    attempt: Option<(WebhookKey, Vec<u8>)>,
    mark: Option<(SettledMarker, i64)>,
    delivery: Option<deliveries::Row>,
    unmark: Option<(Organization, MessageKey, i64)>,
}

impl Rows {
    fn of(entry: &Entry, log: &EmbeddedLogWriter) -> Self {
        let now = millis(log.clock.now());
        let expiry = |kept| now.saturating_add(millis_of(kept));
        let attempt = entry.attempt.as_ref().map(|attempt| {
            let key = WebhookKey {
                organization: attempt.organization.clone(),
                id: attempt.webhook_id.clone(),
            };
            // Texts and numbers: nothing that JSON could refuse.
            let json = serde_json::to_vec(attempt).unwrap_or_default();
            (key, json)
        });
        let delivery = entry.delivery.as_ref().map(|record: &DeliveryRecord| {
            let kept = match record.keep {
                Keep::Whole => log.settings.deliveries_kept,
                Keep::Sequence => SEQUENCE_KEPT,
            };
            let budget = log.settings.bodies_per_organization;
            deliveries::Row::of(record, now, expiry(kept), budget)
        });
        Self {
            attempt,
            mark: entry.mark.clone().map(|mark| (mark, expiry(MARKS_KEPT))),
            delivery,
            unmark: entry
                .unmark
                .clone()
                .map(|(organization, event)| (organization, event, expiry(SERVED_MARKS_KEPT))),
        }
    }

    fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        if let Some((key, json)) = &self.attempt {
            // Numbered by SQLite as they are written, one behind the last: a number that was
            // drawn before could be written after a greater one, and its followers miss it.
            let sql = "INSERT INTO attempts (organization, attempt) VALUES (?, ?)";
            let row = params![key.organization.as_str(), json];
            connection.prepare_cached(sql)?.execute(row)?;
            let id = connection.last_insert_rowid();
            if registered(connection, key)? {
                let sql = "INSERT INTO webhook_attempts (organization, webhook, id, attempt) \
                           VALUES (?, ?, ?, ?)";
                let key = [key.organization.as_str(), key.id.as_str()];
                connection
                    .prepare_cached(sql)?
                    .execute(params![key[0], key[1], id, json])?;
            }
        }
        if let Some((mark, expires_at)) = &self.mark {
            let (organization, event) = (mark.organization.as_str(), mark.message.as_str());
            let sql = "INSERT INTO marks (event, organization, webhook, expires_at) \
                       VALUES (?, ?, ?, ?) \
                       ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at";
            let mut insert = connection.prepare_cached(sql)?;
            for webhook in &mark.webhooks {
                insert.execute(params![event, organization, webhook.as_str(), expires_at])?;
            }
        }
        if let Some(row) = &self.delivery {
            row.insert(connection)?;
        }
        if let Some((organization, event, expires_at)) = &self.unmark {
            let sql = "UPDATE marks SET expires_at = ? WHERE event = ? AND organization = ?";
            let key = params![expires_at, event.as_str(), organization.as_str()];
            connection.prepare_cached(sql)?.execute(key)?;
        }
        Ok(())
    }
}

fn prune_attempts(connection: &Connection, kept: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM attempts WHERE id <= (SELECT max(id) FROM attempts) - ?";
    connection.prepare_cached(sql)?.execute([kept])?;
    Ok(())
}

fn prune_webhook(connection: &Connection, webhook: &WebhookKey, kept: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM webhook_attempts WHERE organization = ?1 AND webhook = ?2 AND id <= \
               (SELECT id FROM webhook_attempts WHERE organization = ?1 AND webhook = ?2 \
                ORDER BY id DESC LIMIT 1 OFFSET ?3)";
    let key = params![webhook.organization.as_str(), webhook.id.as_str(), kept];
    connection.prepare_cached(sql)?.execute(key)?;
    Ok(())
}
