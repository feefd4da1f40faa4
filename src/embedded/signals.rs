//! News of messages, from whoever writes to whoever hands out.

use tokio::sync::Notify;

use super::message::Kind;

/// Tells that there are new messages.
#[derive(Debug, Default)]
pub(super) struct Signals {
    events: Notify,
    deliveries: Notify,
    parts: Notify,
}

impl Signals {
    pub(super) fn of(&self, kind: Kind) -> &Notify {
        match kind {
            Kind::Event => &self.events,
            Kind::Delivery => &self.deliveries,
            Kind::Part => &self.parts,
        }
    }
}
