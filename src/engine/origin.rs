//! Where a delivery came from: an event, with siblings, or a message of its own.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::domain::delivery::Delivery;
use crate::domain::event::Event;
use crate::domain::identity::{HandOut, Identity};
use crate::domain::ids::WebhookId;

use super::ports::{Mark, Receipt};

/// What kind of message a delivery came with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin<'a> {
    /// The event itself, with siblings.
    Event(&'a Siblings, &'a Receipt),
    /// A message of its own in the deliveries queue.
    Message(&'a Receipt),
}

impl<'a> Origin<'a> {
    /// Whether there may be another message of the same delivery, made of the event when it was
    /// handed out before, or whether this is one.
    pub(super) fn may_have_copies(&self) -> bool {
        match self {
            Self::Event(siblings, _) => siblings.redelivered,
            Self::Message(_) => true,
        }
    }

    /// The hand-out of an event whose message is known by its content alone, so that what comes of
    /// it must be told from what comes of its like.
    pub(super) fn hand_out(&self) -> Option<&'a HandOut> {
        match self {
            Self::Event(siblings, _) => siblings.identity.hand_out.as_ref(),
            Self::Message(_) => None,
        }
    }

    /// The receipt of the message.
    pub(super) fn receipt(&self) -> &'a Receipt {
        match self {
            Self::Event(_, receipt) | Self::Message(receipt) => receipt,
        }
    }
}

/// The siblings of one event: how many of its deliveries are not settled yet.
#[derive(Debug)]
pub(super) struct Siblings {
    event: Arc<Event>,
    identity: Identity,
    redelivered: bool,
    open: AtomicUsize,
    /// Whether marks of this hand-out are on record, or on their way there.
    marked: AtomicBool,
}

impl Siblings {
    /// `open` deliveries of `event`, none of them settled; `settled` are those that are.
    pub(super) fn new(
        event: Arc<Event>,
        identity: Identity,
        open: usize,
        redelivered: bool,
        settled: &HashSet<WebhookId>,
    ) -> Self {
        Self {
            event,
            identity,
            redelivered,
            open: AtomicUsize::new(open),
            marked: AtomicBool::new(!settled.is_empty()),
        }
    }

    /// The delivery to `webhook` before anything was tried.
    pub(super) fn first(&self, webhook: &WebhookId) -> Delivery {
        let id = self.identity.delivery(webhook);
        Delivery::under(id, self.event.clone(), webhook.clone())
    }

    /// The event.
    pub(super) fn event(&self) -> &Event {
        &self.event
    }

    /// Which message the event came with.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The delivery to `webhook` is about to be settled. While others are open it must be marked,
    /// or a crash would repeat it with them; the last one is covered by the acknowledgement. What
    /// goes on record under an id that says nothing of the message is always marked: nothing else
    /// would tell a redelivery that it was.
    pub(super) fn settling(&self, webhook: &WebhookId, on_record: bool) -> Option<Mark> {
        let was_open = self.open.fetch_sub(1, Ordering::AcqRel);
        let unknown = on_record && self.identity.hand_out.is_some();
        (was_open > 1 || unknown).then(|| self.note(webhook))
    }

    /// That the event is settled for `webhook`, to be put on record.
    pub(super) fn note(&self, webhook: &WebhookId) -> Mark {
        self.marked.store(true, Ordering::Release);
        self.mark([webhook.clone()])
    }

    /// That the event is settled for `webhooks`.
    pub(super) fn mark(&self, webhooks: impl IntoIterator<Item = WebhookId>) -> Mark {
        Mark {
            organization: self.event.organization.clone(),
            message: self.identity.key.clone(),
            hand_out: self.identity.hand_out.clone(),
            webhooks: webhooks.into_iter().collect(),
            recorded: self.marked.load(Ordering::Acquire),
        }
    }
}
