//! Taking in what is to be delivered: written to the file.

use async_trait::async_trait;

use super::Embedded;
use super::writer::WriteError;
use crate::domain::delivery::Delivery;
use crate::domain::event::RawEvent;
use crate::engine::ports::{FollowUp, Handover as _};
use crate::store::Unavailable;
use crate::store::intake::{Intake, NotAccepted};

#[async_trait]
impl Intake for Embedded {
    async fn accept(&self, events: Vec<RawEvent>) -> Result<(), NotAccepted> {
        let taken = self.intake().accept(events).await;
        taken.map(drop).map_err(NotAccepted::from)
    }

    async fn ready(&self) -> Result<(), NotAccepted> {
        let read = self.unsettled().await;
        read.map(drop)
            .map_err(|error| NotAccepted::Unavailable(Unavailable::new(error)))
    }

    async fn enqueue(&self, delivery: Delivery) -> Result<(), Unavailable> {
        let intake = self.intake();
        let handed = intake.hand_over(FollowUp::Enqueue(delivery)).await;
        handed.map_err(Unavailable::new)
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
