//! One event on its way to one webhook.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::Event;
use super::identity;
use super::ids::{DeliveryId, WebhookId};

/// What set an attempt off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// The event itself: a first attempt.
    Event,
    /// The retry policy.
    Retry,
    /// A person: a retry by hand, or a requeue of dead letters.
    Manual,
    /// A person who tests the endpoint.
    Test,
}

impl Trigger {
    /// The stable name in headers and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Retry => "retry",
            Self::Manual => "manual",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no trigger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no trigger; there are event, retry, manual and test")]
pub struct UnknownTrigger(String);

impl FromStr for Trigger {
    type Err = UnknownTrigger;

    fn from_str(text: &str) -> Result<Self, UnknownTrigger> {
        [Self::Event, Self::Retry, Self::Manual, Self::Test]
            .into_iter()
            .find(|trigger| trigger.name() == text)
            .ok_or_else(|| UnknownTrigger(text.to_owned()))
    }
}

/// One event on its way to one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The same at every attempt and every repeat.
    pub id: DeliveryId,
    /// The event to deliver.
    pub event: Arc<Event>,
    /// The webhook to deliver it to.
    pub webhook: WebhookId,
    /// The number of the attempt to be made next, from 1; in a dead letter, of the last one made.
    pub attempt: u32,
    /// Counts the attempts across rounds, up to the one to be made next; a deferral keeps it. A
    /// settled number is never settled again: whatever messages a crash made of one, they are one
    /// again once the attempt is settled for any of them.
    pub sequence: u32,
    /// When the first attempt of this round began, if there was one.
    pub first_attempt_at: Option<Timestamp>,
    /// What sets the next attempt off.
    pub trigger: Trigger,
    /// The last attempt, for people who look into the queue.
    pub last: Option<LastAttempt>,
    /// A wait still to be kept once this message is due: the rest of a wait that no single delay
    /// queue could keep exactly.
    pub remaining_wait: Option<Duration>,
}

/// A delivery's last attempt: what it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastAttempt {
    /// The outcome's name.
    pub outcome: String,
    /// The HTTP status code, if there was an answer.
    pub status: Option<u16>,
}

impl Delivery {
    /// The delivery of `event` to `webhook` before anything was tried, under the id that the event's
    /// content gives it. What came as a message has the [id](Self::under) that its message gives it.
    pub fn first(event: Arc<Event>, webhook: WebhookId) -> Self {
        let id = DeliveryId::derived(&identity::key(&event, None), &webhook);
        Self::under(id, event, webhook)
    }

    /// The delivery of `event` to `webhook` before anything was tried.
    pub fn under(id: DeliveryId, event: Arc<Event>, webhook: WebhookId) -> Self {
        Self {
            id,
            event,
            webhook,
            attempt: 1,
            sequence: 1,
            first_attempt_at: None,
            trigger: Trigger::Event,
            last: None,
            remaining_wait: None,
        }
    }

    /// The same attempt, put off.
    pub fn deferred(&self, remaining_wait: Option<Duration>) -> Self {
        Self {
            remaining_wait,
            ..self.clone()
        }
    }

    /// The next attempt after one that began at `started_at`.
    pub fn retried(
        &self,
        started_at: Timestamp,
        last: LastAttempt,
        remaining_wait: Option<Duration>,
    ) -> Self {
        Self {
            attempt: self.attempt + 1,
            sequence: self.sequence + 1,
            first_attempt_at: Some(self.first_attempt_at.unwrap_or(started_at)),
            trigger: Trigger::Retry,
            last: Some(last),
            remaining_wait,
            ..self.clone()
        }
    }

    /// Whether something came of it before, so that it has a record to be kept up: it failed, or
    /// somebody sends it again.
    pub fn has_a_past(&self) -> bool {
        self.last.is_some() || self.trigger != Trigger::Event
    }

    /// A new round from attempt 1: what a requeue sends.
    pub fn requeued(&self) -> Self {
        Self {
            attempt: 1,
            sequence: self.sequence + 1,
            first_attempt_at: None,
            trigger: Trigger::Manual,
            remaining_wait: None,
            ..self.clone()
        }
    }
}
