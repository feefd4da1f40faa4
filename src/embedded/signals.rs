//! News of messages, from whoever writes to whoever hands out.

use tokio::sync::Notify;

use super::message::MessageKind;

/// Tells that there are new messages.
#[derive(Debug, Default)]
pub(super) struct Signals {
    events: Notify,
    deliveries: Notify,
    parts: Notify,
}

impl Signals {
    pub(super) fn of(&self, kind: MessageKind) -> &Notify {
        match kind {
            MessageKind::Event => &self.events,
            MessageKind::Delivery => &self.deliveries,
            MessageKind::Part => &self.parts,
        }
    }
}
