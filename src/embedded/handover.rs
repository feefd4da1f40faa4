//! Taking events in, and taking what is to happen next.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::message::{self, Draft, MessageKind};
use super::store::Store;
use super::writer::{WhenFull, Write, WriteError};
use super::{millis, millis_of};
use crate::domain::dead_letter::{Content, DeadLetter, Reason};
use crate::domain::event::RawEvent;
use crate::domain::ids::EventId;
use crate::engine::clock::Clock;
use crate::engine::ports::{FollowUp, Handover, Stopped};

/// Takes what is to be delivered.
#[derive(Debug, Clone)]
pub struct Intake {
    store: Store,
    clock: Clock,
}

impl Intake {
    pub(super) fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Takes events, all of them or none. They are on the disk when this returns, with the id of
    /// each: the publisher's, or the one derived from routing key and body. Whether they keep the
    /// contract is for the caller to check; one that does not becomes a dead letter.
    pub async fn accept(&self, mut events: Vec<RawEvent>) -> Result<Vec<String>, WriteError> {
        for event in &mut events {
            stamp(event);
        }
        let ids = events.iter().map(|event| match &event.message_id {
            Some(id) if !id.is_empty() => id.clone(),
            _ => EventId::derived(&event.routing_key, &event.body).to_string(),
        });
        let ids = ids.collect();
        let drafts = events.iter().map(Draft::event).collect();
        self.add(drafts, Duration::ZERO, WhenFull::Refuse).await?;
        Ok(ids)
    }

    /// Adds messages of one kind, due after `delay`.
    async fn add(
        &self,
        drafts: Vec<Draft>,
        delay: Duration,
        when_full: WhenFull,
    ) -> Result<(), WriteError> {
        let Some(first) = drafts.first() else {
            return Ok(());
        };
        let due_at = match first.kind {
            // Events are taken in the order in which they came, whatever the clock does.
            MessageKind::Event => 0,
            MessageKind::Delivery | MessageKind::Part => {
                // Both rounded up: never early.
                let now = millis(self.clock.now()).saturating_add(1);
                now.saturating_add(millis_of(delay))
            }
        };
        let size = drafts.iter().map(Draft::size).sum();
        let write = Write::new(when_full).size(size).adds(first.kind);
        let first_id = self.store.message_ids(drafts.len());
        let adding = self.store.submit(write, move |connection| {
            for (id, draft) in (first_id..).zip(&drafts) {
                draft.insert(connection, id, due_at)?;
            }
            Ok(())
        });
        adding.await
    }

    async fn bury(&self, letter: DeadLetter) -> Result<(), WriteError> {
        let (kind, draft) = match &letter.content {
            Content::Delivery(delivery) => (LetterKind::Delivery, Draft::delivery(delivery)),
            Content::Message(raw) => {
                let kind = match letter.reason {
                    Reason::InvalidDelivery => LetterKind::Unreadable,
                    _ => LetterKind::Event,
                };
                (kind, Draft::event(raw))
            }
        };
        let now = millis(self.clock.now());
        let write = Write::new(WhenFull::Wait).size(draft.size());
        let burying = self.store.submit(write, move |connection| {
            insert_letter(connection, kind, letter.reason, &letter.detail, now, &draft)
        });
        burying.await
    }
}

/// Tells a message from every other. One that is sent round again keeps what it has.
fn stamp(event: &mut RawEvent) {
    let stamp = || Uuid::new_v4().simple().to_string();
    event.stamp.get_or_insert_with(stamp);
}

/// The kind of a dead letter's content; the numbers are those of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LetterKind {
    Event = 0,
    Delivery = 1,
    /// A message in the place of a delivery that is none.
    Unreadable = 2,
}

fn insert_letter(
    connection: &Connection,
    kind: LetterKind,
    reason: Reason,
    detail: &str,
    now: i64,
    draft: &Draft,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO dead_letters (kind, reason, detail, dead_at, head, body) \
               VALUES (?, ?, ?, ?, ?, ?)";
    connection.prepare_cached(sql)?.execute(params![
        kind as i64,
        reason.name(),
        detail,
        now,
        draft.head,
        &draft.body[..]
    ])?;
    supersede(connection, connection.last_insert_rowid())
}

/// Removes older dead letters of the delivery that `letter` is of: there is one of each.
pub(super) fn supersede(connection: &Connection, letter: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM dead_letters WHERE id < ?1 AND (organization, delivery) = \
               (SELECT organization, delivery FROM dead_letters WHERE id = ?1)";
    connection.prepare_cached(sql)?.execute([letter])?;
    Ok(())
}

#[async_trait]
impl Handover for Intake {
    async fn hand_over(&self, follow_up: FollowUp) -> Result<(), Stopped> {
        let wait = WhenFull::Wait;
        let written = match follow_up {
            FollowUp::Delay(delivery, wait_for)
            | FollowUp::Defer(delivery, wait_for)
            | FollowUp::DeferInLine(delivery, wait_for) => {
                let draft = Draft::delivery(&delivery);
                self.add(vec![draft], wait_for, wait).await
            }
            FollowUp::Enqueue(delivery) => {
                let draft = Draft::delivery(&delivery);
                self.add(vec![draft], Duration::ZERO, wait).await
            }
            FollowUp::Part(delivery) => {
                let draft = Draft::part(&delivery);
                self.add(vec![draft], Duration::ZERO, wait).await
            }
            FollowUp::Publish(event) => {
                let mut raw = message::raw(&event);
                stamp(&mut raw);
                let draft = Draft::event(&raw);
                self.add(vec![draft], Duration::ZERO, wait).await
            }
            FollowUp::DeadLetter(letter) => self.bury(letter).await,
        };
        // The writer gives up nothing of this before it is stopped.
        written.map_err(|_| Stopped)
    }
}
