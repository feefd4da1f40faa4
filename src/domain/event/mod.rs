//! Whether a message is an event.
//!
//! The body is never changed: it is checked, and then carried as the bytes that came.

pub mod line;

use std::borrow::Cow;
use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::{
    DeliveryId, EventId, EventType, InvalidId, Organization, WEBHOOK_DISABLED, WebhookId,
};
use super::trace_context::TraceParent;

/// Something that happened in the gateway, published once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The publisher's id, or one derived from routing key and body.
    pub id: EventId,
    /// The event type, which is also the routing key.
    pub event_type: EventType,
    /// The tenant whose webhooks may receive it.
    pub organization: Organization,
    /// The trace that the event belongs to, if the publisher sent one that is well formed.
    pub traceparent: Option<TraceParent>,
    /// The JSON object as published, byte for byte.
    pub body: Bytes,
}

/// What the event [`WEBHOOK_DISABLED`] tells. The endpoint is left out: many a URL is a credential,
/// and the organization's other webhooks read this.
#[derive(Debug, Serialize)]
pub struct Disabled<'a> {
    /// The webhook.
    #[serde(rename = "webhook_id")]
    pub webhook: &'a WebhookId,
    /// The webhook's name.
    pub name: &'a str,
    /// Why it was disabled, in a sentence.
    pub reason: &'a str,
    /// When it was disabled.
    #[serde(rename = "disabled_at")]
    pub at: Timestamp,
}

impl Event {
    /// The event that tells of a webhook disabled because of `delivery`. Its id is derived from
    /// that, so that a repeat after a crash is recognised.
    pub fn disabled(
        organization: &Organization,
        disabled: &Disabled<'_>,
        delivery: &DeliveryId,
    ) -> Self {
        #[derive(Serialize)]
        struct Body<'a> {
            event: &'static str,
            #[serde(flatten)]
            disabled: &'a Disabled<'a>,
        }

        let event = WEBHOOK_DISABLED;
        let body = serde_json::to_vec(&Body { event, disabled }).unwrap_or_default();
        Self {
            id: EventId::derived(WEBHOOK_DISABLED, delivery.as_str().as_bytes()),
            event_type: EventType::webhook_disabled(),
            organization: organization.clone(),
            traceparent: None,
            body: body.into(),
        }
    }

    /// The webhook that the event speaks of and that is therefore not to receive it: the one that
    /// was disabled is not told so itself, however the two changes overtake each other.
    pub fn not_for(&self) -> Option<WebhookId> {
        #[derive(Deserialize)]
        struct Subject {
            webhook_id: WebhookId,
        }

        if self.event_type.as_str() != WEBHOOK_DISABLED {
            return None;
        }
        let subject: Option<Subject> = serde_json::from_slice(&self.body).ok();
        subject.map(|subject| subject.webhook_id)
    }
}

/// A text header of a message, as far as the broker's client could read it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Header {
    /// The header was not there.
    #[default]
    Absent,
    /// A string; its bytes need not be UTF-8.
    Text(Vec<u8>),
    /// A value of another kind, named for the error message.
    Other(&'static str),
}

/// A message of the events queue before it is known to be an event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawEvent {
    /// The routing key that it was published with.
    pub routing_key: String,
    /// The AMQP `message_id`.
    pub message_id: Option<String>,
    /// The header `organization`.
    pub organization: Header,
    /// The header `traceparent`.
    pub traceparent: Header,
    /// The stamp, which tells the message from every other, if our own intake gave it one: see
    /// [`identity`](super::identity).
    pub stamp: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// What this deployment accepts as an event.
#[derive(Debug, Clone)]
pub struct EventRules {
    /// The event types that exist.
    pub event_types: BTreeSet<EventType>,
    /// The largest body, in bytes.
    pub max_size: usize,
}

/// Why a message is not an event. The text ends up in the dead letter, for the person who has to
/// find the publisher.
#[derive(Debug, thiserror::Error)]
pub enum InvalidEvent {
    /// The body is larger than allowed.
    #[error("the body has {size} bytes; at most {max} are accepted")]
    TooLarge {
        /// The body's size in bytes.
        size: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The body is not text.
    #[error("the body is not UTF-8: {0}")]
    NotUtf8(#[source] std::str::Utf8Error),
    /// The body is compressed.
    #[error("the body is compressed with gzip; publish it as it is")]
    Compressed,
    /// The body begins with a byte order mark.
    #[error("the body begins with a byte order mark (EF BB BF), which JSON has not; leave it out")]
    ByteOrderMark,
    /// The body is not a JSON object.
    #[error("the body is not a JSON object: {0}")]
    NotAnObject(String),
    /// What should be an event with its id is something else.
    #[error("an event with its id is {{\"id\": text, \"body\": event}}: {0}")]
    WithId(String),
    /// The body does not say what happened.
    #[error(
        "the body has no string field \"event\"; it must repeat the routing key {routing_key:?}"
    )]
    NoEventField {
        /// The message's routing key.
        routing_key: String,
    },
    /// The body does not say what happened, and nothing else does.
    #[error("the body has no string field \"event\"; it must name the event type")]
    Unnamed,
    /// Body and routing key disagree.
    #[error(
        "the body's \"event\" is {event:?} but the routing key is {routing_key:?}; they must be equal"
    )]
    EventDiffers {
        /// The body's `event`.
        event: String,
        /// The message's routing key.
        routing_key: String,
    },
    /// Nobody configured such an event type.
    #[error("the event type {0:?} is not known here; add it to event_types if it should be")]
    UnknownType(String),
    /// An identifier breaks its rules.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// A header is not what it should be.
    #[error("the header {name:?} {problem}")]
    Header {
        /// The header's name.
        name: &'static str,
        /// What is wrong with the header.
        problem: String,
    },
}

