//! One message of a delivery at a time.
//!
//! A confirm that was lost makes two messages of one retry. If both come at once, neither is
//! settled when the other is looked up, and the attempt would be made twice. So the second waits
//! until the first is done with, and is then known by its sequence.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::ids::DeliveryId;

/// The deliveries of which a message is under way in this worker.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    deliveries: Mutex<HashSet<DeliveryId>>,
    over: Notify,
}

/// A delivery that is under way until this is dropped.
pub(super) struct Alone<'a> {
    all: &'a UnderWay,
    delivery: DeliveryId,
}

impl UnderWay {
    /// Returns once no other message of `delivery` is under way.
    pub(super) async fn alone(&self, delivery: &DeliveryId) -> Alone<'_> {
        loop {
            let over = self.over.notified();
            if self.lock().insert(delivery.clone()) {
                let delivery = delivery.clone();
                return Alone {
                    all: self,
                    delivery,
                };
            }
            over.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<DeliveryId>> {
        // A set is whole whenever somebody panics.
        self.deliveries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.delivery);
        self.all.over.notify_waiters();
    }
}
