//! The health of webhooks: when one last answered well, and its streak of failures.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::documents::registered;
use super::store::Store;
use super::writer::{WhenFull, Write, recorded};
use super::{millis, millis_of};
use crate::domain::streak::Streak;
use crate::domain::webhook::WebhookKey;
use crate::engine::clock::Clock;
use crate::store::retention::{HEALTH_KEPT, SUCCESS_NOTED_EVERY};
use crate::store::successes::Successes;

/// The webhooks' good answers and failures, and the store that they are noted in.
#[derive(Debug)]
pub(super) struct Health {
    successes: Successes,
    store: Store,
    clock: Clock,
}

impl Health {
    /// Notes once a minute what was not noted at once, until the log has gone.
    pub(super) fn start(store: Store, clock: Clock) -> Arc<Self> {
        let successes = Successes::new();
        let health = Arc::new(Self {
            successes,
            store,
            clock,
        });
        let here = Arc::downgrade(&health);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SUCCESS_NOTED_EVERY).await;
                let Some(health) = here.upgrade() else { return };
                health.note_rest();
            }
        });
        health
    }

    /// Notes that a webhook answered well, at once if that matters.
    pub(super) fn succeeded(&self, webhook: &WebhookKey, now: Timestamp) {
        if self.successes.succeeded(webhook, now) {
            self.note(webhook, now);
        }
    }

    /// Notes a failure and tells the streak that it belongs to.
    pub(super) async fn failed(
        &self,
        webhook: &WebhookKey,
        now: Timestamp,
        silence: Duration,
    ) -> Streak {
        self.successes.failed(webhook);
        let key = webhook.clone();
        let today = millis(self.clock.now());
        let write = Write::new(WhenFull::WaitIfItHelps);
        let noting = self.store.submit(write, move |connection| {
            note_failure(connection, &key, now, silence, today).map(Some)
        });
        let alone = || Streak::after_failure(None, None, now, silence);
        recorded(noting.await).await.unwrap_or_else(alone)
    }

    /// Notes the good answers that were not noted at once.
    pub(super) fn note_rest(&self) {
        for (webhook, at) in self.successes.take_unnoted() {
            self.note(&webhook, at);
        }
    }

    fn note(&self, webhook: &WebhookKey, at: Timestamp) {
        let key = webhook.clone();
        let today = millis(self.clock.now());
        // Eagerly handed to the writer; nobody waits for it.
        drop(self.store.submit(
            Write::new(WhenFull::WaitIfItHelps),
            move |connection| {
                if !registered(connection, &key)? {
                    return Ok(());
                }
                let sql = "INSERT INTO health (organization, webhook, last_success, expires_at) \
                           VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET \
                           failing_since = CASE WHEN expires_at > ?5 THEN failing_since END, \
                           last_success = ?3, expires_at = ?4";
                connection.prepare_cached(sql)?.execute(params![
                    key.organization.as_str(),
                    key.id.as_str(),
                    at.as_millisecond(),
                    today.saturating_add(millis_of(HEALTH_KEPT)),
                    today
                ])?;
                Ok(())
            },
        ));
    }
}

/// Notes a failure and tells the streak that it belongs to.
fn note_failure(
    connection: &Connection,
    webhook: &WebhookKey,
    now: Timestamp,
    silence: Duration,
    today: i64,
) -> rusqlite::Result<Streak> {
    let (organization, id) = (webhook.organization.as_str(), webhook.id.as_str());
    let sql = "SELECT last_success, failing_since, last_failure, failures FROM health \
               WHERE organization = ? AND webhook = ? AND expires_at > ?";
    let mut row = connection.prepare_cached(sql)?;
    let found = row.query_row(params![organization, id, today], |row| {
        let (since, last, attempts) = (row.get(1)?, row.get(2)?, row.get(3)?);
        Ok((row.get(0)?, streak(since, last, attempts)))
    });
    let (succeeded, before): (Option<i64>, _) = found.optional()?.unwrap_or_default();
    let last_success = succeeded.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    let streak = Streak::after_failure(before, last_success, now, silence);
    if !registered(connection, webhook)? {
        return Ok(streak);
    }
    let sql = "INSERT INTO health (organization, webhook, last_success, failing_since, \
               last_failure, failures, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
               ON CONFLICT DO UPDATE SET last_success = ?3, failing_since = ?4, \
               last_failure = ?5, failures = ?6, expires_at = ?7";
    connection.prepare_cached(sql)?.execute(params![
        organization,
        id,
        succeeded,
        streak.since.as_millisecond(),
        streak.last.as_millisecond(),
        i64::try_from(streak.attempts).unwrap_or(i64::MAX),
        today.saturating_add(millis_of(HEALTH_KEPT))
    ])?;
    Ok(streak)
}

/// A streak as it stands in a row; `None` if it is not whole.
fn streak(since: Option<i64>, last: Option<i64>, attempts: Option<i64>) -> Option<Streak> {
    Some(Streak {
        since: Timestamp::from_millisecond(since?).ok()?,
        last: Timestamp::from_millisecond(last?).ok()?,
        attempts: u64::try_from(attempts?).ok()?,
    })
}
