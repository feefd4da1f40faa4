//! Messages to and from the broker: which property and which header holds what.
//!
//! | part | of a delivery | of a dead letter besides |
//! |---|---|---|
//! | body | the event's, as published | |
//! | `message_id` | the event's id | |
//! | `organization`, `webhook`, `event-type`, `delivery`, `event` | whose, to whom, what | of a message that is no delivery only `organization` and `event-type` |
//! | `attempt`, `sequence` | the next attempt's number, this message's | the last attempt's number |
//! | `first-attempt-at` | RFC 3339 | |
//! | `trigger`, `last-outcome`, `last-status` | what sets the attempt off, how the last one went | |
//! | `remaining-wait-ms` | a wait still to be kept | |
//! | `traceparent` | the event's | |
//! | `x-prism-stamp` | | of an event that came by way of our own intake: what tells it from every other |
//! | `reason`, `detail`, `dead-at` | | why, in a word and a sentence, and since when |
//! | `letter` | | of a message that is no delivery: what tells the letter from every other |
//!
//! A message of the events queue that came through the default exchange was put there by a requeue
//! and says its routing key in `event-type`.
//!
//! Reading is total: whatever does not make sense comes out as [`Message::Unreadable`] with a
//! sentence, and headers that the broker adds are not carried on.

pub(super) mod headers;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use uuid::Uuid;

use self::headers::{Headers, header};
use super::topology::Topology;
use crate::domain::dead_letter::{Content, DeadLetter};
use crate::domain::delivery::{Delivery, LastAttempt};
use crate::domain::event::{Event, Header, RawEvent};
use crate::domain::ids::{EventId, EventType};
use crate::domain::trace_context::TraceParent;
use crate::engine::ports::{FollowUp, Message};

/// The longest text that goes into a header, in bytes. All headers of a message must fit into one
/// frame of the publishing connection, which has 8 KiB.
const LONGEST_TEXT: usize = 1_024;

/// AMQP's longest routing key and message id, in bytes.
pub(super) const LONGEST_NAME: usize = 255;

/// A message to publish.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The exchange; empty for the default one, which takes a queue's name as routing key.
    pub exchange: ShortString,
    /// The routing key.
    pub routing_key: ShortString,
    /// Properties and headers.
    pub properties: BasicProperties,
    /// The body.
    pub body: Bytes,
}

/// The message that hands over `follow_up` at `now`.
pub fn encode(follow_up: &FollowUp, topology: &Topology, now: Timestamp) -> Outgoing {
    match follow_up {
        FollowUp::Delay(delivery, step) => {
            encode_delivery(delivery).for_queue(&topology.delay_queue(*step))
        }
        FollowUp::Defer(delivery, delay) | FollowUp::DeferInLine(delivery, delay) => {
            // The queue ends the wait at its step; by the message's own end it is exact, unless
            // something before it in the queue waits for longer.
            let queue = topology.delay_queue(topology.steps().covering(*delay));
            encode_delivery(delivery)
                .for_queue(&queue)
                .expiring_in(*delay)
        }
        FollowUp::Enqueue(delivery) => {
            encode_delivery(delivery).for_queue(topology.deliveries_queue())
        }
        FollowUp::Part(delivery) => encode_delivery(delivery).for_queue(topology.parts_queue()),
        FollowUp::DeadLetter(letter) => {
            encode_dead_letter(letter, now).for_queue(topology.dead_letters_queue())
        }
        FollowUp::Publish(event) => encode_event(event)
            .for_exchange(topology.exchange().into(), event.event_type.as_str().into()),
    }
}

impl Outgoing {
    fn expiring_in(mut self, wait: Duration) -> Self {
        // Rounded up: never early.
        let millis = wait.as_nanos().div_ceil(1_000_000);
        self.properties = self.properties.with_expiration(millis.to_string().into());
        self
    }
}

/// A message without an address.
#[derive(Debug)]
pub(super) struct Draft {
    pub message_id: Option<String>,
    pub headers: FieldTable,
    pub body: Bytes,
}

impl Draft {
    pub(super) fn for_queue(self, queue: &str) -> Outgoing {
        self.for_exchange("".into(), queue.into())
    }

