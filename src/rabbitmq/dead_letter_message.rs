//! What a message of the dead-letter queue says, and what it becomes when it is sent round again.
//!
//! Some dead letters are ours and say why in headers. Others the broker made: of messages that were
//! handed out again and again, whose time ran out, that were too many. Those are told by what it
//! notes in `x-death`.

use jiff::Timestamp;
use lapin::types::{AMQPValue, FieldTable};

use super::message::headers::{Headers, header};
use super::message::{self, Draft, Outgoing, Received};
use super::topology::Topology;
use crate::domain::dead_letter::Reason;
use crate::domain::delivery::Delivery;
use crate::domain::ids::Organization;
use crate::store::dead_letters::{POISON_DETAIL, Summary};
use crate::store::letter_index::Indexed;

/// A dead letter as it came from the queue.
#[derive(Debug)]
pub(super) struct DeadLetterMessage {
    received: Received,
    /// The broker's note about a message that it gave up itself.
    death: Option<Death>,
    /// Whether the broker took it out of the events queue. Then it is an event: whatever else its
    /// headers say, its publisher wrote, and meant something of its own by it.
    was_event: bool,
}

#[derive(Debug)]
struct Death {
    reason: Reason,
    detail: String,
    queue: Option<String>,
    exchange: Option<String>,
    routing_key: Option<String>,
    at: Option<Timestamp>,
}

impl DeadLetterMessage {
    pub(super) fn new(received: Received, topology: &Topology) -> Self {
        let headers = Headers::of(&received.properties);
        let death = Death::read(&headers, topology);
        let was_event = death
            .as_ref()
            .is_some_and(|death| death.queue.as_deref() == Some(topology.events_queue()));
        // A letter of ours says its reason; what the broker noted before that is history.
        let is_ours = headers.get(header::REASON).is_some() && !was_event;
        Self {
            death: death.filter(|_| !is_ours),
            received,
            was_event,
        }
    }

    /// Whether the header of this name says what we, or a publisher of events, mean by it.
    fn heeds(&self, name: &str) -> bool {
        let of_events = [header::ORGANIZATION, header::TRACEPARENT, header::STAMP];
        match self.was_event {
            true => of_events.contains(&name),
            false => header::ALL.contains(&name),
        }
    }

    fn text(&self, name: &'static str) -> Option<String> {
        let headers = Headers::of(&self.received.properties);
        let text = headers.text(name).ok().flatten();
        text.filter(|_| self.heeds(name)).map(str::to_owned)
    }

    pub(super) fn summary(&self) -> Summary {
        let headers = Headers::of(&self.received.properties);
        let text = |name| self.text(name);
        let died_at = self.death.as_ref().and_then(|death| death.at);
        Summary {
            reason: match &self.death {
                Some(death) => Some(death.reason),
                None => headers.parsed_if_there(header::REASON).ok().flatten(),
            },
            detail: text(header::DETAIL)
                .or_else(|| self.death.as_ref().map(|death| death.detail.clone())),
            dead_at: text(header::DEAD_AT)
                .and_then(|text| text.parse().ok())
                .or(died_at),
            organization: self.organization(),
            webhook: text(header::WEBHOOK),
            event_type: self.event_type(),
            event: text(header::EVENT).or_else(|| {
                self.received
                    .properties
                    .message_id()
                    .as_ref()
                    .map(ToString::to_string)
            }),
            delivery: text(header::DELIVERY),
            attempts: match self.was_event {
                true => None,
                false => headers.number(header::ATTEMPT).ok().flatten(),
            },
            last_outcome: text(header::LAST_OUTCOME),
            last_status: match self.was_event {
                true => None,
                false => headers.number(header::LAST_STATUS).ok().flatten(),
            },
            size: self.received.body.len(),
        }
    }

    /// What the index keeps of it. What has no id yet gets one, which is to be written into the letter
    /// [that is kept](Self::kept).
    pub(super) fn indexed(&self, topology: &Topology) -> Indexed {
        let (id, sequence) = match self.delivery() {
            Some(delivery) => (delivery.id.to_string(), delivery.sequence),
            None => (self.letter().unwrap_or_else(message::new_stamp), 0),
        };
        Indexed {
            id,
            sequence,
            summary: self.summary(),
            usable: self.requeued(topology).is_some(),
        }
    }

    /// The id that it was given, if we did.
    fn letter(&self) -> Option<String> {
        let ours = |text: &String| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        self.text(header::LETTER).filter(ours)
    }

    /// The delivery that it is, if it is one.
    fn delivery(&self) -> Option<Delivery> {
        if self.was_event {
            return None;
        }
        message::delivery(&self.received).ok()
    }

    /// The message that starts it again from attempt 1, or `None` if nothing can come of it: what
    /// was to be a delivery and is none has lost what would make it one.
    pub(super) fn requeued(&self, topology: &Topology) -> Option<Outgoing> {
        if let Some(delivery) = self.delivery() {
            let delivery = delivery.requeued();
            return Some(
                message::encode_delivery(&delivery).for_queue(topology.deliveries_queue()),
            );
        }
        let headers = Headers::of(&self.received.properties);
        let says_delivery = headers.get(header::DELIVERY).is_some()
            || headers.parsed_if_there(header::REASON) == Ok(Some(Reason::InvalidDelivery));
        let was_delivery = (says_delivery && !self.was_event)
            || self.death.as_ref().is_some_and(|death| {
                let queue = death.queue.as_deref();
                queue.is_some_and(|queue| topology.has_deliveries(queue))
            });
        let event_type = self.event_type()?;
        if was_delivery {
            return None;
        }
        let mut draft = message::encode_raw(&message::raw(self.received.clone()));
        message::put(&mut draft.headers, header::EVENT_TYPE, &event_type);
        Some(draft.for_queue(topology.events_queue()))
    }

