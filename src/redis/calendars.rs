//! The calendars that all workers share, on Redis's clock: when webhooks with a rate limit may be sent
//! a request, and when what is put off comes back.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, TryStreamExt as _};
use redis::Script;
use uuid::Uuid;

use super::connection::Connection;
use super::error::StoreError;
use super::keys::Keys;
use crate::domain::rate_limit::{AHEAD, RateLimit, Reserved};
use crate::domain::returns::{Apart, InLine, SAID_FOR};
use crate::domain::slots::LONGEST;
use crate::domain::webhook::WebhookKey;
use crate::engine::ports::{Calendars, TOLD_EVERY};

/// A calendar is kept for so long after its last time, so that workers know their shares.
const KEPT: Duration = Duration::from_secs(60);

/// Who has not said for so long that it works does so no more.
const WORKS_FOR: Duration = TOLD_EVERY.saturating_mul(4);

/// So many calendars are told of at once.
const TOLD_AT_ONCE: usize = 32;

/// The calendars in Redis.
#[derive(Debug)]
pub struct RedisCalendars {
    connection: Connection,
    keys: Keys,
    /// This worker, among those that share the calendars.
    worker: Uuid,
    reserve: Script,
    put_off: Script,
    tell: Script,
    count: Script,
    /// How many workers there are, this one included.
    workers: AtomicU32,
}

impl RedisCalendars {
    /// The calendars under these keys.
    pub fn new(connection: Connection, keys: Keys) -> Self {
        Self {
            connection,
            keys,
            worker: Uuid::new_v4(),
            reserve: Script::new(include_str!("scripts/reserve.lua")),
            put_off: Script::new(include_str!("scripts/put_off.lua")),
            tell: Script::new(include_str!("scripts/tell.lua")),
            count: Script::new(include_str!("scripts/count_workers.lua")),
            workers: AtomicU32::new(1),
        }
    }
}

#[async_trait]
impl Calendars for RedisCalendars {
    async fn reserve(&self, webhook: &WebhookKey, limit: RateLimit, count: u32) -> Reserved {
        let mut call = self.reserve.key(self.keys.calendar(webhook));
        call.arg(micros(limit.apart()))
            .arg(count)
            .arg(micros(AHEAD));
        call.arg(KEPT.as_millis().to_string());
        let asking = self.connection.persist(|| self.connection.script(&call));
        let answer: Result<(u32, u64, u64), _> = asking.await;
        let (count, first, in_all) = answer.unwrap_or_else(|error| {
            complain(webhook, &error, "its rate limit");
            (0, micros(limit.apart().max(KEPT)), 0)
        });
        Reserved {
            count,
            first: Duration::from_micros(first),
            in_all,
        }
    }

    async fn put_off(&self, webhook: &WebhookKey, in_line: InLine, soonest: Duration) -> Duration {
        let (apart, worker) = match in_line.apart {
            Apart::All(apart) => (apart, None),
            Apart::Own(apart) => (apart, Some(self.worker)),
        };
        let mut call = self.put_off.key(self.keys.calendar(webhook));
        call.arg(micros(apart))
            .arg(worker.map_or(String::new(), |worker| worker.to_string()))
            .arg(u8::from(in_line.again))
            .arg(micros(soonest))
            .arg(micros(LONGEST))
            .arg(micros(SAID_FOR))
            .arg(KEPT.as_millis().to_string())
            .arg(self.workers.load(Ordering::Relaxed));
        let asking = self.connection.persist(|| self.connection.script(&call));
        let answer: Result<u64, _> = asking.await;
        answer.map_or_else(
            |error| {
                complain(webhook, &error, "when its deliveries come back");
                soonest.max(KEPT)
            },
            Duration::from_micros,
        )
    }

    async fn tell(&self, progress: Vec<(WebhookKey, Duration)>) {
        if let Err(error) = self.try_to_tell(&progress).await {
            tracing::debug!(%error, "other workers are not told what this one gets done");
        }
    }
}

impl RedisCalendars {
    async fn try_to_tell(&self, progress: &[(WebhookKey, Duration)]) -> Result<(), StoreError> {
        let mut call = self.count.key(self.keys.workers());
        call.arg(self.worker.to_string()).arg(WORKS_FOR.as_secs());
        let workers = self.connection.script(&call).await?;
        self.workers.store(workers, Ordering::Relaxed);
        let each = progress.iter().map(Ok);
        stream::iter(each)
            .try_for_each_concurrent(TOLD_AT_ONCE, |(webhook, apart)| async move {
                let mut call = self.tell.key(self.keys.calendar(webhook));
                call.arg(micros(*apart))
                    .arg(self.worker.to_string())
                    .arg(micros(SAID_FOR));
                self.connection.script(&call).await
            })
            .await
    }
}

fn complain(webhook: &WebhookKey, error: &StoreError, what: &str) {
    let WebhookKey { organization, id } = webhook;
    tracing::error!(
        %organization, webhook_id = %id, what, %error,
        "workers cannot share a webhook's calendar; its deliveries wait"
    );
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
