//! What the operations are done to.

use std::sync::Arc;

use crate::registry::webhooks::Webhooks;
use crate::store::audit::AuditLog;
use crate::store::dead_letters::DeadLetters;
use crate::store::delivery_log::DeliveryLog;
use crate::store::intake::Intake;

/// A deployment at work, whichever store it stands on.
#[derive(Clone)]
pub struct Deployment {
    /// The registered webhooks.
    pub webhooks: Webhooks,
    /// Takes events in.
    pub intake: Arc<dyn Intake>,
    /// The attempts and deliveries on record.
    pub delivery_log: Arc<dyn DeliveryLog>,
    /// The dead letters.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Who changed what, and when.
    pub audit_log: Arc<dyn AuditLog>,
}