    pub(super) fn for_exchange(self, exchange: ShortString, routing_key: ShortString) -> Outgoing {
        let mut properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_headers(self.headers);
        if let Some(id) = self.message_id {
            properties = properties.with_message_id(cut(&id, LONGEST_NAME).into());
        }
        Outgoing {
            exchange,
            routing_key,
            properties,
            body: self.body,
        }
    }
}

/// AMQP's mark for a message that is to survive a restart of the broker.
const PERSISTENT: u8 = 2;

// ---------------------------------------------------------------------------------------- writing

pub(super) fn encode_delivery(delivery: &Delivery) -> Draft {
    let event = &delivery.event;
    let mut headers = FieldTable::default();
    put(
        &mut headers,
        header::ORGANIZATION,
        event.organization.as_str(),
    );
    put(&mut headers, header::WEBHOOK, delivery.webhook.as_str());
    put(&mut headers, header::EVENT_TYPE, event.event_type.as_str());
    put(&mut headers, header::DELIVERY, delivery.id.as_str());
    put(&mut headers, header::EVENT, event.id.as_str());
    put_number(&mut headers, header::ATTEMPT, i64::from(delivery.attempt));
    put_number(&mut headers, header::SEQUENCE, i64::from(delivery.sequence));
    put(&mut headers, header::TRIGGER, delivery.trigger.name());
    if let Some(at) = delivery.first_attempt_at {
        put(&mut headers, header::FIRST_ATTEMPT_AT, &at.to_string());
    }
    if let Some(last) = &delivery.last {
        put(&mut headers, header::LAST_OUTCOME, &last.outcome);
        if let Some(status) = last.status {
            put_number(&mut headers, header::LAST_STATUS, i64::from(status));
        }
    }
    if let Some(wait) = delivery.remaining_wait {
        // Rounded up: a wait must not become shorter by being written down.
        let millis = wait.as_nanos().div_ceil(1_000_000);
        put_number(
            &mut headers,
            header::REMAINING_WAIT,
            i64::try_from(millis).unwrap_or(i64::MAX),
        );
    }
    if let Some(trace) = event.traceparent {
        put(&mut headers, header::TRACEPARENT, &trace.to_string());
    }
    Draft {
        message_id: Some(event.id.to_string()),
        headers,
        body: event.body.clone(),
    }
}

fn encode_dead_letter(letter: &DeadLetter, now: Timestamp) -> Draft {
    let mut draft = match &letter.content {
        Content::Delivery(delivery) => encode_delivery(delivery),
        Content::Message(raw) => {
            let mut draft = encode_raw(raw);
            put(&mut draft.headers, header::EVENT_TYPE, &raw.routing_key);
            put(&mut draft.headers, header::LETTER, &new_stamp());
            draft
        }
    };
    put(&mut draft.headers, header::REASON, letter.reason.name());
    put(&mut draft.headers, header::DETAIL, &letter.detail);
    put(&mut draft.headers, header::DEAD_AT, &now.to_string());
    draft
}

fn encode_event(event: &Event) -> Draft {
    let mut headers = FieldTable::default();
    put(
        &mut headers,
        header::ORGANIZATION,
        event.organization.as_str(),
    );
    if let Some(trace) = event.traceparent {
        put(&mut headers, header::TRACEPARENT, &trace.to_string());
    }
    put(&mut headers, header::STAMP, &new_stamp());
    Draft {
        message_id: Some(event.id.to_string()),
        headers,
        body: event.body.clone(),
    }
}

/// Makes a stamp, which tells a message from every other.
pub(super) fn new_stamp() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Carries a message that was not understood on as it came, save that its routing key is left to
/// the caller and that a header of another kind than text is not kept.
pub(super) fn encode_raw(raw: &RawEvent) -> Draft {
    let mut headers = FieldTable::default();
    for (name, value) in [
        (header::ORGANIZATION, &raw.organization),
        (header::TRACEPARENT, &raw.traceparent),
    ] {
        match value {
            Header::Absent => {}
            Header::Text(bytes) => {
                let bytes = &bytes[..bytes.len().min(LONGEST_TEXT)];
                headers.insert(name.into(), AMQPValue::LongString(bytes.into()));
            }
            // The value is gone. That it was no text must not be forgotten: a requeue would make an
            // event of the default organization of the message.
            Header::Other(_) => {
                headers.insert(name.into(), AMQPValue::Boolean(false));
            }
        }
    }
    if let Some(stamp) = &raw.stamp {
        put(&mut headers, header::STAMP, stamp);
    }
    Draft {
        message_id: raw.message_id.clone(),
        headers,
        body: raw.body.clone(),
    }
}

