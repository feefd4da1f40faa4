//! Where a delivery came from: an event, with siblings, or a message of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::domain::admission::Kind;
use crate::domain::delivery::Delivery;
use crate::domain::event::Event;
use crate::domain::identity::Identity;
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

impl Origin<'_> {
    /// Whether there may be another message of the same delivery, made of the event when it was
    /// handed out before, or whether this is one.
    pub(super) fn may_have_copies(&self) -> bool {
        match self {
            Self::Event(siblings, _) => siblings.redelivered,
            Self::Message(_) => true,
        }
    }

    /// The kind of message, for admission.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Event(..) => Kind::Event,
            Self::Message(_) => Kind::Message,
        }
    }

    /// The receipt of the message.
    pub(super) fn receipt(&self) -> &Receipt {
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
}

impl Siblings {
    /// `open` deliveries of `event`, none of them settled.
    pub(super) fn new(
        event: Arc<Event>,
        identity: Identity,
        open: usize,
        redelivered: bool,
    ) -> Self {
        Self {
            event,
            identity,
            redelivered,
            open: AtomicUsize::new(open),
        }
    }

    /// The event.
    pub(super) fn event(&self) -> &Event {
        &self.event
    }

    /// Which message the event came with.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The delivery to `webhook` before anything was tried.
    pub(super) fn first(&self, webhook: &WebhookId) -> Delivery {
        let id = self.identity.delivery(webhook);
        Delivery::under(id, self.event.clone(), webhook.clone())
    }

    /// Whether what is on record under the ids of these deliveries came of the same message: always,
    /// unless nothing but its content says which that is, and nothing can have come of it yet.
    pub(super) fn know_their_record(&self) -> bool {
        self.redelivered || self.identity.hand_out.is_none()
    }

    /// The delivery to `webhook` is about to be settled. While others are open it must be marked,
    /// or a crash would repeat it with them; the last one is covered by the acknowledgement.
    pub(super) fn settling(&self, webhook: &WebhookId) -> Option<Mark> {
        let was_open = self.open.fetch_sub(1, Ordering::AcqRel);
        (was_open > 1).then(|| self.mark([webhook]))
    }

    /// That the event is settled for `webhooks`.
    pub(super) fn mark<'a>(&self, webhooks: impl IntoIterator<Item = &'a WebhookId>) -> Mark {
        Mark {
            organization: self.event.organization.clone(),
            message: self.identity.key.clone(),
            webhooks: webhooks.into_iter().cloned().collect(),
        }
    }
}
