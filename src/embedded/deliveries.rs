//! The deliveries on record.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::message::{self, Draft};
use super::store::{ReadError, Store};
use super::writer::{WhenFull, Write, WriteError};
use super::{millis, millis_of};
use crate::domain::delivery_state::DeliveryState;
use crate::domain::ids::{DeliveryId, Organization};
use crate::engine::clock::Clock;
use crate::engine::ports::{DeliveryRecord, Keep};
use crate::store::delivery_log::Recorded;
use crate::store::retention::RETRY_CLAIMED;

/// Reads the record of deliveries.
#[derive(Debug, Clone)]
pub struct Deliveries {
    store: Store,
    clock: Clock,
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
        problem: String,
    },
    /// The database gave no answer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database could not be written to.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A row as it is read.
struct Found {
    sequence: u32,
    state: Option<String>,
    reason: Option<String>,
    next_attempt_at: Option<String>,
    head: Option<Vec<u8>>,
    body: Option<Vec<u8>>,
}

impl Deliveries {
    pub(super) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Reads what is on record of a delivery; `None` if nothing is, or not any more.
    pub async fn get(
        &self,
        organization: &Organization,
        id: &DeliveryId,
    ) -> Result<Option<Recorded>, DeliveriesError> {
        let (own, key) = (organization.clone(), id.clone());
        let now = millis(self.clock.now());
        let find = move |connection: &Connection| {
            let sql = "SELECT sequence, state, reason, next_attempt_at, head, body \
                       FROM deliveries WHERE id = ? AND organization = ? AND expires_at > ?";
            let mut row = connection.prepare_cached(sql)?;
            row.query_row(params![key.as_str(), own.as_str(), now], |row| {
                Ok(Found {
                    sequence: row.get(0)?,
                    state: row.get(1)?,
                    reason: row.get(2)?,
                    next_attempt_at: row.get(3)?,
                    head: row.get(4)?,
                    body: row.get(5)?,
                })
            })
            .optional()
        };
        let Some(found) = self.store.read(find).await? else {
            return Ok(None);
        };
        let recorded = found.recorded();
        let id = id.clone();
        recorded
            .map(Some)
            .map_err(|problem| DeliveriesError::Unreadable { id, problem })
    }

    /// Claims the retry of a delivery that has this sequence, for one of any number that ask.
    pub async fn claim_retry(
        &self,
        organization: &Organization,
        id: &DeliveryId,
        sequence: u32,
    ) -> Result<bool, DeliveriesError> {
        let (organization, id) = (organization.clone(), id.clone());
        let now = millis(self.clock.now());
        let claiming = self
            .store
            .submit(Write::new(WhenFull::Refuse), move |connection| {
                let sql = "DELETE FROM retries WHERE expires_at <= ?";
                connection.prepare_cached(sql)?.execute([now])?;
                let sql = "INSERT INTO retries (delivery, organization, sequence, expires_at) \
                       VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
                let expires_at = now.saturating_add(millis_of(RETRY_CLAIMED));
                let values = params![id.as_str(), organization.as_str(), sequence, expires_at];
                Ok(connection.prepare_cached(sql)?.execute(values)? == 1)
            });
        Ok(claiming.await?)
    }

    /// Gives such a claim back.
    pub async fn release_retry(
        &self,
        organization: &Organization,
        id: &DeliveryId,
        sequence: u32,
    ) -> Result<(), DeliveriesError> {
        let (organization, id) = (organization.clone(), id.clone());
        let releasing = self
            .store
            .submit(Write::new(WhenFull::Refuse), move |connection| {
                let sql =
                    "DELETE FROM retries WHERE delivery = ? AND organization = ? AND sequence = ?";
                let values = params![id.as_str(), organization.as_str(), sequence];
                connection.prepare_cached(sql)?.execute(values)?;
                Ok(())
            });
        Ok(releasing.await?)
    }
}

impl Found {
    fn recorded(self) -> Result<Recorded, String> {
        let Some(head) = self.head else {
            return Ok(Recorded::Sequence(self.sequence));
        };
        let has_body = self.body.is_some();
        let body = Bytes::from(self.body.unwrap_or_default());
        let delivery = message::delivery(&head, body).map_err(|e| e.to_string())?;
        let (reason, next) = (self.reason, self.next_attempt_at);
        let state = match self.state.as_deref() {
            Some("waiting") => next
                .and_then(|next| next.parse().ok())
                .map(DeliveryState::Waiting),
            Some("delivered") => Some(DeliveryState::Delivered),
            Some("dead") => reason
                .and_then(|reason| reason.parse().ok())
                .map(DeliveryState::Dead),
            _ => None,
        };
        let state = state.ok_or("its state makes no sense")?;
        let delivery = crate::domain::delivery::Delivery {
            sequence: self.sequence,
            // A record is not on its way: it waits for nothing.
            remaining_wait: None,
            ..delivery
        };
        let delivery = Box::new(delivery);
        Ok(match has_body {
            true => Recorded::Whole(delivery, state),
            false => Recorded::WithoutBody(delivery, state),
        })
    }
}

