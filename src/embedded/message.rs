//! Messages as rows: a head in JSON, and the body as it came.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::domain::delivery::{Delivery, LastAttempt, Trigger};
use crate::domain::event::{Event, Header, RawEvent};
use crate::domain::ids::{DeliveryId, EventId, EventType, Organization, WebhookId};
use crate::domain::trace_context::TraceParent;
use crate::engine::ports::Message;

/// The kind of a message: where it comes to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageKind {
    Event,
    Delivery,
    /// A delivery that a large fan-out was split into.
    Part,
}

impl MessageKind {
    /// Its number in the table.
    pub(super) fn number(self) -> i64 {
        match self {
            Self::Event => 0,
            Self::Delivery => 1,
            // 2 is what was in the place of a delivery, among the dead letters.
            Self::Part => 3,
        }
    }
}

/// A message to be stored.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) kind: MessageKind,
    pub(super) head: Vec<u8>,
    pub(super) body: Bytes,
}

impl Draft {
    pub(super) fn event(raw: &RawEvent) -> Self {
        Self {
            kind: MessageKind::Event,
            head: json(&EventHead::of(raw)),
            body: raw.body.clone(),
        }
    }

    pub(super) fn delivery(delivery: &Delivery) -> Self {
        Self {
            kind: MessageKind::Delivery,
            head: json(&DeliveryHead::of(delivery)),
            body: delivery.event.body.clone(),
        }
    }

    pub(super) fn part(delivery: &Delivery) -> Self {
        Self {
            kind: MessageKind::Part,
            ..Self::delivery(delivery)
        }
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        self.head.len() + self.body.len() + 64
    }

    /// Adds it to the messages.
    pub(super) fn insert(
        &self,
        connection: &Connection,
        id: i64,
        due_at: i64,
    ) -> rusqlite::Result<()> {
        let sql = "INSERT INTO messages (id, kind, due_at, head, body) VALUES (?, ?, ?, ?, ?)";
        connection.prepare_cached(sql)?.execute(params![
            id,
            self.kind.number(),
            due_at,
            self.head,
            &self.body[..]
        ])?;
        Ok(())
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Texts and numbers: nothing that JSON could refuse.
    serde_json::to_vec(value).unwrap_or_default()
}

/// The message of a row. One without a stamp, of an older program, has its row's number for one.
pub(super) fn read(kind: MessageKind, id: i64, head: &[u8], body: Bytes) -> Message {
    let problem = match kind {
        MessageKind::Event => match raw_event(head, body.clone()) {
            Ok(mut raw) => {
                raw.stamp.get_or_insert_with(|| format!("row-{id}"));
                return Message::Event(raw);
            }
            Err(problem) => problem,
        },
        MessageKind::Delivery | MessageKind::Part => match delivery(head, body.clone()) {
            Ok(delivery) => return Message::Delivery(delivery),
            Err(problem) => problem,
        },
    };
    let raw = RawEvent {
        body,
        ..RawEvent::default()
    };
    Message::Unreadable(raw, format!("its head cannot be read: {problem}"))
}

pub(super) fn raw_event(head: &[u8], body: Bytes) -> Result<RawEvent, serde_json::Error> {
    let head: EventHead = serde_json::from_slice(head)?;
    Ok(head.with(body))
}

pub(super) fn delivery(head: &[u8], body: Bytes) -> Result<Delivery, serde_json::Error> {
    let head: DeliveryHead = serde_json::from_slice(head)?;
    Ok(head.with(body))
}

/// An event as the gateway's would be.
pub(super) fn raw(event: &Event) -> RawEvent {
    let traceparent = event.traceparent.map(|trace| trace.to_string());
    RawEvent {
        routing_key: event.event_type.to_string(),
        message_id: Some(event.id.to_string()),
        organization: Header::Text(event.organization.as_str().into()),
        traceparent: traceparent.map_or(Header::Absent, |trace| Header::Text(trace.into())),
        body: event.body.clone(),
        ..RawEvent::default()
    }
}

/// Everything of an event but its body.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EventHead {
    pub(super) routing_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message_id: Option<String>,
    #[serde(default, skip_serializing_if = "StoredHeader::is_absent")]
    pub(super) organization: StoredHeader,
    #[serde(default, skip_serializing_if = "StoredHeader::is_absent")]
    pub(super) traceparent: StoredHeader,
    /// The stamp, which tells the message from others. Messages of older programs have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stamp: Option<String>,
}

/// A header as it is stored.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StoredHeader {
    #[default]
    Absent,
    Text(String),
    /// Not UTF-8.
    Bytes(Vec<u8>),
    /// No text at all. What it was is forgotten, but not that it was no text: the default
    /// organization must not get it.
    Other,
}

