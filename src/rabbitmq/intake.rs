//! Taking in what is to be delivered: published to the broker.

use async_trait::async_trait;
use futures::stream::{self, TryStreamExt as _};

use super::confirm::CHANNELS;
use super::publisher::{PublishError, Publisher};
use crate::domain::delivery::Delivery;
use crate::domain::event::RawEvent;
use crate::store::Unavailable;
use crate::store::intake::{Intake, NotAccepted};

#[async_trait]
impl Intake for Publisher {
    async fn accept(&self, events: Vec<RawEvent>) -> Result<(), NotAccepted> {
        // Not more at once than there are channels: what waits for one is not on its way.
        let events = stream::iter(events.iter().map(Ok));
        let publishing =
            events.try_for_each_concurrent(CHANNELS, |event| self.publish_event(event));
        Ok(publishing.await?)
    }

    async fn ready(&self) -> Result<(), NotAccepted> {
        Ok(Self::ready(self).await?)
    }

    async fn enqueue(&self, delivery: Delivery) -> Result<(), Unavailable> {
        let handed = Self::enqueue(self, delivery).await;
        handed.map_err(Unavailable::new)
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
