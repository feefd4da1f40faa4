//! Where a delivery came from: an event, with siblings, or a message of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::domain::admission::Kind;
use crate::domain::event::Event;
use crate::domain::webhook::Webhook;

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
    redelivered: bool,
    open: AtomicUsize,
}

impl Siblings {
    /// `open` deliveries of `event`, none of them settled.
    pub(super) fn new(event: Arc<Event>, open: usize, redelivered: bool) -> Self {
        Self {
            event,
            redelivered,
            open: AtomicUsize::new(open),
        }
    }

    /// The delivery to `webhook` is about to be settled. While others are open it must be marked,
    /// or a crash would repeat it with them; the last one is covered by the acknowledgement.
    pub(super) fn settling(&self, webhook: &Webhook) -> Option<Mark> {
        let was_open = self.open.fetch_sub(1, Ordering::AcqRel);
        (was_open > 1).then(|| mark(&self.event, [webhook]))
    }
}

/// What is settled of `event`.
pub(super) fn mark<'a>(event: &Event, webhooks: impl IntoIterator<Item = &'a Webhook>) -> Mark {
    Mark {
        organization: event.organization.clone(),
        event: event.mark_id(),
        webhooks: webhooks
            .into_iter()
            .map(|webhook| webhook.id.clone())
            .collect(),
    }
}