/// How everything that is compressed with gzip begins (RFC 1952, 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Decides whether `raw` is an event under `rules`.
pub fn decode(raw: &RawEvent, rules: &EventRules) -> Result<Event, InvalidEvent> {
    let size = raw.body.len();
    if size > rules.max_size {
        let max = rules.max_size;
        return Err(InvalidEvent::TooLarge { size, max });
    }
    if raw.body.starts_with(&GZIP) {
        // Said before that it is no UTF-8 either.
        return Err(InvalidEvent::Compressed);
    }
    // serde_json skips over unread strings without looking at their bytes.
    std::str::from_utf8(&raw.body).map_err(InvalidEvent::NotUtf8)?;
    check_event_field(&raw.body, &raw.routing_key)?;

    let event_type = rules
        .event_types
        .get(raw.routing_key.as_str())
        .ok_or_else(|| InvalidEvent::UnknownType(raw.routing_key.chars().take(200).collect()))?
        .clone();
    let id = match raw.message_id.as_deref() {
        None | Some("") => EventId::derived(&raw.routing_key, &raw.body),
        Some(id) => EventId::new(id)?,
    };
    Ok(Event {
        id,
        event_type,
        organization: organization(&raw.organization)?,
        // A trace that cannot be read is no reason to refuse an event: the W3C says to start anew.
        traceparent: text(&raw.traceparent, "traceparent")
            .ok()
            .flatten()
            .and_then(TraceParent::parse),
        body: raw.body.clone(),
    })
}

fn check_event_field(body: &[u8], routing_key: &str) -> Result<(), InvalidEvent> {
    match event_field(body)? {
        Some(event) if event == routing_key => Ok(()),
        Some(event) => Err(InvalidEvent::EventDiffers {
            event: event.chars().take(200).collect(),
            routing_key: routing_key.to_owned(),
        }),
        None => Err(InvalidEvent::NoEventField {
            routing_key: routing_key.to_owned(),
        }),
    }
}

/// U+FEFF, which some editors and encoders put in front of a text.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The event type that a body names itself: its routing key, where it comes without one.
pub fn named_event(body: &[u8]) -> Result<String, InvalidEvent> {
    let named = event_field(body)?.ok_or(InvalidEvent::Unnamed)?;
    Ok(named.into_owned())
}

/// The string field `event` of a JSON object, if it has one.
fn event_field(body: &[u8]) -> Result<Option<Cow<'_, str>>, InvalidEvent> {
    #[derive(Deserialize)]
    #[serde(expecting = "a JSON object")]
    struct Head<'a> {
        #[serde(borrow, default)]
        event: Option<Field<'a>>,
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Field<'a> {
        Text(#[serde(borrow)] Cow<'a, str>),
        Other(serde::de::IgnoredAny),
    }

    if body.starts_with(&GZIP) {
        return Err(InvalidEvent::Compressed);
    }
    if body.starts_with(BYTE_ORDER_MARK.as_bytes()) {
        return Err(InvalidEvent::ByteOrderMark);
    }
    // serde would take an array for a struct.
    if body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[') {
        return Err(InvalidEvent::NotAnObject("it is an array".to_owned()));
    }
    let head: Head<'_> =
        serde_json::from_slice(body).map_err(|error| InvalidEvent::NotAnObject(words(&error)))?;
    Ok(match head.event {
        Some(Field::Text(event)) => Some(event),
        Some(Field::Other(_)) | None => None,
    })
}

/// What is wrong with the syntax of a JSON text, in words: the parser's are its own.
pub fn syntax(said: &str) -> String {
    let said = said.replace("EOF while parsing", "it ends within");
    let said = said.replace("expected ident", "it is no value of JSON");
    said.replace("expected value", "it is no value of JSON")
}

/// What a JSON error says, with its place as whoever wrote the body finds it: most are one line.
fn words(error: &serde_json::Error) -> String {
    let said = syntax(&error.to_string());
    let (what, _) = said.split_once(" at line ").unwrap_or((&said, ""));
    match (error.line(), error.column()) {
        (0, _) => what.to_owned(),
        (1, column) => format!("{what} (at byte {column})"),
        (line, column) => format!("{what} (in line {line}, at byte {column})"),
    }
}

fn organization(header: &Header) -> Result<Organization, InvalidEvent> {
    match text(header, "organization")? {
        None => Ok(Organization::default()),
        Some(name) => Ok(Organization::new(name)?),
    }
}

fn text<'a>(header: &'a Header, name: &'static str) -> Result<Option<&'a str>, InvalidEvent> {
    let problem = match header {
        Header::Absent => return Ok(None),
        Header::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => return Ok(Some(text)),
            Err(error) => format!("is not UTF-8: {error}"),
        },
        Header::Other(kind) => format!("is {kind}; it must be a string"),
    };
    Err(InvalidEvent::Header { name, problem })
}

#[cfg(test)]
mod tests;
