//! The record of what was done, for the engine.
//!
//! Writing goes through one task that sends everything that has come together in the meantime as
//! one pipeline: the more there is to write, the cheaper each entry gets, and nothing waits for a
//! timer. An entry is on record when its call returns; if Redis dies between carrying a pipeline
//! out and answering, the attempts in it are recorded twice rather than not at all.
//!
//! `encoder` makes the commands, of an attempt, a delivery's state and settled markers; `writer` sends
//! them. Markers are read here.

mod encoder;
mod writer;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use redis::{Script, cmd};
use tokio::sync::{mpsc, oneshot, watch};

use super::connection::Connection;
use super::keys::Keys;
use crate::domain::ids::{DeliveryId, MessageKey, Organization, WebhookId};
use crate::domain::streak::Streak;
use crate::domain::webhook::WebhookKey;
use crate::engine::ports::{Entry, LogWriter};
pub use crate::store::retention::DeliveryLogSettings;
use crate::store::retention::{HEALTH_KEPT, MARKS_KEPT, SUCCESS_NOTED_EVERY};
use crate::store::statistics::{COUNTED_EVERY, Tally};
use crate::store::successes::Successes;
use encoder::Encoder;
use writer::{Job, Writer};

/// The record in Redis.
#[derive(Debug)]
pub struct RedisLogWriter {
    connection: Connection,
    keys: Keys,
    jobs: mpsc::UnboundedSender<Job>,
    writing: watch::Receiver<bool>,
    successes: Arc<Successes>,
    tally: Arc<Tally>,
    failed: Script,
    claim: Script,
}

impl RedisLogWriter {
    /// Starts the writer, in the background; must be called on a Tokio runtime. The writer ends
    /// when this is dropped and everything handed to it is on record.
    pub fn start(connection: Connection, keys: Keys, settings: DeliveryLogSettings) -> Self {
        let (jobs, queue) = mpsc::unbounded_channel();
        let (state, writing) = watch::channel(true);
        let batch = settings.batch.max(1);
        let encoder = Encoder::new(keys.clone(), settings);
        let writer = Writer::new(connection.clone(), encoder, state, batch);
        tokio::spawn(writer.run(queue));
        let successes = Arc::new(Successes::new());
        tokio::spawn(note_successes(successes.clone(), jobs.downgrade()));
        let tally = Arc::new(Tally::default());
        let counting = count(tally.clone(), writing.clone(), jobs.downgrade());
        tokio::spawn(counting);
        Self {
            connection,
            keys,
            jobs,
            writing,
            successes,
            tally,
            failed: Script::new(include_str!("../scripts/failed.lua")),
            claim: Script::new(include_str!("../scripts/claim.lua")),
        }
    }

    /// Returns once everything that was handed over before this call is on record, successes
    /// included. Waits for as long as Redis is away: put a time limit round it.
    pub async fn flush(&self) {
        for (webhook, at) in self.successes.take_unnoted() {
            let _ = self.jobs.send(Job::Success(webhook, at));
        }
        let _ = self.jobs.send(Job::Counts(self.tally.take()));
        self.hand_over(Job::Flush).await;
    }

    async fn hand_over(&self, job: impl FnOnce(oneshot::Sender<()>) -> Job) {
        let (done, written) = oneshot::channel();
        if self.jobs.send(job(done)).is_err() || written.await.is_err() {
            // The writer is gone, which only the end of the runtime brings about. What was not
            // written must never be taken for written.
            std::future::pending::<()>().await;
        }
    }
}

/// Notes once a minute what was not noted at once, for as long as there is a log.
async fn note_successes(successes: Arc<Successes>, jobs: mpsc::WeakUnboundedSender<Job>) {
    loop {
        tokio::time::sleep(SUCCESS_NOTED_EVERY).await;
        let Some(jobs) = jobs.upgrade() else { return };
        for (webhook, at) in successes.take_unnoted() {
            let _ = jobs.send(Job::Success(webhook, at));
        }
    }
}

