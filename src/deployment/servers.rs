//! A deployment on RabbitMQ and Redis.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::future::try_join_all;
use futures::stream::{self, BoxStream};
use jiff::Timestamp;

use super::{Intake, NotAccepted, Records, Report, Unavailable};
use crate::dead_letters::{Action, Filter, Found, Options, Progress};
use crate::domain::delivery::Delivery;
use crate::domain::event::RawEvent;
use crate::domain::held_back::HeldBack;
use crate::domain::ids::{DeliveryId, Organization, WebhookId};
use crate::engine::ports::{FollowUp, Handover as _};
use crate::rabbitmq::connection::Server;
use crate::rabbitmq::dead_letters::DeadLetters;
use crate::rabbitmq::publisher::{PublishError, Publisher};
use crate::rabbitmq::topology::Topology;
use crate::records::statistics::{Bucket, Detail};
use crate::records::{AttemptFilter, Page, Recorded, RecordedAttempt};
use crate::redis::attempts::Attempts;
use crate::redis::board::RedisBoard;
use crate::redis::deliveries::Deliveries;
use crate::redis::probe::Probe;
use crate::redis::statistics::Statistics;

/// Publishes to the broker.
pub struct BrokerIntake(pub Publisher);

/// The dead-letter queue. Looking through it takes a connection of its own each time.
pub struct BrokerDeadLetters {
    /// The broker.
    pub server: Server,
    /// What is declared there.
    pub topology: Arc<Topology>,
    /// Held by whoever takes letters in large numbers, which nobody else sees meanwhile.
    turn: tokio::sync::Mutex<()>,
}

/// The record in Redis.
pub struct RedisRecords {
    /// Of attempts.
    pub attempts: Attempts,
    /// Of deliveries.
    pub deliveries: Deliveries,
    /// How many attempts came to what.
    pub statistics: Statistics,
    /// Whose deliveries are held back.
    pub board: RedisBoard,
    /// Whether Redis takes writes.
    pub probe: Probe,
}

/// How long a look waits for its turn: longer than others need for a look of theirs.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

impl BrokerDeadLetters {
    /// The dead letters of a deployment.
    pub fn new(server: Server, topology: Arc<Topology>) -> Self {
        let turn = tokio::sync::Mutex::new(());
        Self {
            server,
            topology,
            turn,
        }
    }

    async fn connect(&self) -> Result<DeadLetters, Unavailable> {
        let connected = DeadLetters::connect(&self.server, self.topology.clone()).await;
        connected.map_err(Unavailable::new)
    }
}

#[async_trait]
impl Intake for BrokerIntake {
    async fn accept(&self, events: Vec<RawEvent>) -> Result<(), NotAccepted> {
        let publishing = events.iter().map(|event| self.0.publish_event(event));
        try_join_all(publishing).await?;
        Ok(())
    }

    async fn ready(&self) -> Result<(), NotAccepted> {
        Ok(self.0.ready().await?)
    }

    async fn enqueue(&self, delivery: Delivery) -> Result<(), Unavailable> {
        let handed = self.0.hand_over(FollowUp::Enqueue(delivery)).await;
        handed.map_err(Unavailable::new)
    }
}

#[async_trait]
impl Records for RedisRecords {
    async fn writable(&self) -> Result<(), Unavailable> {
        self.probe.writable().await.map_err(Unavailable::new)
    }

    async fn attempts(
        &self,
        filter: &AttemptFilter,
        limit: usize,
        before: Option<&str>,
    ) -> Result<Page, Unavailable> {
        let page = self.attempts.list(filter, limit, before).await;
        page.map_err(Unavailable::new)
    }

    async fn attempt(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        entry: &str,
    ) -> Result<Option<RecordedAttempt>, Unavailable> {
        let attempts = &self.attempts;
        let found = attempts.get(organization, webhook, entry).await;
        found.map_err(Unavailable::new)
    }

    async fn follow(
        &self,
        filter: AttemptFilter,
        after: Option<String>,
    ) -> Result<BoxStream<'static, RecordedAttempt>, Unavailable> {
        let tail = self.attempts.tail(filter, after).await;
        let tail = tail.map_err(Unavailable::new)?;
        let attempts = stream::unfold(tail, async |mut tail| Some((tail.next().await, tail)));
        Ok(attempts.boxed())
    }

    async fn statistics(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        period: (Timestamp, Timestamp),
        detail: Detail,
    ) -> Result<Vec<Bucket>, Unavailable> {
        let statistics = &self.statistics;
        let found = statistics.get(organization, webhook, period, detail).await;
        found.map_err(Unavailable::new)
    }

    async fn held_back(
        &self,
        organization: &Organization,
        webhooks: &[WebhookId],
    ) -> Result<HashMap<WebhookId, HeldBack>, Unavailable> {
        let board = &self.board;
        let held = board.read(organization, webhooks, Timestamp::now()).await;
        held.map_err(Unavailable::new)
    }

    async fn delivery(
        &self,
        organization: &Organization,
        id: &DeliveryId,
    ) -> Result<Option<Recorded>, Unavailable> {
        let found = self.deliveries.get(organization, id).await;
        found.map_err(Unavailable::new)
    }
}

#[async_trait]
impl super::DeadLetters for BrokerDeadLetters {
    async fn list(&self, filter: &Filter, limit: usize) -> Result<Found, Unavailable> {
        // After a while it looks all the same: a pass may take long.
        let _turn = tokio::time::timeout(LOOK_PATIENCE, self.turn.lock()).await;
        let letters = self.connect().await?;
        let found = letters.list(filter, limit).await;
        letters.close().await;
        found.map_err(Unavailable::new)
    }

    async fn process(
        &self,
        action: Action,
        filter: &Filter,
        options: &Options,
        report: Report<'_>,
    ) -> Result<Progress, Unavailable> {
        // One at a low rate holds few letters, and may go on for hours.
        let _turn = match options.rate {
            Some(_) => None,
            None => Some(self.turn.lock().await),
        };
        let letters = self.connect().await?;
        let done = letters.process(action, filter, options, report).await;
        letters.close().await;
        done.map_err(Unavailable::new)
    }
}

impl From<PublishError> for NotAccepted {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::TooLong { .. } => Self::Unfit(Unavailable::new(error)),
            PublishError::Connect(_) | PublishError::Unconfirmed(_) | PublishError::Stopped(_) => {
                Self::Unavailable(Unavailable::new(error))
            }
        }
    }
}
