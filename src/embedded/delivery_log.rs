//! The record in SQLite, for whoever asks from outside.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use jiff::Timestamp;

use super::Embedded;
use crate::domain::held_back::HeldBack;
use crate::domain::ids::{DeliveryId, Organization, WebhookId};
use crate::store::Unavailable;
use crate::store::delivery_log::{AttemptFilter, DeliveryLog, Page, Recorded, RecordedAttempt};
use crate::store::statistics::{Bucket, Detail};

/// How long before the record is looked at again by whoever follows it: quick to the eye, and next
/// to nothing for a store in the same process.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

#[async_trait]
impl DeliveryLog for Embedded {
    async fn writable(&self) -> Result<(), Unavailable> {
        self.store().writable().await.map_err(Unavailable::new)
    }

    async fn attempts(
        &self,
        filter: &AttemptFilter,
        limit: usize,
        before: Option<&str>,
    ) -> Result<Page, Unavailable> {
        let attempts = self.attempts();
        let page = attempts.list(filter, limit, before).await;
        page.map_err(Unavailable::new)
    }

    async fn attempt(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        entry: &str,
    ) -> Result<Option<RecordedAttempt>, Unavailable> {
        let attempts = &self.attempts();
        let found = attempts.get(organization, webhook, entry).await;
        found.map_err(Unavailable::new)
    }

    async fn follow(
        &self,
        filter: AttemptFilter,
        after: Option<String>,
    ) -> Result<BoxStream<'static, RecordedAttempt>, Unavailable> {
        let attempts = self.attempts();
        let last = match after {
            Some(after) => after,
            None => attempts.newest().await.map_err(Unavailable::new)?,
        };
        let pages = stream::unfold(last, move |last| {
            let (attempts, filter) = (attempts.clone(), filter.clone());
            async move {
                loop {
                    match attempts.after(&filter, &last).await {
                        Ok((found, reached)) if reached != last => {
                            return Some((found, reached));
                        }
                        Ok(_) => {}
                        Err(error) => {
                            tracing::debug!(%error, "the record of attempts cannot be followed; trying again");
                        }
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        });
        Ok(pages.flat_map(stream::iter).boxed())
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
