//! Taking in what is to be delivered.

use async_trait::async_trait;

use super::Unavailable;
use crate::domain::delivery::Delivery;
use crate::domain::event::RawEvent;

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
