//! Rate limits that all workers share: a calendar for each webhook that has one, on Redis's clock.

use std::time::Duration;

use async_trait::async_trait;
use redis::Script;

use super::connection::Connection;
use super::keys::Keys;
use crate::domain::rate_limit::{AHEAD, RateLimit, Reserved};
use crate::domain::webhook::WebhookKey;
use crate::engine::ports::Rates;

/// A calendar is kept for so long after its last time, so that workers know their shares.
const KEPT: Duration = Duration::from_secs(60);

/// The calendars in Redis.
#[derive(Debug)]
pub struct RedisRates {
    connection: Connection,
    keys: Keys,
    reserve: Script,
}

impl RedisRates {
    /// The calendars under these keys.
    pub fn new(connection: Connection, keys: Keys) -> Self {
        Self {
            connection,
            keys,
            reserve: Script::new(include_str!("scripts/reserve.lua")),
        }
    }
}

#[async_trait]
impl Rates for RedisRates {
    async fn reserve(&self, webhook: &WebhookKey, limit: RateLimit, count: u32) -> Reserved {
        let mut call = self.reserve.key(self.keys.rate(webhook));
        call.arg(micros(limit.apart()))
            .arg(count)
            .arg(micros(AHEAD));
        call.arg(KEPT.as_millis().to_string());
        let asking = self.connection.persist(|| self.connection.script(&call));
        let answer: Result<(u32, u64, u64), _> = asking.await;
        let (count, first, in_all) = answer.unwrap_or_else(|error| {
            let WebhookKey { organization, id } = webhook;
            tracing::error!(%organization, webhook_id = %id, %error, "the rate limit of a webhook cannot be shared; its deliveries wait");
            (0, micros(limit.apart().max(KEPT)), 0)
        });
        Reserved {
            count,
            first: Duration::from_micros(first),
            in_all,
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