pub(super) fn put(headers: &mut FieldTable, name: &'static str, text: &str) {
    let text = cut(text, LONGEST_TEXT);
    headers.insert(name.into(), AMQPValue::LongString(text.into()));
}

fn put_number(headers: &mut FieldTable, name: &'static str, number: i64) {
    headers.insert(name.into(), AMQPValue::LongLongInt(number));
}

/// The longest beginning of `text` that has at most `longest` bytes.
fn cut(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

// ---------------------------------------------------------------------------------------- reading

/// A message as it came from the broker.
#[derive(Debug, Clone)]
pub struct Received {
    /// The exchange that it was published to.
    pub exchange: ShortString,
    /// The routing key that it was published with.
    pub routing_key: ShortString,
    /// Properties and headers.
    pub properties: BasicProperties,
    /// The body.
    pub body: Bytes,
}

impl From<lapin::message::Delivery> for Received {
    fn from(message: lapin::message::Delivery) -> Self {
        Self {
            exchange: message.exchange,
            routing_key: message.routing_key,
            properties: message.properties,
            body: message.data.into(),
        }
    }
}

/// As it will come.
impl From<Outgoing> for Received {
    fn from(message: Outgoing) -> Self {
        Self {
            exchange: message.exchange,
            routing_key: message.routing_key,
            properties: message.properties,
            body: message.body,
        }
    }
}

/// Reads a message of the events queue.
pub fn decode_event(received: Received) -> Message {
    Message::Event(raw(received))
}

/// Reads a message of the deliveries queue, or of the parts.
pub fn decode_delivery(received: Received) -> Message {
    match delivery(&received) {
        Ok(delivery) => Message::Delivery(delivery),
        Err(problem) => Message::Unreadable(raw(received), problem),
    }
}

pub(super) fn raw(received: Received) -> RawEvent {
    let headers = Headers::of(&received.properties);
    let (organization, traceparent) = (
        headers.raw(header::ORGANIZATION),
        headers.raw(header::TRACEPARENT),
    );
    let routing_key = match headers.raw(header::EVENT_TYPE) {
        Header::Text(text) if received.exchange.as_str().is_empty() => {
            String::from_utf8_lossy(&text).into_owned()
        }
        _ => received.routing_key.to_string(),
    };
    RawEvent {
        routing_key,
        message_id: received
            .properties
            .message_id()
            .as_ref()
            .map(ToString::to_string),
        organization,
        traceparent,
        stamp: headers
            .text(header::STAMP)
            .ok()
            .flatten()
            .map(str::to_owned),
        body: received.body,
    }
}

/// The delivery that `received` says it is, or what is wrong with it.
pub(super) fn delivery(received: &Received) -> Result<Delivery, String> {
    let headers = Headers::of(&received.properties);
    let event = Event {
        id: headers.parsed::<EventId>(header::EVENT)?,
        event_type: headers.parsed::<EventType>(header::EVENT_TYPE)?,
        organization: headers.parsed(header::ORGANIZATION)?,
        traceparent: headers
            .text(header::TRACEPARENT)?
            .and_then(TraceParent::parse),
        body: received.body.clone(),
    };
    let last = match headers.text(header::LAST_OUTCOME)? {
        None => None,
        Some(outcome) => Some(LastAttempt {
            outcome: outcome.to_owned(),
            status: headers.number(header::LAST_STATUS)?,
        }),
    };
    Ok(Delivery {
        id: headers.parsed(header::DELIVERY)?,
        event: Arc::new(event),
        webhook: headers.parsed(header::WEBHOOK)?,
        attempt: headers.counter(header::ATTEMPT)?,
        sequence: headers.counter(header::SEQUENCE)?,
        first_attempt_at: headers.parsed_if_there(header::FIRST_ATTEMPT_AT)?,
        trigger: headers.parsed(header::TRIGGER)?,
        last,
        remaining_wait: headers
            .number(header::REMAINING_WAIT)?
            .map(Duration::from_millis),
    })
}

#[cfg(test)]
mod tests;
