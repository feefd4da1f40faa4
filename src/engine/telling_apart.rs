//! Under which id and which sequence a delivery goes on that began with an event.
//!
//! What follows from an event is recognised by its delivery's id and sequence. Where the message has
//! a stamp, the id is that message's alone, and what is on record under it came of the same message
//! sent round again: the sequence goes on above it.
//!
//! Where the message is known by its content alone, the id is that of the content, and its like may
//! have it. The first of them that has something to hand over *claims* the id, before the hand-over
//! and in one step, so that of any number at once one has it; the others go on under ids of their
//! own, each of which only its own hand-out knows. So no two messages share what follows.
//!
//! What that asks of a redelivery:
//!
//! * An earlier hand-out of the same message handed over and wrote its mark: the redelivery finds
//!   the mark, which counts for one message with more returns than the hand-out that wrote it (see
//!   [`Log::settled`](super::ports::Log::settled)), and does nothing. Once the acknowledgement is
//!   proven the mark goes: the message never comes again, so who comes is another.
//! * It claimed, and died before its mark: whether its hand-over was confirmed nobody knows. The
//!   redelivery makes the attempt again, which was in flight, and takes the claim over, so that both
//!   copies are one by their sequence. But the claim may be that of its like, alive and about to
//!   write its mark: then taking over would lose one of the two. So it waits for longer than that
//!   takes. If the claim stands with a hand-over behind it, either its mark has come meanwhile and
//!   counts, or it is another's.
//!
//! What remains cannot be told by anybody: if an acknowledgement arrived, the worker died before it
//! could be proven, and a message alike in every byte was handed out then and not looked at, that
//! one finds a mark that is not its own. Publishers whose events carry ids, times or traces that
//! differ, and all that publish through our intake, have no such messages.

use std::borrow::Cow;
use std::time::Duration;

use crate::domain::delivery::Delivery;
use crate::domain::identity::HandOut;

use super::Engine;
use super::origin::Origin;
use super::ports::Claim;

/// How long a claim without a hand-over behind it may belong to somebody alive: a hand-over takes
/// milliseconds.
const CLAIM_PATIENCE: Duration = Duration::from_secs(2);

/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Engine {
    /// The delivery as it is to go on: under an id that no other message has, with a sequence above
    /// all that are on record of it. A first attempt is told apart only when something comes after
    /// it, which the hot path does not. `None` if an earlier hand-out of the message, that had lost it
    /// and was not done, has settled it meanwhile: then nothing more is to come of it.
    pub(super) async fn told_apart<'a>(
        &self,
        delivery: &'a Delivery,
        origin: Origin<'_>,
    ) -> Option<Cow<'a, Delivery>> {
        let Origin::Event(siblings, _) = origin else {
            return Some(Cow::Borrowed(delivery));
        };
        if let Some(hand_out) = origin.hand_out() {
            if self.claim(delivery, hand_out).await {
                return Some(Cow::Borrowed(delivery));
            }
            if hand_out.returns > 0 {
                let settled = self.settled(&delivery.event, siblings.identity()).await;
                if settled.contains(&delivery.webhook) {
                    siblings.note(&delivery.webhook);
                    return None;
                }
            }
            if origin.receipt().is_void() {
                // Nothing more can be handed over from here: whoever has the message by now claimed
                // the id, and this attempt is that delivery's.
                return Some(Cow::Borrowed(delivery));
            }
            let id = siblings.identity().delivery_apart(&delivery.webhook);
            return Some(Cow::Owned(Delivery {
                id,
                ..delivery.clone()
            }));
        }
        let organization = &delivery.event.organization;
        let log = &self.ports.log;
        let recorded = log.settled_sequence(organization, &delivery.id).await;
        if recorded < delivery.sequence {
            return Some(Cow::Borrowed(delivery));
        }
        Some(Cow::Owned(Delivery {
            sequence: recorded + 1,
            ..delivery.clone()
        }))
    }

    /// Claims the delivery's id for the message of this hand-out. `false` if it is another's.
    async fn claim(&self, delivery: &Delivery, hand_out: &HandOut) -> bool {
        let organization = &delivery.event.organization;
        let claim = |take| {
            self.ports
                .log
                .claim(organization, &delivery.id, hand_out, take)
        };
        let waiting_ends = tokio::time::Instant::now() + CLAIM_PATIENCE;
        loop {
            let waited = tokio::time::Instant::now() >= waiting_ends;
            match claim(waited).await {
                Claim::Ours => return true,
                Claim::Anothers => return false,
                Claim::Doubtful => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }
}
