//! The record in SQLite, for whoever asks from outside.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use jiff::Timestamp;

use super::Embedded;
use crate::domain::held_back::HeldBack;
use crate::domain::ids::{DeliveryId, Organization, WebhookId};
use crate::store::Unavailable;
use crate::store::cursor_key::CursorKey;
use crate::store::delivery_log::{AttemptFilter, DeliveryLog, Page, Recorded, RecordedAttempt};
use crate::store::entry::EntryId;
use crate::store::statistics::{Bucket, Detail};

#[async_trait]
impl DeliveryLog for Embedded {
    async fn writable(&self) -> Result<(), Unavailable> {
        self.store().writable().await.map_err(Unavailable::new)
    }

    async fn attempts(
        &self,
        filter: &AttemptFilter,
        limit: usize,
        before: Option<EntryId>,
    ) -> Result<Page, Unavailable> {
        let attempts = self.attempts();
        let page = attempts.list(filter, limit, before).await;
        page.map_err(Unavailable::new)
    }

    async fn attempt(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        entry: EntryId,
    ) -> Result<Option<RecordedAttempt>, Unavailable> {
        let attempts = &self.attempts();
        let found = attempts.get(organization, webhook, entry).await;
        found.map_err(Unavailable::new)
    }

    async fn follow(
        &self,
        filter: AttemptFilter,
        after: Option<EntryId>,
    ) -> Result<BoxStream<'static, RecordedAttempt>, Unavailable> {
        let follower = self.following().follow(filter, after).await?;
        Ok(follower.into_stream().boxed())
    }

    async fn cursor_key(&self) -> Result<CursorKey, Unavailable> {
        let key = self.attempts().cursor_key().await;
        key.map_err(Unavailable::new)
    }

    async fn statistics(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        period: (Timestamp, Timestamp),
        detail: Detail,
    ) -> Result<Vec<Bucket>, Unavailable> {
        let statistics = &self.statistics();
        let found = statistics.get(organization, webhook, period, detail).await;
        found.map_err(Unavailable::new)
    }

    async fn held_back(
        &self,
        organization: &Organization,
        webhooks: &[WebhookId],
    ) -> Result<HashMap<WebhookId, HeldBack>, Unavailable> {
        let board = self.board();
        Ok(board.read(organization, webhooks, Timestamp::now()))
    }

    async fn delivery(
        &self,
        organization: &Organization,
        id: &DeliveryId,
    ) -> Result<Option<Recorded>, Unavailable> {
        let deliveries = self.deliveries();
        let found = deliveries.get(organization, id).await;
        found.map_err(Unavailable::new)
    }

    async fn claim_retry(
        &self,
        organization: &Organization,
        id: &DeliveryId,
        sequence: u32,
    ) -> Result<bool, Unavailable> {
        let deliveries = self.deliveries();
        let claimed = deliveries.claim_retry(organization, id, sequence).await;
        claimed.map_err(Unavailable::new)
    }

    async fn release_retry(
        &self,
        organization: &Organization,
        id: &DeliveryId,
        sequence: u32,
    ) -> Result<(), Unavailable> {
        let deliveries = self.deliveries();
        let released = deliveries.release_retry(organization, id, sequence).await;
        released.map_err(Unavailable::new)
    }
}
