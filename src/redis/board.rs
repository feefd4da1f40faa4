//! Whose deliveries are held back: a hash for each webhook of which a worker says so, with what each
//! worker says.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;
use redis::{FromRedisValue as _, Pipeline, Script};
use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::error::StoreError;
use super::keeper::TIME_LIMIT;
use super::keys::Keys;
use crate::domain::admission::Why;
use crate::domain::held_back::HeldBack;
use crate::domain::ids::{Organization, WebhookId};
use crate::domain::webhook::WebhookKey;
use crate::engine::ports::{Board, Notice};

/// So many notices are under way at once.
const AT_ONCE: usize = 64;

/// What workers say, in Redis.
#[derive(Debug, Clone)]
pub struct RedisBoard {
    connection: Connection,
    keys: Keys,
    hold: Script,
}

/// What one worker writes on it.
#[derive(Debug)]
pub struct Writer {
    board: RedisBoard,
    worker: String,
}

/// One worker's word, as it stands there.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    reason: String,
    since: Timestamp,
    until: Timestamp,
}

impl RedisBoard {
    /// The board under these keys.
    pub fn new(connection: Connection, keys: Keys) -> Self {
        Self {
            connection,
            keys,
            hold: Script::new(include_str!("scripts/hold.lua")),
        }
    }

    /// Writes what the worker of this name says.
    pub fn written_by(self, worker: &str) -> Writer {
        Writer {
            board: self,
            worker: worker.to_owned(),
        }
    }

    /// Which of these webhooks' deliveries are held back at `now`.
    pub async fn read(
        &self,
        organization: &Organization,
        webhooks: &[WebhookId],
        now: Timestamp,
    ) -> Result<HashMap<WebhookId, HeldBack>, StoreError> {
        if webhooks.is_empty() {
            return Ok(HashMap::new());
        }
        let mut commands = Pipeline::with_capacity(webhooks.len());
        for id in webhooks {
            commands
                .cmd("HVALS")
                .arg(self.keys.held_back(organization, id));
        }
        let answers = self.connection.pipeline(&mut commands, TIME_LIMIT).await?;
        let mut held_back = HashMap::new();
        for (id, answer) in webhooks.iter().zip(answers) {
            // What cannot be read is not known, and nothing else hangs on it.
            let said = answer.and_then(|answer| Ok(Vec::<Vec<u8>>::from_redis_value(answer)?));
            let said = said.unwrap_or_default();
            let each = said.iter().filter_map(|said| Said::read(said));
            if let Some(held) = HeldBack::of_all(each, now) {
                held_back.insert(id.clone(), held);
            }
        }
        Ok(held_back)
    }
}

impl Said {
    /// `None` of what is no such thing, or has a reason that only a newer version knows.
    fn read(json: &[u8]) -> Option<HeldBack> {
        let said: Self = serde_json::from_slice(json).ok()?;
        Some(HeldBack {
            why: Why::ALL.into_iter().find(|why| why.name() == said.reason)?,
            since: said.since,
            until: said.until,
        })
    }

    fn json(held: &HeldBack) -> String {
        let said = Self {
            reason: held.why.name().to_owned(),
            since: held.since,
            until: held.until,
        };
        serde_json::to_string(&said).unwrap_or_default()
    }
}

impl Writer {
    async fn put_up_one(&self, notice: &Notice) {
        let WebhookKey { organization, id } = &notice.webhook;
        let RedisBoard {
            connection,
            keys,
            hold,
        } = &self.board;
        let mut call = hold.key(keys.webhooks(organization));
        call.key(keys.held_back(organization, id))
            .arg(id.as_str())
            .arg(&self.worker);
        call.arg(notice.held.as_ref().map(Said::json).unwrap_or_default());
        let left = notice
            .held
            .map(|held| held.until.duration_since(Timestamp::now()));
        call.arg(left.map_or(0, |left| left.as_millis().max(1)).to_string());
        let putting_up = connection.persist(|| connection.script::<()>(&call));
        if let Err(error) = putting_up.await {
            tracing::warn!(%organization, webhook_id = %id, %error, "that a webhook is held back cannot be told");
        }
    }
}

#[async_trait]
impl Board for Writer {
    async fn put_up(&self, notices: Vec<Notice>) {
        let notices = stream::iter(&notices);
        notices
            .for_each_concurrent(AT_ONCE, |notice| self.put_up_one(notice))
            .await;
    }
}
