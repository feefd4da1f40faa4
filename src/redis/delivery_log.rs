//! The record in Redis, for whoever asks from outside.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use jiff::Timestamp;

use super::attempts::Attempts;
use super::board::RedisBoard;
use super::connection::Connection;
use super::deliveries::Deliveries;
use super::keys::Keys;
use super::probe::Probe;
use super::statistics::Statistics;
use crate::domain::held_back::HeldBack;
use crate::domain::ids::{DeliveryId, Organization, WebhookId};
use crate::store::Unavailable;
use crate::store::cursor_key::CursorKey;
use crate::store::delivery_log::{AttemptFilter, DeliveryLog, Page, Recorded, RecordedAttempt};
use crate::store::entry::EntryId;
use crate::store::following::Following;
use crate::store::retention::RETRY_CLAIMED;
use crate::store::statistics::{Bucket, Detail};

/// The record in Redis.
pub struct RedisDeliveryLog {
    attempts: Attempts,
    following: Following<Attempts>,
    deliveries: Deliveries,
    statistics: Statistics,
    board: RedisBoard,
    probe: Probe,
}

impl RedisDeliveryLog {
    /// Reads what stands under `keys`.
    pub fn new(connection: &Connection, keys: &Keys) -> Self {
        let (redis, keys) = (|| connection.clone(), || keys.clone());
        Self {
            attempts: Attempts::new(redis(), keys()),
            following: Following::new(Attempts::new(redis(), keys())),
            deliveries: Deliveries::new(redis(), keys()),
            statistics: Statistics::new(redis(), keys()),
            board: RedisBoard::new(redis(), keys()),
            probe: Probe::new(redis(), keys()),
        }
    }
}

#[async_trait]
impl DeliveryLog for RedisDeliveryLog {
    async fn writable(&self) -> Result<(), Unavailable> {
        self.probe.writable().await.map_err(Unavailable::new)
    }

    async fn attempts(
        &self,
        filter: &AttemptFilter,
        limit: usize,
        before: Option<EntryId>,
    ) -> Result<Page, Unavailable> {
        let page = self.attempts.list(filter, limit, before).await;
        page.map_err(Unavailable::new)
    }

    async fn attempt(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        entry: EntryId,
    ) -> Result<Option<RecordedAttempt>, Unavailable> {
        let attempts = &self.attempts;
        let found = attempts.get(organization, webhook, entry).await;
        found.map_err(Unavailable::new)
    }

    async fn follow(
        &self,
        filter: AttemptFilter,
        after: Option<EntryId>,
    ) -> Result<BoxStream<'static, RecordedAttempt>, Unavailable> {
        let follower = self.following.follow(filter, after).await?;
        Ok(follower.into_stream().boxed())
    }

    async fn cursor_key(&self) -> Result<CursorKey, Unavailable> {
        self.attempts.cursor_key().await
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

    async fn claim_retry(
        &self,
        organization: &Organization,
        id: &DeliveryId,
        sequence: u32,
    ) -> Result<bool, Unavailable> {
        let deliveries = &self.deliveries;
        let claiming = deliveries.claim_retry(organization, id, sequence, RETRY_CLAIMED);
        let claimed = claiming.await;
        claimed.map_err(Unavailable::new)
    }

    async fn release_retry(
        &self,
        organization: &Organization,
        id: &DeliveryId,
        sequence: u32,
    ) -> Result<(), Unavailable> {
        let deliveries = &self.deliveries;
        let released = deliveries.release_retry(organization, id, sequence).await;
        released.map_err(Unavailable::new)
    }
}