    /// The same letter again, for the queue's tail. Of the headers only ours are kept: the broker's
    /// notes would grow, and what another publisher set may mean something to the broker. What is no
    /// delivery is known by `id` from then on.
    pub(super) fn kept(&self, id: &str, topology: &Topology) -> Outgoing {
        let mut headers = FieldTable::default();
        if let Some(received) = self.received.properties.headers() {
            for (name, value) in received {
                if self.heeds(name.as_str()) {
                    headers.insert(name.clone(), value.clone());
                }
            }
        }
        if let Some(death) = &self.death {
            message::put(&mut headers, header::REASON, death.reason.name());
            message::put(&mut headers, header::DETAIL, &death.detail);
            if let Some(at) = death.at {
                message::put(&mut headers, header::DEAD_AT, &at.to_string());
            }
            if let Some(event_type) = self.event_type() {
                message::put(&mut headers, header::EVENT_TYPE, &event_type);
            }
        }
        if self.delivery().is_none() {
            message::put(&mut headers, header::LETTER, id);
        }
        let message_id = self
            .received
            .properties
            .message_id()
            .as_ref()
            .map(ToString::to_string);
        let body = self.received.body.clone();
        Draft {
            message_id,
            headers,
            body,
        }
        .for_queue(topology.dead_letters_queue())
    }

    /// Whose it is; `None` if that cannot be told. An event that names nobody is of the default
    /// organization; what was to be a delivery and names nobody is not.
    fn organization(&self) -> Option<String> {
        let headers = Headers::of(&self.received.properties);
        match headers.text(header::ORGANIZATION) {
            Ok(Some(name)) => Some(name.to_owned()),
            Ok(None) => {
                let invalid = headers.parsed_if_there(header::REASON);
                let was_delivery =
                    self.death.is_some() || invalid == Ok(Some(Reason::InvalidDelivery));
                let is_event = self.was_event || !was_delivery;
                is_event.then(|| Organization::default().to_string())
            }
            Err(_) => None,
        }
    }

    /// The routing key that it was once published with.
    fn event_type(&self) -> Option<String> {
        let published = self.death.as_ref().filter(|death| {
            // Through the default exchange the key is a queue's name, and the header knows better.
            death
                .exchange
                .as_deref()
                .is_some_and(|exchange| !exchange.is_empty())
        });
        match published {
            Some(death) => death.routing_key.clone(),
            // What we published ourselves, to the queue itself, says so, an event as well.
            None => Headers::of(&self.received.properties)
                .text(header::EVENT_TYPE)
                .ok()
                .flatten()
                .map(str::to_owned),
        }
    }
}

impl Death {
    fn read(headers: &Headers<'_>, topology: &Topology) -> Option<Self> {
        let deaths = headers.get("x-death")?.as_array()?;
        let deaths = deaths.as_slice().iter();
        let mut deaths = deaths.filter_map(AMQPValue::as_field_table);
        // A delivery has been through delay queues, which the broker notes as deaths as well.
        let of_ours = |death: &&FieldTable| {
            let queue = text(death, "queue");
            let queue = queue.as_deref();
            queue.is_some_and(|queue| {
                queue == topology.events_queue() || topology.has_deliveries(queue)
            })
        };
        let death = deaths.find(of_ours)?;
        let (reason, detail) = why(death);
        let first_key = |keys: &AMQPValue| keys.as_array()?.as_slice().first().and_then(as_text);
        let seconds = |time: &AMQPValue| i64::try_from(time.as_timestamp()?).ok();
        Some(Self {
            reason,
            detail,
            queue: text(death, "queue"),
            exchange: text(death, "exchange"),
            routing_key: death.inner().get("routing-keys").and_then(first_key),
            at: death
                .inner()
                .get("time")
                .and_then(seconds)
                .and_then(|seconds| Timestamp::from_second(seconds).ok()),
        })
    }
}

/// Why the broker gave a message up, in a word and a sentence.
fn why(death: &FieldTable) -> (Reason, String) {
    let queue = text(death, "queue").unwrap_or_default();
    let reason = text(death, "reason").unwrap_or_default();
    match reason.as_str() {
        "delivery_limit" => (Reason::Poison, POISON_DETAIL.to_owned()),
        "expired" => {
            let detail = match text(death, "original-expiration") {
                Some(millis) => format!(
                    "the publisher's expiration of {millis} ms ran out while it waited in the queue {queue}"
                ),
                None => format!(
                    "it waited in the queue {queue} for longer than a policy of the broker lets messages wait there"
                ),
            };
            (Reason::Expired, detail)
        }
        "maxlen" => {
            let detail =
                format!("the queue {queue} was full, and a policy of the broker drops then");
            (Reason::Dropped, detail)
        }
        "rejected" => {
            let detail = format!("a consumer that is no worker rejected it from the queue {queue}");
            (Reason::Dropped, detail)
        }
        other => {
            let detail = format!("the broker took it out of the queue {queue}: {other}");
            (Reason::Dropped, detail)
        }
    }
}

fn text(table: &FieldTable, name: &str) -> Option<String> {
    table.inner().get(name).and_then(as_text)
}

fn as_text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    }
}