/// Adds to the store what is counted, now and then, for as long as there is a log. While Redis takes
/// nothing the counts stay where they are.
async fn count(
    tally: Arc<Tally>,
    writing: watch::Receiver<bool>,
    jobs: mpsc::WeakUnboundedSender<Job>,
) {
    loop {
        tokio::time::sleep(COUNTED_EVERY).await;
        let Some(jobs) = jobs.upgrade() else { return };
        if *writing.borrow() {
            let _ = jobs.send(Job::Counts(tally.take()));
        }
    }
}

#[async_trait]
impl LogWriter for RedisLogWriter {
    async fn available(&self) {
        if self.connection.is_up() && *self.writing.borrow() {
            return;
        }
        let mut writing = self.writing.clone();
        loop {
            self.connection.up().await;
            if writing.wait_for(|well| *well).await.is_err() {
                std::future::pending::<()>().await;
            }
            if self.connection.is_up() {
                return;
            }
        }
    }

    async fn write(&self, entry: Entry) {
        if let Some(attempt) = &entry.attempt {
            self.tally.count(attempt);
        }
        self.hand_over(|done| Job::Write(Box::new(entry), done))
            .await;
    }

    async fn settled(
        &self,
        organization: &Organization,
        message: &MessageKey,
    ) -> HashSet<WebhookId> {
        let mut command = cmd("SMEMBERS");
        command.arg(self.keys.settled(organization, message));
        let members = self.connection.persist(|| self.connection.call(&command));
        let members: Vec<String> = members.await.unwrap_or_else(|error| {
            tracing::error!(%organization, %message, %error, "what is settled of an event cannot be read; it may be sent again");
            Vec::new()
        });
        let ids = members.iter().filter_map(|id| WebhookId::new(id).ok());
        ids.collect()
    }

    async fn claim(
        &self,
        organization: &Organization,
        delivery: &DeliveryId,
        hand_out: u64,
    ) -> bool {
        let mut call = self.claim.key(self.keys.delivery(organization, delivery));
        call.arg(format!("{hand_out:016x}"));
        call.arg(MARKS_KEPT.as_secs());
        let claimed = self.connection.persist(|| self.connection.script(&call));
        claimed.await.unwrap_or_else(|error| {
            tracing::error!(%organization, %delivery, %error, "the id of a delivery cannot be claimed; it gets another");
            false
        })
    }

    async fn settled_sequence(&self, organization: &Organization, delivery: &DeliveryId) -> u32 {
        let mut command = cmd("HGET");
        command.arg(self.keys.delivery(organization, delivery));
        command.arg("sequence");
        let sequence = self.connection.persist(|| self.connection.call(&command));
        let sequence: Option<u32> = sequence.await.unwrap_or_else(|error| {
            tracing::error!(%organization, %delivery, %error, "the state of a delivery cannot be read; it may be sent again");
            None
        });
        sequence.unwrap_or(0)
    }

    async fn failed(&self, webhook: &WebhookKey, now: Timestamp, silence: Duration) -> Streak {
        self.successes.failed(webhook);
        let silence = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
        let mut call = self.failed.key(self.keys.health(webhook));
        call.key(self.keys.webhooks(&webhook.organization));
        call.arg(now.as_millisecond()).arg(silence);
        call.arg(HEALTH_KEPT.as_secs()).arg(webhook.id.as_str());
        let streak = self.connection.persist(|| self.connection.script(&call));
        let streak: Result<(i64, i64, u64), _> = streak.await;
        let (since, last, attempts) = streak.unwrap_or_else(|error| {
            let WebhookKey { organization, id } = webhook;
            tracing::error!(%organization, webhook = %id, %error, "the failures of a webhook cannot be noted");
            let now = now.as_millisecond();
            (now, now, 1)
        });
        let time = |millis| Timestamp::from_millisecond(millis).unwrap_or(now);
        Streak {
            since: time(since),
            last: time(last),
            attempts,
        }
    }

    fn succeeded(&self, webhook: &WebhookKey, now: Timestamp) {
        if !self.successes.succeeded(webhook, now) {
            return;
        }
        // Nobody listens only once the runtime is going down.
        let _ = self.jobs.send(Job::Success(webhook.clone(), now));
    }
}
