//! The deliveries on record, for a retry by hand and for whoever asks what became of one.

use std::collections::HashMap;
use std::time::Duration;

use redis::cmd;

use super::connection::Connection;
use super::delivery_fields;
use super::error::StoreError;
use super::keys::Keys;
use super::texts::Texts;
pub use super::texts::Unreadable;
use crate::domain::ids::{DeliveryId, Organization};
use crate::store::Unavailable;
use crate::store::dead_letters::Summary;
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

/// Whose delivery a dead letter is, if it is one.
pub(super) fn delivery_of(letter: &Summary) -> Option<(Organization, DeliveryId)> {
    let organization = Organization::new(letter.organization.as_ref()?).ok()?;
    let delivery = DeliveryId::new(letter.delivery.as_ref()?).ok()?;
    Some((organization, delivery))
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

    /// Claims the retry of a delivery that has this sequence, for one of any number that ask, for so long
    /// at most.
    pub async fn claim_retry(
        &self,
        organization: &Organization,
        id: &DeliveryId,
        sequence: u32,
        at_most: Duration,
    ) -> Result<bool, DeliveriesError> {
        let mut command = cmd("SET");
        command.arg(self.keys.retry(organization, id, sequence));
        command.arg("").arg("NX");
        command.arg("EX").arg(at_most.as_secs());
        let set: Option<String> = self.connection.call(&command).await?;
        Ok(set.is_some())
    }

    /// Gives such a claim back.
    pub async fn release_retry(
        &self,
        organization: &Organization,
        id: &DeliveryId,
        sequence: u32,
    ) -> Result<(), DeliveriesError> {
        let mut command = cmd("DEL");
        command.arg(self.keys.retry(organization, id, sequence));
        Ok(self.connection.call(&command).await?)
    }

    /// Whether the delivery of a dead letter that has this sequence was delivered since, or given up
    /// anew, which is another letter.
    pub(super) async fn supersedes(
        &self,
        letter: &Summary,
        sequence: u32,
    ) -> Result<bool, Unavailable> {
        let Some((organization, delivery)) = delivery_of(letter) else {
            return Ok(false);
        };
        let mut command = cmd("HMGET");
        command.arg(self.keys.delivery(&organization, &delivery));
        command.arg("sequence").arg("state");
        let found = self.connection.call(&command).await;
        let (settled, state): (Option<u32>, Option<String>) = found.map_err(Unavailable::new)?;
        // What waits may yet come to nothing: until then its letter stands.
        let is_over = matches!(state.as_deref(), Some("delivered" | "dead"));
        Ok(is_over && settled.is_some_and(|settled| settled > sequence))
    }
}
