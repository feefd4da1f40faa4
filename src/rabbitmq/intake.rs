//! Taking in what is to be delivered: published to the broker.

use async_trait::async_trait;
use futures::future::try_join_all;

use super::publisher::{PublishError, Publisher};
use crate::domain::delivery::Delivery;
use crate::domain::event::RawEvent;
use crate::engine::ports::{FollowUp, Handover as _};
use crate::store::Unavailable;
use crate::store::intake::{Intake, NotAccepted};

#[async_trait]
impl Intake for Publisher {
    async fn accept(&self, events: Vec<RawEvent>) -> Result<(), NotAccepted> {
        let publishing = events.iter().map(|event| self.publish_event(event));
        try_join_all(publishing).await?;
        Ok(())
    }

    async fn ready(&self) -> Result<(), NotAccepted> {
        Ok(Self::ready(self).await?)
    }

    async fn enqueue(&self, delivery: Delivery) -> Result<(), Unavailable> {
        let handed = self.hand_over(FollowUp::Enqueue(delivery)).await;
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
