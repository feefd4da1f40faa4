//! What a message of the dead-letter queue says, and what it becomes when it is sent round again.
//!
//! Some dead letters are ours and say why in headers. Others the broker made of messages that were
//! handed out again and again: those are told by what it notes in `x-death`, and count as poison.

use jiff::Timestamp;
use lapin::types::{AMQPValue, FieldTable};

use super::message::headers::{Headers, header};
use super::message::{self, Draft, Outgoing, Received};
use super::topology::Topology;
use crate::dead_letters::{POISON_DETAIL, Summary};
use crate::domain::dead_letter::Reason;

/// A dead letter as it came from the queue.
#[derive(Debug)]
pub(super) struct Letter {
    received: Received,
    /// What the broker notes of a message that it gave up itself.
    poison: Option<Poison>,
}

#[derive(Debug, Default)]
struct Poison {
    queue: Option<String>,
    exchange: Option<String>,
    routing_key: Option<String>,
    at: Option<Timestamp>,
}

impl Letter {
    pub(super) fn new(received: Received) -> Self {
        let headers = Headers::of(&received.properties);
        // A letter of ours says its reason; what the broker noted before that is history.
        let poison = if headers.get(header::REASON).is_some() {
            None
        } else {
            Poison::read(&headers)
        };
        Self { received, poison }
    }

    pub(super) fn summary(&self) -> Summary {
        let headers = Headers::of(&self.received.properties);
        let text = |name| headers.text(name).ok().flatten().map(str::to_owned);
        let poisoned_at = self.poison.as_ref().and_then(|poison| poison.at);
        Summary {
            reason: match self.poison {
                Some(_) => Some(Reason::Poison),
                None => headers.parsed_if_there(header::REASON).ok().flatten(),
            },
            detail: text(header::DETAIL)
                .or_else(|| self.poison.as_ref().map(|_| POISON_DETAIL.to_owned())),
            dead_at: headers
                .parsed_if_there(header::DEAD_AT)
                .ok()
                .flatten()
                .or(poisoned_at),
            organization: text(header::ORGANIZATION),
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
            attempts: headers.number(header::ATTEMPT).ok().flatten(),
            last_outcome: text(header::LAST_OUTCOME),
            last_status: headers.number(header::LAST_STATUS).ok().flatten(),
            size: self.received.body.len(),
        }
    }

    /// The message that starts it again from attempt 1, or `None` if nothing can come of it: what
    /// was to be a delivery and is none has lost what would make it one.
    pub(super) fn requeued(&self, topology: &Topology) -> Option<Outgoing> {
        if let Ok(delivery) = message::delivery(&self.received) {
            let delivery = delivery.requeued();
            return Some(
                message::encode_delivery(&delivery).for_queue(topology.deliveries_queue()),
            );
        }
        let headers = Headers::of(&self.received.properties);
        let was_delivery = headers.get(header::DELIVERY).is_some()
            || headers.parsed_if_there(header::REASON) == Ok(Some(Reason::InvalidDelivery))
            || self
                .poison
                .as_ref()
                .is_some_and(|poison| poison.queue.as_deref() == Some(topology.deliveries_queue()));
        let event_type = self.event_type()?;
        if was_delivery {
            return None;
        }
        let mut draft = message::encode_raw(&message::raw(self.received.clone()));
        message::put(&mut draft.headers, header::EVENT_TYPE, &event_type);
        Some(draft.for_queue(topology.events_queue()))
    }

    /// The same letter again, for the queue's tail. Of the headers only ours are kept: the broker's
    /// notes would grow, and what another publisher set may mean something to the broker.
    pub(super) fn kept(&self, topology: &Topology) -> Outgoing {
        let mut headers = FieldTable::default();
        if let Some(received) = self.received.properties.headers() {
            for (name, value) in received {
                if header::ALL.contains(&name.as_str()) {
                    headers.insert(name.clone(), value.clone());
                }
            }
        }
        if let Some(poison) = &self.poison {
            message::put(&mut headers, header::REASON, Reason::Poison.name());
            message::put(&mut headers, header::DETAIL, POISON_DETAIL);
            if let Some(at) = poison.at {
                message::put(&mut headers, header::DEAD_AT, &at.to_string());
            }
            if let Some(event_type) = self.event_type() {
                message::put(&mut headers, header::EVENT_TYPE, &event_type);
            }
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

    /// The routing key that it was once published with.
    fn event_type(&self) -> Option<String> {
        let published = self.poison.as_ref().filter(|poison| {
            // Through the default exchange the key is a queue's name, and the header knows better.
            poison
                .exchange
                .as_deref()
                .is_some_and(|exchange| !exchange.is_empty())
        });
        match published {
            Some(poison) => poison.routing_key.clone(),
            None => Headers::of(&self.received.properties)
                .text(header::EVENT_TYPE)
                .ok()
                .flatten()
                .map(str::to_owned),
        }
    }
}

impl Poison {
    fn read(headers: &Headers<'_>) -> Option<Self> {
        let deaths = headers.get("x-death")?.as_array()?;
        // A delivery has been through delay queues, which the broker notes as deaths as well.
        let death = deaths
            .as_slice()
            .iter()
            .filter_map(AMQPValue::as_field_table)
            .find(|death| text(death, "reason").as_deref() == Some("delivery_limit"))?;
        let first_key = |keys: &AMQPValue| keys.as_array()?.as_slice().first().and_then(as_text);
        let seconds = |time: &AMQPValue| i64::try_from(time.as_timestamp()?).ok();
        Some(Self {
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
