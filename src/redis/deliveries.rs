//! The deliveries on record, for a retry by hand and for whoever asks what became of one.

use std::collections::HashMap;

use redis::cmd;

use super::connection::Connection;
use super::delivery_fields;
use super::error::StoreError;
use super::keys::Keys;
use super::texts::Texts;
pub use super::texts::Unreadable;
use crate::domain::ids::{DeliveryId, Organization};
pub use crate::store::delivery_log::Recorded;

/// Reads the record of deliveries.
#[derive(Debug, Clone)]
pub struct Deliveries {
    connection: Connection,
    keys: Keys,
}

/// Why the record of a delivery could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DeliveriesError {
    /// The record is not one that a worker wrote.
    #[error("the record of delivery {id} cannot be read: {problem}")]
    Unreadable {
        /// The delivery.
        id: DeliveryId,
        /// What is wrong with the record.
        #[source]
        problem: Unreadable,
    },
    /// Redis gave no answer, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Deliveries {
    /// The record of the deployment whose keys these are.
    pub fn new(connection: Connection, keys: Keys) -> Self {
        Self { connection, keys }
    }

    /// Reads what is on record of a delivery; `None` if nothing is, or not any more.
    pub async fn get(
        &self,
        organization: &Organization,
        id: &DeliveryId,
    ) -> Result<Option<Recorded>, DeliveriesError> {
        let mut command = cmd("HGETALL");
        command.arg(self.keys.delivery(organization, id));
        let fields: HashMap<String, Vec<u8>> = self.connection.call(&command).await?;
        let texts = Texts::from_hash(fields);
        // Nothing, or no more than that the id is claimed.
        if !texts.has("sequence") {
            return Ok(None);
        }
        let recorded = if texts.has("state") {
            delivery_fields::read(id, texts)
        } else {
            texts.required("sequence").map(Recorded::Sequence)
        };
        let id = id.clone();
        recorded
            .map(Some)
            .map_err(|problem| DeliveriesError::Unreadable { id, problem })
    }
}
