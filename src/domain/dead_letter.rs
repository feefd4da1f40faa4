//! Why a delivery was given up, and what stands in its dead letter.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::delivery::Delivery;
use super::event::RawEvent;

/// Why something became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The last attempt that the retry policy allows has failed.
    AttemptsExhausted,
    /// The webhook was disabled, by its owner, by `410 Gone`, or after days of failures.
    WebhookDisabled,
    /// The webhook is no longer registered.
    WebhookDeleted,
    /// The webhook's document in the store cannot be read; mended, its deliveries can be requeued.
    WebhookInvalid,
    /// The message breaks the contract for events.
    InvalidEvent,
    /// The message in the deliveries queue is not one that a worker wrote.
    InvalidDelivery,
    /// The message was handed out again and again without ever being settled: it may crash workers.
    Poison,
    /// The time that the publisher, or a policy of the broker, gives a message ran out in a queue.
    Expired,
    /// The broker took the message out of a queue for another reason, such as a full queue.
    Dropped,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::AttemptsExhausted,
        Self::WebhookDisabled,
        Self::WebhookDeleted,
        Self::WebhookInvalid,
        Self::InvalidEvent,
        Self::InvalidDelivery,
        Self::Poison,
        Self::Expired,
        Self::Dropped,
    ];

    /// The stable name in headers, records and commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::AttemptsExhausted => "attempts-exhausted",
            Self::WebhookDisabled => "webhook-disabled",
            Self::WebhookDeleted => "webhook-deleted",
            Self::WebhookInvalid => "webhook-invalid",
            Self::InvalidEvent => "invalid-event",
            Self::InvalidDelivery => "invalid-delivery",
            Self::Poison => "poison",
            Self::Expired => "expired",
            Self::Dropped => "dropped",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no reason for a dead letter; there are attempts-exhausted, webhook-disabled, \
     webhook-deleted, webhook-invalid, invalid-event, invalid-delivery, poison, expired and dropped"
)]
pub struct UnknownReason(String);

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.name() == text)
            .ok_or_else(|| UnknownReason(text.to_owned()))
    }
}

/// Something given up, on its way to the dead-letter queue.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The reason for giving it up.
    pub reason: Reason,
    /// A sentence for the person who reads it.
    pub detail: String,
    /// The delivery or the message.
    pub content: Content,
}

/// What a dead letter holds.
#[derive(Debug, Clone)]
pub enum Content {
    /// A delivery; its attempt number is that of the last attempt made.
    Delivery(Delivery),
    /// A message that is no event, or no delivery, as it came.
    Message(RawEvent),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_agree_with_the_json() {
        for reason in Reason::ALL {
            assert_eq!(reason.name().parse(), Ok(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
        }
        assert!("tired".parse::<Reason>().is_err());
    }
}
