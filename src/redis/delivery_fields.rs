//! A delivery's record as the fields of a hash, both ways.

use std::sync::Arc;

use bytes::Bytes;
use redis::Cmd;

use super::texts::{Texts, Unreadable};
use crate::domain::delivery::{Delivery, LastAttempt};
use crate::domain::delivery_state::DeliveryState;
use crate::domain::event::Event;
use crate::domain::ids::DeliveryId;
use crate::domain::trace_context::TraceParent;
use crate::store::delivery_log::Recorded;

/// How many fields [`write`] appends.
pub(super) const COUNT: usize = 14;

/// Appends the fields of a delivery, all but the sequence, each with its value. What is absent is
/// written empty, so that nothing of an earlier state shines through.
pub(super) fn write(delivery: &Delivery, state: DeliveryState, command: &mut Cmd) {
    let event = &*delivery.event;
    let last = delivery.last.as_ref();
    let (name, reason, next) = match state {
        DeliveryState::Waiting(next) => ("waiting", "", next.to_string()),
        DeliveryState::Delivered => ("delivered", "", String::new()),
        DeliveryState::Dead(reason) => ("dead", reason.name(), String::new()),
    };
    let mut field = |name: &str, value: &str| {
        command.arg(name).arg(value);
    };
    let optional = |value: Option<String>| value.unwrap_or_default();
    field("state", name);
    field("reason", reason);
    field("next_attempt_at", &next);
    field("attempt", &delivery.attempt.to_string());
    field("event_id", event.id.as_str());
    field("event_type", event.event_type.as_str());
    field("organization", event.organization.as_str());
    field("webhook_id", delivery.webhook.as_str());
    field(
        "first_attempt_at",
        &optional(delivery.first_attempt_at.map(|time| time.to_string())),
    );
    field("trigger", delivery.trigger.name());
    field("last_outcome", last.map_or("", |last| &last.outcome));
    field(
        "last_status",
        &optional(last.and_then(|last| last.status).map(|s| s.to_string())),
    );
    field(
        "traceparent",
        &optional(event.traceparent.map(|parent| parent.to_string())),
    );
    command.arg("body").arg(&event.body[..]);
}

/// Reads a delivery back with its state, and its body if that is still there.
pub(super) fn read(id: &DeliveryId, mut texts: Texts) -> Result<Recorded, Unreadable> {
    let has_body = texts.has("body");
    let state = match texts.text("state")? {
        "waiting" => DeliveryState::Waiting(texts.required("next_attempt_at")?),
        "delivered" => DeliveryState::Delivered,
        "dead" => DeliveryState::Dead(texts.required("reason")?),
        _ => return Err(Unreadable { field: "state" }),
    };
    let last_status = texts.optional("last_status")?;
    let last = texts.optional("last_outcome")?.map(|outcome| LastAttempt {
        outcome,
        status: last_status,
    });
    let event = Event {
        id: texts.required("event_id")?,
        event_type: texts.required("event_type")?,
        organization: texts.required("organization")?,
        traceparent: TraceParent::parse(texts.text("traceparent")?),
        body: match has_body {
            true => Bytes::from(texts.bytes("body")?),
            false => Bytes::new(),
        },
    };
    let delivery = Delivery {
        id: id.clone(),
        event: Arc::new(event),
        webhook: texts.required("webhook_id")?,
        attempt: texts.required("attempt")?,
        sequence: texts.required("sequence")?,
        first_attempt_at: texts.optional("first_attempt_at")?,
        trigger: texts.required("trigger")?,
        last,
        remaining_wait: None,
    };
    let delivery = Box::new(delivery);
    Ok(match has_body {
        true => Recorded::Whole(delivery, state),
        false => Recorded::WithoutBody(delivery, state),
    })
}
