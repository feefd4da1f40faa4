//! Under which id and which sequence a delivery goes on that began with an event.
//!
//! What follows from an event is recognised by its delivery's id and sequence. The id is that of the
//! message ([`identity`](crate::domain::identity)), and what is on record under it came of the same
//! message. So it is for certain where the message has a stamp, which our own intake gives it, and
//! where no other has the same content, such as a `message_id`, a time or a trace of its own. Two
//! bodies under one `message_id` are two messages, whatever happens. One that was requeued goes on
//! with a sequence above that of its life before. One that comes again does not: an earlier hand-out
//! may have handed over unheard, and by the same sequence the two lives of the delivery are one.
//!
//! Messages of another publisher that are alike in every byte have one id between them. The first of
//! them that has something to hand over *claims* it, before the hand-over and in one step, so that of
//! any number at once one has it; the others go on under ids of their own, each of which only its own
//! hand-out knows. So each of them is delivered, while workers and connections live.
//!
//! A message that comes again has the usual id, whoever claimed it: nothing tells whether that was an
//! earlier hand-out of the same message, and two ids for one delivery would be worse for receivers
//! than one. That is what cannot be told: if of messages alike in every byte one comes again, after a
//! crash or a cut, what is on record of another, a retry that waits or a mark, is taken for its own,
//! and it may be left at that. A stamp or a `message_id` of its own tells every message apart.

use std::borrow::Cow;

use crate::domain::delivery::Delivery;

use super::Engine;
use super::origin::Origin;

impl Engine {
    /// The delivery as it is to go on: under an id that no other message has, with a sequence above
    /// what is on record of an earlier life. A first attempt is told apart only when something comes
    /// after it, which the hot path does not.
    pub(super) async fn told_apart<'a>(
        &self,
        delivery: &'a Delivery,
        origin: Origin<'_>,
    ) -> Cow<'a, Delivery> {
        let Origin::Event(siblings, receipt) = origin else {
            return Cow::Borrowed(delivery);
        };
        let (identity, log) = (siblings.identity(), &self.ports.log);
        let organization = &delivery.event.organization;
        if let Some(hand_out) = identity.hand_out {
            // Also if it comes again: its like must not have the id after it.
            let ours = log.claim(organization, &delivery.id, hand_out).await;
            // Once the message is lost to another, that one may have claimed the id for it.
            if !ours && !siblings.know_their_record() && !receipt.is_void() {
                return Cow::Owned(Delivery {
                    id: identity.delivery_apart(&delivery.webhook),
                    ..delivery.clone()
                });
            }
            return Cow::Borrowed(delivery);
        }
        if origin.may_have_copies() {
            return Cow::Borrowed(delivery);
        }
        let recorded = log.settled_sequence(organization, &delivery.id).await;
        if recorded < delivery.sequence {
            return Cow::Borrowed(delivery);
        }
        Cow::Owned(Delivery {
            sequence: recorded + 1,
            ..delivery.clone()
        })
    }
}
