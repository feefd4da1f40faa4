//! A deployment on SQLite, in this process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use jiff::Timestamp;

use super::{DeadLetters, Deployment, Intake, NotAccepted, Records, Report, Unavailable};
use crate::dead_letters::{Action, Filter, Found, Options, Progress};
use crate::domain::delivery::Delivery;
use crate::domain::event::RawEvent;
use crate::domain::held_back::HeldBack;
use crate::domain::ids::{DeliveryId, Organization, WebhookId};
use crate::embedded::Embedded;
use crate::embedded::writer::WriteError;
use crate::engine::ports::{FollowUp, Handover as _};
use crate::records::statistics::{Bucket, Detail};
use crate::records::{AttemptFilter, Page, Recorded, RecordedAttempt};

/// How long before the record is looked at again by whoever follows it: quick to the eye, and next
/// to nothing for a store in the same process.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// The deployment on this store.
pub fn deployment(embedded: &Embedded) -> Deployment {
    let port = Arc::new(Port(embedded.clone()));
    Deployment {
        webhooks: embedded.webhooks(),
        intake: port.clone(),
        records: port.clone(),
        dead_letters: port,
    }
}

/// The store, asked from outside.
struct Port(Embedded);

#[async_trait]
impl Intake for Port {
    async fn accept(&self, events: Vec<RawEvent>) -> Result<(), NotAccepted> {
        let taken = self.0.intake().accept(events).await;
        taken.map(drop).map_err(NotAccepted::from)
    }

    async fn ready(&self) -> Result<(), NotAccepted> {
        let read = self.0.unsettled().await;
        read.map(drop)
            .map_err(|error| NotAccepted::Unavailable(Unavailable::new(error)))
    }

    async fn enqueue(&self, delivery: Delivery) -> Result<(), Unavailable> {
        let intake = self.0.intake();
        let handed = intake.hand_over(FollowUp::Enqueue(delivery)).await;
        handed.map_err(Unavailable::new)
    }
}

#[async_trait]
impl Records for Port {
    async fn writable(&self) -> Result<(), Unavailable> {
        self.0.store().writable().map_err(Unavailable::new)
    }

    async fn attempts(
        &self,
        filter: &AttemptFilter,
        limit: usize,
        before: Option<&str>,
    ) -> Result<Page, Unavailable> {
        let attempts = self.0.attempts();
        let page = attempts.list(filter, limit, before).await;
        page.map_err(Unavailable::new)
    }

    async fn attempt(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        entry: &str,
    ) -> Result<Option<RecordedAttempt>, Unavailable> {
        let attempts = &self.0.attempts();
        let found = attempts.get(organization, webhook, entry).await;
        found.map_err(Unavailable::new)
    }

    async fn follow(
        &self,
        filter: AttemptFilter,
        after: Option<String>,
    ) -> Result<BoxStream<'static, RecordedAttempt>, Unavailable> {
        let attempts = self.0.attempts();
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
        let statistics = &self.0.statistics();
        let found = statistics.get(organization, webhook, period, detail).await;
        found.map_err(Unavailable::new)
    }

    async fn held_back(
        &self,
        organization: &Organization,
        webhooks: &[WebhookId],
    ) -> Result<HashMap<WebhookId, HeldBack>, Unavailable> {
        let board = self.0.board();
        Ok(board.read(organization, webhooks, Timestamp::now()))
    }

    async fn delivery(
        &self,
        organization: &Organization,
        id: &DeliveryId,
    ) -> Result<Option<Recorded>, Unavailable> {
        let deliveries = self.0.deliveries();
        let found = deliveries.get(organization, id).await;
        found.map_err(Unavailable::new)
    }
}

#[async_trait]
impl DeadLetters for Port {
    async fn list(&self, filter: &Filter, limit: usize) -> Result<Found, Unavailable> {
        let letters = self.0.dead_letters();
        let found = letters.list(filter, limit).await;
        found.map_err(Unavailable::new)
    }

    async fn process(
        &self,
        action: Action,
        filter: &Filter,
        options: &Options,
        report: Report<'_>,
    ) -> Result<Progress, Unavailable> {
        let letters = self.0.dead_letters();
        let done = letters.process(action, filter, options, report).await;
        done.map_err(Unavailable::new)
    }
}

impl From<WriteError> for NotAccepted {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Full => Self::Full(Unavailable::new(error)),
            WriteError::Sqlite(_) | WriteError::Stopped => {
                Self::Unavailable(Unavailable::new(error))
            }
        }
    }
}
