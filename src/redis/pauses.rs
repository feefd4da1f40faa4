//! Receivers that asked to be left alone: told to the other workers by way of a channel, and kept for
//! those that were not there to hear it.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Pipeline, RedisResult, Script, Value, from_redis_value};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use super::connection::Connection;
use super::error::StoreError;
use super::keys::Keys;
use super::supervisor::TIME_LIMIT;
use crate::domain::admission::{Heard, Pause};
use crate::domain::ids::{Organization, WebhookId};
use crate::domain::webhook::WebhookKey;
use crate::engine::ports::{Heed, Pauses};

/// So many endpoints of one webhook are kept; when there are more, the last alone.
const MOST_ENDPOINTS: u32 = 16;

/// The pauses that workers tell each other, in Redis.
pub struct RedisPauses {
    connection: Connection,
    keys: Keys,
    own: Uuid,
    pause: Script,
    heed: OnceLock<Heed>,
}

/// One pause, as it is told.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    /// Who tells: made at its start, since workers may share a name.
    by: Uuid,
    organization: String,
    webhook: String,
    endpoint: u64,
    /// From when it is heard. A duration: workers' clocks may differ.
    wait_ms: u64,
}

impl RedisPauses {
    /// For one worker. What others tell is heard by its
    /// [subscriptions](super::subscriptions::RedisSubscriptions).
    pub fn new(connection: Connection, keys: Keys) -> Self {
        Self {
            connection,
            keys,
            own: Uuid::new_v4(),
            pause: Script::new(include_str!("scripts/pause.lua")),
            heed: OnceLock::new(),
        }
    }

    /// Something was said on the channel.
    pub(super) fn hear(&self, message: &[u8]) {
        if let (Some(pause), Some(heed)) = (Told::read(message, self.own), self.heed.get()) {
            heed(Heard::Told(pause));
        }
    }

    /// Heeds what was told of these webhooks before. Waits for as long as Redis is away.
    pub(super) async fn recall(&self, organization: &Organization, webhooks: Vec<WebhookId>) {
        let Some(heed) = self.heed.get().filter(|_| !webhooks.is_empty()) else {
            return;
        };
        let keys: Vec<_> = webhooks
            .into_iter()
            .map(|id| WebhookKey {
                organization: organization.clone(),
                id,
            })
            .collect();
        let read = self.connection.persist(|| self.read(&keys)).await;
        match read {
            Ok(pauses) => pauses.into_iter().map(Heard::Recalled).for_each(heed),
            Err(error) => tracing::error!(
                %organization, %error,
                "who asked to be left alone cannot be read; each worker finds out with a request"
            ),
        }
    }

    async fn read(&self, webhooks: &[WebhookKey]) -> Result<Vec<Pause>, StoreError> {
        let mut commands = Pipeline::with_capacity(1 + webhooks.len());
        commands.cmd("TIME");
        for webhook in webhooks {
            commands.cmd("HGETALL").arg(self.keys.paused(webhook));
        }
        let answers = self.connection.pipeline(&mut commands, TIME_LIMIT).await?;
        let mut answers = answers.into_iter();
        let time = answers.next().and_then(Result::ok);
        let time = time.and_then(|time| from_redis_value::<(u64, u64)>(time).ok());
        let Some((seconds, micros)) = time else {
            return Ok(Vec::new());
        };
        let now = seconds * 1000 + micros / 1000;
        let of_one = |(webhook, answer): (&WebhookKey, RedisResult<Value>)| {
            // An unreadable entry is no pause.
            let said = answer.and_then(|answer| Ok(from_redis_value(answer)?));
            let said: HashMap<String, String> = said.unwrap_or_default();
            let pauses = said.into_iter().filter_map(|(endpoint, until)| {
                let wait = until.parse::<u64>().ok()?.checked_sub(now)?;
                Some(Pause {
                    webhook: webhook.clone(),
                    endpoint: endpoint.parse().ok()?,
                    wait: Duration::from_millis(wait),
                })
            });
            pauses
                .filter(|pause| !pause.wait.is_zero())
                .collect::<Vec<_>>()
        };
        Ok(webhooks.iter().zip(answers).flat_map(of_one).collect())
    }

    /// One try at telling what was asked at `since`. The wait goes on while Redis is away.
    async fn try_to_tell(&self, pause: &Pause, since: Instant) -> Result<(), StoreError> {
        let WebhookKey { organization, id } = &pause.webhook;
        let wait = pause.wait.saturating_sub(since.elapsed());
        if wait.is_zero() && !pause.wait.is_zero() {
            return Ok(());
        }
        // Rounded up, for zero would mean that it is over.
        let wait_ms = u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
        let told = Told {
            by: self.own,
            organization: organization.to_string(),
            webhook: id.to_string(),
            endpoint: pause.endpoint,
            wait_ms,
        };
        let mut call = self.pause.key(self.keys.webhooks(organization));
        call.key(self.keys.paused(&pause.webhook));
        call.arg(id.as_str()).arg(pause.endpoint).arg(wait_ms);
        // A struct of numbers and strings is always JSON.
        let json = serde_json::to_string(&told).unwrap_or_default();
        call.arg(self.keys.pauses()).arg(json).arg(MOST_ENDPOINTS);
        self.connection.script(&call).await
    }
}

impl std::fmt::Debug for RedisPauses {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("RedisPauses");
        debug.field("own", &self.own).finish_non_exhaustive()
    }
}

impl Told {
    /// `None` of what makes no sense, and of what this worker told itself.
    fn read(json: &[u8], own: Uuid) -> Option<Pause> {
        let told: Self = serde_json::from_slice(json).ok()?;
        let pause = Pause {
            webhook: WebhookKey {
                organization: Organization::new(&told.organization).ok()?,
                id: WebhookId::new(&told.webhook).ok()?,
            },
            endpoint: told.endpoint,
            wait: Duration::from_millis(told.wait_ms),
        };
        (told.by != own).then_some(pause)
    }
}

#[async_trait]
impl Pauses for RedisPauses {
    fn listen(&self, heed: Heed) {
        // Called once; a second listener would hear nothing.
        self.heed.set(heed).ok();
    }

    async fn tell(&self, pause: Pause) {
        let since = Instant::now();
        let telling = self.connection.persist(|| self.try_to_tell(&pause, since));
        if let Err(error) = telling.await {
            let WebhookKey { organization, id } = &pause.webhook;
            tracing::error!(
                %organization, webhook_id = %id, %error,
                "that a receiver asks to be left alone cannot be told to other workers"
            );
        }
    }
}
