//! Where a delivery came from: an event, with siblings, or a message of its own.

use std::sync::Arc;

use crate::domain::admission::JobKind;
use crate::domain::delivery::Delivery;
use crate::domain::event::Event;
use crate::domain::identity::Identity;
use crate::domain::ids::WebhookId;

use super::ports::{Receipt, SettledMarker};

/// The kind of message that a delivery came with.
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
    pub(super) fn kind(&self) -> JobKind {
        match self {
            Self::Event(..) => JobKind::Event,
            Self::Message(_) => JobKind::Message,
        }
    }

    /// The receipt of the message.
    pub(super) fn receipt(&self) -> &Receipt {
        match self {
            Self::Event(_, receipt) | Self::Message(receipt) => receipt,
        }
    }
}

/// The deliveries of one event, which are siblings if there are several.
#[derive(Debug)]
pub(super) struct Siblings {
    event: Arc<Event>,
    identity: Identity,
    redelivered: bool,
    several: bool,
}

impl Siblings {
    /// So many deliveries of `event`, none of them settled.
    pub(super) fn new(
        event: Arc<Event>,
        identity: Identity,
        count: usize,
        redelivered: bool,
    ) -> Self {
        Self {
            event,
            identity,
            redelivered,
            several: count > 1,
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

    /// The delivery to `webhook` is about to be settled. With siblings it must be marked, or a crash
    /// would repeat it with those that are open. The last one too: its acknowledgement may be lost
    /// on its way when the worker dies, and a broker that lags has many of them on their way. One
    /// without siblings is covered by its acknowledgement alone: a mark for every delivery would
    /// cost more than the few repeats are worth.
    pub(super) fn settling(&self, webhook: &WebhookId) -> Option<SettledMarker> {
        self.several.then(|| self.mark([webhook]))
    }

    /// That the event is settled for `webhooks`.
    pub(super) fn mark<'a>(
        &self,
        webhooks: impl IntoIterator<Item = &'a WebhookId>,
    ) -> SettledMarker {
        SettledMarker {
            organization: self.event.organization.clone(),
            message: self.identity.key.clone(),
            webhooks: webhooks.into_iter().cloned().collect(),
        }
    }
}
