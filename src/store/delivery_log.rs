//! The record of attempts and deliveries: what is asked for and what is found.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;

use super::Unavailable;
use super::cursor_key::CursorKey;
use super::entry::EntryId;
use super::statistics::{Bucket, Detail};
use crate::domain::attempt::Attempt;
use crate::domain::delivery::{Delivery, Trigger};
use crate::domain::delivery_state::DeliveryState;
use crate::domain::held_back::HeldBack;
use crate::domain::ids::{DeliveryId, EventId, EventType, Organization, WebhookId};

/// Reads the record of attempts and deliveries.
#[async_trait]
pub trait DeliveryLog: Send + Sync {
    /// Says why nothing can be put on record now, if that is so: deliveries wait meanwhile.
    async fn writable(&self) -> Result<(), Unavailable>;

    /// The newest attempts wanted, at most `limit`, before the entry `before` if given.
    async fn attempts(
        &self,
        filter: &AttemptFilter,
        limit: usize,
        before: Option<EntryId>,
    ) -> Result<Page, Unavailable>;

    /// The attempt that stands under `entry` in a webhook's record.
    async fn attempt(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        entry: EntryId,
    ) -> Result<Option<RecordedAttempt>, Unavailable>;

    /// The attempts wanted as they are recorded, from now on or after the entry `after`. Goes on
    /// for ever.
    async fn follow(
        &self,
        filter: AttemptFilter,
        after: Option<EntryId>,
    ) -> Result<BoxStream<'static, RecordedAttempt>, Unavailable>;

    /// What places in this record are sealed with before anybody outside is shown them.
    async fn cursor_key(&self) -> Result<CursorKey, Unavailable>;

    /// Returns how many attempts of a webhook came to what, by quarter of an hour: the buckets from
    /// the one that `period` begins in to its end, oldest first, without empty ones. What a worker
    /// did in the last seconds may be missing.
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

    /// Reads what is on record of a delivery; `None` if nothing is, or not any more.
    async fn delivery(
        &self,
        organization: &Organization,
        id: &DeliveryId,
    ) -> Result<Option<Recorded>, Unavailable>;

    /// Claims the retry by hand of a delivery that has this sequence. `true` for one of any number that
    /// ask; for others again after [`RETRY_CLAIMED`](super::retention::RETRY_CLAIMED), or once it is
    /// released.
    async fn claim_retry(
        &self,
        organization: &Organization,
        id: &DeliveryId,
        sequence: u32,
    ) -> Result<bool, Unavailable>;

    /// Gives a claim back whose retry came to nothing.
    async fn release_retry(
        &self,
        organization: &Organization,
        id: &DeliveryId,
        sequence: u32,
    ) -> Result<(), Unavailable>;
}

/// What is asked for in the place of an outcome's name by whoever looks for what went wrong.
pub const FAILED: &str = "failed";

/// Which attempts are wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct AttemptFilter {
    /// Of this organization.
    pub organization: Option<Organization>,
    /// Of this webhook.
    pub webhook: Option<WebhookId>,
    /// Of this delivery.
    pub delivery: Option<DeliveryId>,
    /// Of the event with this id.
    pub event: Option<EventId>,
    /// Whose delivery or event has this id: for whoever has one and does not know of which.
    pub id: Option<String>,
    /// Of events of this type.
    pub event_type: Option<EventType>,
    /// That came to this outcome; [`FAILED`]: to any but that of a delivered one.
    pub outcome: Option<String>,
    /// Answered with this status.
    pub status_code: Option<u16>,
    /// Whose status has this first digit: 2 for 2xx.
    pub status_class: Option<u16>,
    /// That began then or later.
    pub since: Option<Timestamp>,
    /// That began before then.
    pub until: Option<Timestamp>,
}

impl AttemptFilter {
    /// Whether nothing older than this attempt, which is wanted, can be: it is the first of the one
    /// delivery that is asked about.
    pub fn ends_with(&self, attempt: &Attempt) -> bool {
        let first =
            attempt.attempt == 1 && matches!(attempt.trigger, Trigger::Event | Trigger::Test);
        self.delivery.is_some() && first
    }

    /// Whether an attempt is wanted.
    pub fn wants(&self, attempt: &Attempt) -> bool {
        fn is<T: PartialEq>(wanted: Option<&T>, value: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == value)
        }
        let class = attempt.status_code.map(|status| status / 100);
        is(self.organization.as_ref(), &attempt.organization)
            && is(self.webhook.as_ref(), &attempt.webhook_id)
            && is(self.delivery.as_ref(), &attempt.delivery_id)
            && is(self.event.as_ref(), &attempt.event_id)
            && self.id.as_deref().is_none_or(|id| {
                id == attempt.delivery_id.as_str() || id == attempt.event_id.as_str()
            })
            && is(self.event_type.as_ref(), &attempt.event_type)
            && self.outcome.as_deref().is_none_or(|wanted| match wanted {
                FAILED => !attempt.is_delivered(),
                name => attempt.outcome == name,
            })
            && self
                .status_code
                .is_none_or(|wanted| attempt.status_code == Some(wanted))
            && self.status_class.is_none_or(|wanted| class == Some(wanted))
            && self.since.is_none_or(|since| attempt.started_at >= since)
            && self.until.is_none_or(|until| attempt.started_at < until)
    }
}

/// An attempt with the id of its entry in the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedAttempt {
    /// Where it stands in the record.
    pub entry: EntryId,
    /// The attempt.
    pub attempt: Attempt,
}

/// A part of a listing.
#[derive(Debug, Default)]
pub struct Page {
    /// The attempts wanted, newest first.
    pub attempts: Vec<RecordedAttempt>,
    /// How many entries were passed over because they cannot be read.
    pub unreadable: usize,
    /// Where to go on; `None` if there is nothing older.
    pub next: Option<EntryId>,
}

/// What is on record of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// The delivery as it was when its last settled message began, with its body, and what became
    /// of it.
    Whole(Box<Delivery>, DeliveryState),
    /// The same without its body, which had to make room for newer ones.
    WithoutBody(Box<Delivery>, DeliveryState),
    /// The sequence of its last settled message alone: it never failed.
    Sequence(u32),
}