/// A record as a row.
pub(super) struct Row {
    organization: Organization,
    id: DeliveryId,
    sequence: u32,
    /// State, reason, next attempt, and the delivery itself, where more than the sequence is kept.
    whole: Option<(&'static str, Option<&'static str>, Option<String>, Draft)>,
    /// Whether the receiver has it.
    delivered: bool,
    now: i64,
    expires_at: i64,
    /// How many bytes of bodies the organization may have.
    budget: u64,
}

impl Row {
    pub(super) fn of(record: &DeliveryRecord, now: i64, expires_at: i64, budget: u64) -> Self {
        let delivery = &record.delivery;
        let whole = (record.keep == Keep::Whole).then(|| {
            let (state, reason, next) = match record.state {
                DeliveryState::Waiting(next) => ("waiting", None, Some(next.to_string())),
                DeliveryState::Delivered => ("delivered", None, None),
                DeliveryState::Dead(reason) => ("dead", Some(reason.name()), None),
            };
            (state, reason, next, Draft::delivery(delivery))
        });
        Self {
            organization: delivery.event.organization.clone(),
            id: delivery.id.clone(),
            sequence: delivery.sequence,
            whole,
            delivered: record.state == DeliveryState::Delivered,
            now,
            expires_at,
            budget,
        }
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        self.whole.as_ref().map_or(128, |(.., draft)| draft.size())
    }

    /// Keeps the state under the delivery's id, unless a later message of it is settled already: a
    /// job that finishes late must not turn the record back. Nothing is kept for less time than
    /// it was to be.
    pub(super) fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        let (id, organization) = (self.id.as_str(), self.organization.as_str());
        if self.delivered {
            // What was given up before and has arrived since is no dead letter any more.
            let sql = "DELETE FROM dead_letters WHERE delivery = ? AND organization = ?";
            connection
                .prepare_cached(sql)?
                .execute([id, organization])?;
        }
        let sql = "DELETE FROM deliveries WHERE id = ? AND organization = ? AND expires_at <= ?";
        connection
            .prepare_cached(sql)?
            .execute(params![id, organization, self.now])?;
        let Some((state, reason, next, draft)) = &self.whole else {
            let sql = "INSERT INTO deliveries (id, organization, sequence, expires_at) \
                       VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET \
                       sequence = excluded.sequence, \
                       expires_at = max(expires_at, excluded.expires_at) \
                       WHERE sequence <= excluded.sequence";
            let values = params![id, organization, self.sequence, self.expires_at];
            connection.prepare_cached(sql)?.execute(values)?;
            return Ok(());
        };
        let fits = draft.body.len() as u64 <= self.budget;
        let body = fits.then_some(&draft.body[..]);
        let sql = "INSERT INTO deliveries (id, organization, sequence, state, reason, \
                   next_attempt_at, head, body, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) \
                   ON CONFLICT DO UPDATE SET sequence = excluded.sequence, \
                   state = excluded.state, reason = excluded.reason, \
                   next_attempt_at = excluded.next_attempt_at, head = excluded.head, \
                   body = excluded.body, expires_at = max(expires_at, excluded.expires_at) \
                   WHERE sequence <= excluded.sequence";
        connection.prepare_cached(sql)?.execute(params![
            id,
            organization,
            self.sequence,
            state,
            reason,
            next,
            draft.head,
            body,
            self.expires_at
        ])?;
        self.make_room(connection)
    }

    /// Drops the organization's oldest bodies, but for this one, until the rest is within the budget.
    fn make_room(&self, connection: &Connection) -> rusqlite::Result<()> {
        let (id, organization) = (self.id.as_str(), self.organization.as_str());
        let budget = i64::try_from(self.budget).unwrap_or(i64::MAX);
        loop {
            let sql = "SELECT bytes FROM bodies WHERE organization = ?";
            let mut row = connection.prepare_cached(sql)?;
            let bytes: Option<i64> = row.query_row([organization], |row| row.get(0)).optional()?;
            if bytes.is_none_or(|bytes| bytes <= budget) {
                return Ok(());
            }
            let sql = "UPDATE deliveries SET body = NULL WHERE rowid = (SELECT rowid \
                       FROM deliveries WHERE organization = ? AND body IS NOT NULL AND id <> ? \
                       ORDER BY expires_at LIMIT 1)";
            let dropped = connection
                .prepare_cached(sql)?
                .execute([organization, id])?;
            if dropped == 0 {
                return Ok(());
            }
        }
    }
}
