//! Which message of the events queue one is: what a redelivery of it keeps, and no other has.
//!
//! Two events may be alike in every byte and still be two. What our own intake takes gets a *stamp*,
//! which is the message's alone and stays with it: such a message is known for certain. A message
//! that another publisher sent has nothing of the kind: AMQP hands out no ids, and a quorum queue
//! keeps of a message what was published and whether it came back. It is known by its content, the
//! body included, and so for certain only among messages of other content.

use sha2::{Digest as _, Sha256};

use super::event::Event;
use super::ids::{DeliveryId, MessageKey, WebhookId};

/// Which message one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The same for a message and its redeliveries; for two messages only if both come from another
    /// publisher and are alike in every byte.
    pub key: MessageKey,
    /// A number that no other hand-out has, where the key does not tell the message from its like.
    pub hand_out: Option<u64>,
}

impl Identity {
    /// The message that `event` came with, under its stamp if it has one, in this hand-out.
    pub fn of(event: &Event, stamp: Option<&str>, hand_out: u64) -> Self {
        let stamp = stamp.filter(|stamp| !stamp.is_empty());
        Self {
            key: key(event, stamp),
            hand_out: stamp.is_none().then_some(hand_out),
        }
    }

    /// The id of the message's delivery to `webhook`.
    pub fn delivery(&self, webhook: &WebhookId) -> DeliveryId {
        DeliveryId::derived(&self.key, webhook)
    }

    /// Another id for it, of this hand-out alone: for when the first is that of another message of
    /// the same content.
    pub fn delivery_apart(&self, webhook: &WebhookId) -> DeliveryId {
        match self.hand_out {
            Some(hand_out) => DeliveryId::apart(&self.key, webhook, hand_out),
            None => self.delivery(webhook),
        }
    }
}

/// Everything that tells one message from another. The body is hashed once for each message, with a
/// hash that processors have instructions for.
pub(super) fn key(event: &Event, stamp: Option<&str>) -> MessageKey {
    let traceparent = event.traceparent.map(|trace| trace.to_string());
    let parts = [
        event.organization.as_str().as_bytes(),
        event.event_type.as_str().as_bytes(),
        event.id.as_str().as_bytes(),
        traceparent.as_deref().unwrap_or_default().as_bytes(),
        stamp.unwrap_or_default().as_bytes(),
        &event.body,
    ];
    let mut hash = Sha256::new();
    for part in parts {
        // With its length, so that no two lists of parts are hashed alike.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest: [u8; 32] = hash.finalize().into();
    MessageKey::of_digest(&digest)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn event(id: &str, body: &'static str) -> Event {
        Event {
            id: id.parse().unwrap(),
            event_type: "request.completed".parse().unwrap(),
            organization: "acme".parse().unwrap(),
            traceparent: None,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    fn identity(event: &Event, stamp: Option<&str>, id: u64) -> Identity {
        Identity::of(event, stamp, id)
    }

    #[test]
    fn two_bodies_under_one_id_are_two_messages() {
        let (one, two) = (event("e", "{}"), event("e", "{} "));
        assert_ne!(identity(&one, None, 1).key, identity(&two, None, 1).key);
        let stamped = |event| identity(event, Some("s"), 1).key;
        assert_ne!(stamped(&one), stamped(&two));
    }

    #[test]
    fn what_belongs_to_one_part_is_not_taken_for_anothers() {
        let (one, two) = (event("ab", "c"), event("a", "bc"));
        assert_ne!(identity(&one, None, 1).key, identity(&two, None, 1).key);
    }

    #[test]
    fn a_stamp_tells_apart_what_is_alike_and_makes_every_hand_out_the_same() {
        let webhook = "w".parse().unwrap();
        let event = event("e", "{}");
        let (one, two) = (
            identity(&event, Some("1"), 1),
            identity(&event, Some("2"), 1),
        );
        assert_ne!(one.delivery(&webhook), two.delivery(&webhook));
        let again = identity(&event, Some("1"), 2);
        assert_eq!(one, again);
        assert_eq!(one.delivery_apart(&webhook), again.delivery(&webhook));
    }

    #[test]
    fn without_a_stamp_what_is_alike_shares_an_id_until_it_is_told_apart() {
        let webhook = "w".parse().unwrap();
        let event = event("e", "{}");
        let (one, two) = (identity(&event, None, 1), identity(&event, Some(""), 2));
        assert_eq!(one.delivery(&webhook), two.delivery(&webhook));
        assert_ne!(one.delivery_apart(&webhook), two.delivery_apart(&webhook));
        assert_ne!(one.delivery_apart(&webhook), one.delivery(&webhook));
    }
}
