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
use super::keys::Keys;
use super::supervisor::TIME_LIMIT;
use crate::domain::admission::Why;
use crate::domain::held_back::{HeldBack, Phase, STANDS};
use crate::domain::ids::{Organization, WebhookId};
use crate::domain::webhook::WebhookKey;
use crate::engine::ports::Board;

/// So much of what is said is under way at once.
const AT_ONCE: usize = 64;

/// The board in Redis: whose deliveries are held back, as each worker says.
#[derive(Debug, Clone)]
pub struct RedisBoard {
    connection: Connection,
    keys: Keys,
    hold: Script,
}

/// Writes what one worker says on the board.
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
    #[serde(default)]
    phase: String,
    /// When the worker said so: it may be gone.
    at: Timestamp,
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
            // An unreadable entry is left out, and nothing else hangs on it.
            let said = answer.and_then(|answer| Ok(Vec::<Vec<u8>>::from_redis_value(answer)?));
            let said = said.unwrap_or_default();
            let each = said.iter().filter_map(|said| Said::read(said, now));
            if let Some(held) = HeldBack::of_all(each, now) {
                held_back.insert(id.clone(), held);
            }
        }
        Ok(held_back)
    }
}

impl Said {
    /// `None` of what is no such thing, has a reason that only a newer version knows, or stands no
    /// more.
    fn read(json: &[u8], now: Timestamp) -> Option<HeldBack> {
        let said: Self = serde_json::from_slice(json).ok()?;
        let stands_until = said.at.checked_add(STANDS).ok()?;
        let phase = Phase::ALL
            .into_iter()
            .find(|phase| phase.name() == said.phase);
        let why = Why::ALL.into_iter().find(|why| why.name() == said.reason)?;
        (now < stands_until).then_some(HeldBack {
            why,
            since: said.since,
            until: said.until,
            // Older workers say none.
            phase: phase.unwrap_or(Phase::Held),
        })
    }

    fn json(held: &HeldBack) -> String {
        let said = Self {
            reason: held.why.name().to_owned(),
            since: held.since,
            until: held.until,
            phase: held.phase.name().to_owned(),
            at: Timestamp::now(),
        };
        serde_json::to_string(&said).unwrap_or_default()
    }
}

impl Writer {
    async fn put_up_one(&self, webhook: &WebhookKey, held: Option<&HeldBack>) {
        let WebhookKey { organization, id } = webhook;
        let RedisBoard {
            connection,
            keys,
            hold,
        } = &self.board;
        let mut call = hold.key(keys.webhooks(organization));
        call.key(keys.held_back(organization, id)).arg(id.as_str());
        call.arg(&self.worker)
            .arg(held.map(Said::json).unwrap_or_default());
        call.arg(STANDS.as_secs() * 1000);
        let putting_up = connection.persist(|| connection.script::<()>(&call));
        if let Err(error) = putting_up.await {
            tracing::warn!(%organization, webhook_id = %id, %error, "that a webhook is held back cannot be told");
        }
    }
}

#[async_trait]
impl Board for Writer {
    async fn put_up(&self, said: Vec<(WebhookKey, Option<HeldBack>)>) {
        let one = async |(webhook, held): &(WebhookKey, Option<HeldBack>)| {
            self.put_up_one(webhook, held.as_ref()).await;
        };
        stream::iter(&said).for_each_concurrent(AT_ONCE, one).await;
    }
}
