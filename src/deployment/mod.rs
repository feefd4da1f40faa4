//! What commands, API and page ask of a deployment, whichever store it stands on.
//!
//! The engine has ports of its own; this is the seam on the other side: taking events in, reading
//! what is on record, moving dead letters. [`servers`] answers from RabbitMQ and Redis,
//! [`embedded`] from SQLite.

pub mod embedded;
pub mod records;
pub mod servers;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;

use crate::dead_letters::{Action, Filter, Found, Options, Progress};
use crate::domain::delivery::Delivery;
use crate::domain::event::RawEvent;
use crate::domain::held_back::HeldBack;
use crate::domain::ids::{DeliveryId, Organization, WebhookId};
use crate::records::statistics::{Bucket, Detail};
use crate::records::{AttemptFilter, Page, Recorded, RecordedAttempt};
use crate::registry::webhooks::Webhooks;

/// A deployment at work.
#[derive(Clone)]
pub struct Deployment {
    /// The registered webhooks.
    pub webhooks: Webhooks,
    /// Takes events in.
    pub intake: Arc<dyn Intake>,
    /// What is on record.
    pub records: Arc<dyn Records>,
    /// What was given up.
    pub dead_letters: Arc<dyn DeadLetters>,
}

/// Takes what is to be delivered.
#[async_trait]
pub trait Intake: Send + Sync {
    /// Takes events as the gateway publishes them; they are durable when this returns. Each has its
    /// id already. Whether they keep the contract is for the caller to check: one that does not
    /// becomes a dead letter. On an error some of them may have been taken.
    async fn accept(&self, events: Vec<RawEvent>) -> Result<(), NotAccepted>;

    /// Says why events cannot be taken now, if that is so.
    async fn ready(&self) -> Result<(), NotAccepted>;

    /// Hands a delivery over, to be attempted at once. Durable when it returns.
    async fn enqueue(&self, delivery: Delivery) -> Result<(), Unavailable>;
}

/// Reads the record of attempts and deliveries.
#[async_trait]
pub trait Records: Send + Sync {
    /// Says why nothing can be put on record now, if that is so: deliveries wait meanwhile.
    async fn writable(&self) -> Result<(), Unavailable>;

    /// The newest attempts wanted, at most `limit`, before the entry `before` if given.
    async fn attempts(
        &self,
        filter: &AttemptFilter,
        limit: usize,
        before: Option<&str>,
    ) -> Result<Page, Unavailable>;

    /// The attempt that stands under `entry` in a webhook's record.
    async fn attempt(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        entry: &str,
    ) -> Result<Option<RecordedAttempt>, Unavailable>;

    /// The attempts wanted as they are recorded, from now on or after the entry `after`. Goes on
    /// for ever.
    async fn follow(
        &self,
        filter: AttemptFilter,
        after: Option<String>,
    ) -> Result<BoxStream<'static, RecordedAttempt>, Unavailable>;

    /// How many attempts of a webhook came to what, by quarter of an hour: the buckets from the one
    /// that `period` begins in to its end, oldest first; those with nothing in them are left out.
    /// What a worker did in the last seconds may be missing.
    async fn statistics(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        period: (Timestamp, Timestamp),
        detail: Detail,
    ) -> Result<Vec<Bucket>, Unavailable>;

    /// Which of these webhooks' deliveries are held back now.
    async fn held_back(
        &self,
        organization: &Organization,
        webhooks: &[WebhookId],
    ) -> Result<HashMap<WebhookId, HeldBack>, Unavailable>;

    /// The same of one.
    async fn held_back_one(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
    ) -> Result<Option<HeldBack>, Unavailable> {
        let one = std::slice::from_ref(webhook);
        let mut held = self.held_back(organization, one).await?;
        Ok(held.remove(webhook))
    }

    /// What is on record of a delivery; `None` if nothing is, or not any more.
    async fn delivery(
        &self,
        organization: &Organization,
        id: &DeliveryId,
    ) -> Result<Option<Recorded>, Unavailable>;
}

/// Looks through the dead letters and moves them.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// The dead letters meant, at most `limit`, oldest first.
    async fn list(&self, filter: &Filter, limit: usize) -> Result<Found, Unavailable>;

    /// Goes once through the dead letters and does `action` with those meant. Calls `report` now
    /// and then with what was done so far.
    async fn process(
        &self,
        action: Action,
        filter: &Filter,
        options: &Options,
        report: Report<'_>,
    ) -> Result<Progress, Unavailable>;
}

/// Who is told, now and then, how far a pass through the dead letters is.
pub type Report<'a> = &'a mut (dyn for<'p> FnMut(&'p Progress) + Send + 'a);

/// A store gave no answer, or refused.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Unavailable(Box<dyn std::error::Error + Send + Sync>);

impl Unavailable {
    /// Wraps the store's own error, whose text names cause and mend.
    pub fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}

/// Why events were not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotAccepted {
    /// There is no room for them.
    #[error("{0}")]
    Full(#[source] Unavailable),
    /// An event cannot be carried as it is.
    #[error("{0}")]
    Unfit(#[source] Unavailable),
    /// The broker or the store is away, or refuses.
    #[error("{0}")]
    Unavailable(#[source] Unavailable),
}