impl StoredHeader {
    fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    fn of(header: &Header) -> Self {
        match header {
            Header::Absent => Self::Absent,
            Header::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Self::Text(text.to_owned()),
                Err(_) => Self::Bytes(bytes.clone()),
            },
            Header::Other(_) => Self::Other,
        }
    }

    fn header(self) -> Header {
        match self {
            Self::Absent => Header::Absent,
            Self::Text(text) => Header::Text(text.into_bytes()),
            Self::Bytes(bytes) => Header::Text(bytes),
            Self::Other => Header::Other("no text"),
        }
    }

    /// The text, if it is one.
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl EventHead {
    fn of(raw: &RawEvent) -> Self {
        Self {
            routing_key: raw.routing_key.clone(),
            message_id: raw.message_id.clone(),
            organization: StoredHeader::of(&raw.organization),
            traceparent: StoredHeader::of(&raw.traceparent),
            stamp: raw.stamp.clone(),
        }
    }

    fn with(self, body: Bytes) -> RawEvent {
        RawEvent {
            routing_key: self.routing_key,
            message_id: self.message_id,
            organization: self.organization.header(),
            traceparent: self.traceparent.header(),
            stamp: self.stamp,
            body,
        }
    }
}

/// Everything of a delivery but its event's body.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DeliveryHead {
    pub(super) delivery: DeliveryId,
    pub(super) event: EventId,
    pub(super) event_type: EventType,
    pub(super) organization: Organization,
    pub(super) webhook: WebhookId,
    pub(super) attempt: u32,
    pub(super) sequence: u32,
    pub(super) trigger: Trigger,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) first_attempt_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_outcome: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) remaining_wait_ms: Option<u64>,
}

impl DeliveryHead {
    fn of(delivery: &Delivery) -> Self {
        let event = &delivery.event;
        let last = delivery.last.as_ref();
        // Rounded up: a wait must not become shorter by being written down.
        let millis = |wait: Duration| wait.as_nanos().div_ceil(1_000_000);
        Self {
            delivery: delivery.id.clone(),
            event: event.id.clone(),
            event_type: event.event_type.clone(),
            organization: event.organization.clone(),
            webhook: delivery.webhook.clone(),
            attempt: delivery.attempt,
            sequence: delivery.sequence,
            trigger: delivery.trigger,
            traceparent: event.traceparent.map(|trace| trace.to_string()),
            first_attempt_at: delivery.first_attempt_at,
            last_outcome: last.map(|last| last.outcome.clone()),
            last_status: last.and_then(|last| last.status),
            remaining_wait_ms: delivery
                .remaining_wait
                .map(|wait| u64::try_from(millis(wait)).unwrap_or(u64::MAX)),
        }
    }

    fn with(self, body: Bytes) -> Delivery {
        let status = self.last_status;
        Delivery {
            id: self.delivery,
            event: Arc::new(Event {
                id: self.event,
                event_type: self.event_type,
                organization: self.organization,
                traceparent: self.traceparent.as_deref().and_then(TraceParent::parse),
                body,
            }),
            webhook: self.webhook,
            attempt: self.attempt,
            sequence: self.sequence,
            first_attempt_at: self.first_attempt_at,
            trigger: self.trigger,
            last: self
                .last_outcome
                .map(|outcome| LastAttempt { outcome, status }),
            remaining_wait: self.remaining_wait_ms.map(Duration::from_millis),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_back_byte_for_byte() {
        let raw = RawEvent {
            routing_key: "request.completed".to_owned(),
            message_id: Some("e1".to_owned()),
            organization: Header::Text(vec![0xff, 0]),
            traceparent: Header::Text(b"00-x".to_vec()),
            stamp: Some("s1".to_owned()),
            body: Bytes::from_static(b"\0not json\xff"),
        };
        let draft = Draft::event(&raw);
        assert_eq!(raw_event(&draft.head, draft.body).unwrap(), raw);
        let number = RawEvent {
            organization: Header::Other("a number"),
            ..raw
        };
        let draft = Draft::event(&number);
        let read = raw_event(&draft.head, draft.body).unwrap();
        assert!(matches!(read.organization, Header::Other(_)));
    }

    #[test]
    fn a_delivery_is_read_back_and_no_wait_gets_shorter() {
        let event = Event {
            id: "e1".parse().unwrap(),
            event_type: "request.completed".parse().unwrap(),
            organization: "acme".parse().unwrap(),
            traceparent: TraceParent::parse(
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
            body: Bytes::from_static(b"{}"),
        };
        let first = Delivery::first(Arc::new(event), "w1".parse().unwrap());
        let last = LastAttempt {
            outcome: "rejected".to_owned(),
            status: Some(500),
        };
        let retried = first.retried(Timestamp::UNIX_EPOCH, last, Some(Duration::from_nanos(1)));
        for delivery_in in [first, retried] {
            let draft = Draft::delivery(&delivery_in);
            let mut expected = delivery_in;
            expected.remaining_wait = expected.remaining_wait.map(|_| Duration::from_millis(1));
            assert_eq!(delivery(&draft.head, draft.body).unwrap(), expected);
        }
    }

    #[test]
    fn a_head_that_makes_no_sense_is_told_and_keeps_the_body() {
        for kind in [MessageKind::Event, MessageKind::Delivery, MessageKind::Part] {
            let message = read(kind, 1, b"{", Bytes::from_static(b"body"));
            let Message::Unreadable(raw, problem) = message else {
                panic!("{message:?}");
            };
            assert_eq!(&raw.body[..], b"body");
            assert!(problem.contains("cannot be read"), "{problem}");
        }
    }
}
