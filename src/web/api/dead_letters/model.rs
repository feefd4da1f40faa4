//! Dead letters as the API shows them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::dead_letter::Reason;
use crate::store::dead_letters::Summary;

/// Something that was given up.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadLetterView {
    /// What it is chosen by: the delivery's id, or the event's of what is no delivery.
    id: Option<String>,
    /// Why it was given up.
    reason: Option<&'static str>,
    /// The reason as a sentence.
    detail: Option<String>,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    dead_at: Option<Timestamp>,
    /// The webhook, of a delivery.
    webhook_id: Option<String>,
    /// The event type, or the routing key of what is no event.
    event_type: Option<String>,
    /// The event's id.
    event_id: Option<String>,
    /// The delivery's id, of a delivery.
    delivery_id: Option<String>,
    /// The number of the last attempt, of a delivery.
    attempts: Option<u32>,
    /// What the last attempt came to.
    last_outcome: Option<String>,
    /// The HTTP status code of the last attempt.
    last_status_code: Option<u16>,
    /// The size of the body in bytes.
    size: usize,
}

impl From<Summary> for DeadLetterView {
    fn from(letter: Summary) -> Self {
        Self {
            id: letter.id().map(ToOwned::to_owned),
            reason: letter.reason.map(Reason::name),
            detail: letter.detail,
            dead_at: letter.dead_at,
            webhook_id: letter.webhook,
            event_type: letter.event_type,
            event_id: letter.event,
            delivery_id: letter.delivery,
            attempts: letter.attempts,
            last_outcome: letter.last_outcome,
            last_status_code: letter.last_status,
            size: letter.size,
        }
    }
}

/// Why something became a dead letter.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ReasonName {
    AttemptsExhausted,
    WebhookDisabled,
    WebhookDeleted,
    WebhookInvalid,
    InvalidEvent,
    InvalidDelivery,
    Poison,
    Expired,
    Dropped,
}

impl ReasonName {
    /// The reason that it names.
    pub fn reason(self) -> Reason {
        match self {
            Self::AttemptsExhausted => Reason::AttemptsExhausted,
            Self::WebhookDisabled => Reason::WebhookDisabled,
            Self::WebhookDeleted => Reason::WebhookDeleted,
            Self::WebhookInvalid => Reason::WebhookInvalid,
            Self::InvalidEvent => Reason::InvalidEvent,
            Self::InvalidDelivery => Reason::InvalidDelivery,
            Self::Poison => Reason::Poison,
            Self::Expired => Reason::Expired,
            Self::Dropped => Reason::Dropped,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_reason_can_be_asked_for_by_its_name() {
        for reason in Reason::ALL {
            let name = Value::String(reason.name().to_owned());
            let named: ReasonName = serde_json::from_value(name).unwrap();
            assert_eq!(named.reason(), reason);
        }
    }
}
