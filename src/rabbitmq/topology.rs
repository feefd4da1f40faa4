//! What is declared on the broker: the one place that knows names, arguments and bindings.
//!
//! ```text
//! <ns>.events ──▶ <ns>.webhooks.events ─────────────────────────▶ (delivery limit) ─┐
//!                 <ns>.webhooks.delay.<n>s ──▶ <ns>.webhooks.deliveries ──────────▶ ┤
//!                   after n seconds              (delivery limit)                   │
//!                                     <ns>.webhooks.parts ──────▶ (delivery limit) ─┤
//!                                                                                   ▼
//!                                                              <ns>.webhooks.dead-letters
//! ```
//!
//! Every queue is a durable quorum queue. Messages move between queues *at least once*, which
//! needs `x-overflow: reject-publish`, and RabbitMQ's feature flag `stream_queue`: without the
//! flag the broker falls back to *at most once*, and cannot be asked about it over AMQP.

use std::collections::BTreeMap;
use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};
use serde::Serialize;

use crate::domain::delay::Steps;
use crate::domain::ids::{EventType, WEBHOOK_DISABLED};

/// How often a message may be handed out without being settled before it counts as poison. A
/// worker that goes down hands everything it holds back, and RabbitMQ counts that as well: a limit
/// of a few would turn rolling restarts into dead letters.
pub const DELIVERY_LIMIT: u32 = 100;

/// The limit of queues that must have none. RabbitMQ 4 gives a queue without one a limit of 20,
/// and 3.10 takes -1, which means *none* on 4, for *at the first return*.
const UNLIMITED: u32 = 2_000_000_000;

/// Everything that a deployment declares.
#[derive(Debug, Clone)]
pub struct Topology {
    exchange: String,
    events: String,
    deliveries: String,
    parts: String,
    dead_letters: String,
    delay_prefix: String,
    steps: Steps,
    event_types: Vec<String>,
    delivery_limit: u32,
}

/// One exchange or queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Object {
    /// Exchange or queue.
    pub kind: ObjectKind,
    /// Its name.
    pub name: String,
    /// What the object is for.
    pub purpose: &'static str,
    /// Its arguments; for an exchange, its type.
    pub arguments: BTreeMap<&'static str, Argument>,
    /// Its bindings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bindings: Vec<Binding>,
}

/// The kind of an object. All objects are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// A topic exchange.
    Exchange,
    /// A quorum queue.
    Queue,
}

impl ObjectKind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Queue => "queue",
        }
    }
}

/// The value of an argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Argument {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

impl std::fmt::Display for Argument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A binding of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Binding {
    /// The exchange that it takes from.
    pub exchange: String,
    /// The messages that it takes.
    pub routing_key: String,
}

impl Topology {
    /// The topology of the deployment `namespace` for these event types and delays of up to
    /// `longest_delay`. The deployment's own event, `webhook.disabled`, is bound as well.
    pub fn new<'a>(
        namespace: &str,
        event_types: impl IntoIterator<Item = &'a EventType>,
        longest_delay: Duration,
    ) -> Self {
        let mut event_types: Vec<String> =
            event_types.into_iter().map(ToString::to_string).collect();
        event_types.push(WEBHOOK_DISABLED.to_owned());
        event_types.sort();
        event_types.dedup();
        Self {
            exchange: format!("{namespace}.events"),
            events: format!("{namespace}.webhooks.events"),
            deliveries: format!("{namespace}.webhooks.deliveries"),
            parts: format!("{namespace}.webhooks.parts"),
            dead_letters: format!("{namespace}.webhooks.dead-letters"),
            delay_prefix: format!("{namespace}.webhooks.delay."),
            steps: Steps::up_to(longest_delay),
            event_types,
            delivery_limit: DELIVERY_LIMIT,
        }
    }

    /// The same with another delivery limit than [`DELIVERY_LIMIT`]: tests cannot wait for a
    /// hundred returns.
    pub fn with_delivery_limit(self, delivery_limit: u32) -> Self {
        Self {
            delivery_limit,
            ..self
        }
    }

    /// The exchange that events are published to.
    pub fn exchange(&self) -> &str {
        &self.exchange
    }

    /// The queue of events.
    pub fn events_queue(&self) -> &str {
        &self.events
    }

    /// The name of a queue that does not exist, for a message that nobody is to get.
    pub fn no_queue(&self) -> String {
        format!("{}.none", self.deliveries)
    }

    /// The queue of single deliveries.
    pub fn deliveries_queue(&self) -> &str {
        &self.deliveries
    }

    /// The queue of the single deliveries that large fan-outs are split into.
    pub fn parts_queue(&self) -> &str {
        &self.parts
    }

    /// Whether single deliveries are taken from this queue.
    pub(super) fn has_deliveries(&self, queue: &str) -> bool {
        [&self.deliveries, &self.parts]
            .iter()
            .any(|one| *one == queue)
    }

    /// The queue of dead letters.
    pub fn dead_letters_queue(&self) -> &str {
        &self.dead_letters
    }

    /// The steps of the delay queues.
    pub fn steps(&self) -> &Steps {
        &self.steps
    }

    /// The queue that holds a delivery for `step`, which must be one of the deployment's steps.
    pub fn delay_queue(&self, step: Duration) -> String {
        format!("{}{}s", self.delay_prefix, step.as_secs())
    }

    /// Everything, in an order in which it can be declared: what others refer to comes first.
    pub fn objects(&self) -> Vec<Object> {
        let mut objects = vec![
            queue(
                self.dead_letters.clone(),
                "what was given up, with the reason",
                [limit(UNLIMITED)].into(),
            ),
            queue(
                self.deliveries.clone(),
                "single deliveries: retries, deferrals, requeues",
                self.dead_lettering_to(&self.dead_letters, self.delivery_limit),
            ),
            queue(
                self.parts.clone(),
                "single deliveries of large fan-outs, behind which no retry is to wait",
                self.dead_lettering_to(&self.dead_letters, self.delivery_limit),
            ),
        ];
        objects.extend(self.steps.iter().map(|step| {
            let mut arguments = self.dead_lettering_to(&self.deliveries, UNLIMITED);
            // Steps are at most days: far from the limit of either type.
            let millis = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
            arguments.insert("x-message-ttl", Argument::Number(millis));
            queue(
                self.delay_queue(step),
                "deliveries that are not due yet",
                arguments,
            )
        }));
        objects.push(Object {
            kind: ObjectKind::Exchange,
            name: self.exchange.clone(),
            purpose: "where events are published",
            arguments: [("type", Argument::Text("topic".to_owned()))].into(),
            bindings: Vec::new(),
        });
        objects.push(Object {
            bindings: self
                .event_types
                .iter()
                .map(|event_type| Binding {
                    exchange: self.exchange.clone(),
                    routing_key: event_type.clone(),
                })
                .collect(),
            ..queue(
                self.events.clone(),
                "events on their way to the workers",
                self.dead_lettering_to(&self.dead_letters, self.delivery_limit),
            )
        });
        objects
    }

    fn dead_lettering_to(
        &self,
        target: &str,
        delivery_limit: u32,
    ) -> BTreeMap<&'static str, Argument> {
        [
            limit(delivery_limit),
            ("x-dead-letter-exchange", Argument::Text(String::new())),
            (
                "x-dead-letter-routing-key",
                Argument::Text(target.to_owned()),
            ),
            (
                "x-dead-letter-strategy",
                Argument::Text("at-least-once".to_owned()),
            ),
            ("x-overflow", Argument::Text("reject-publish".to_owned())),
        ]
        .into()
    }
}

impl Object {
    /// The arguments in the form that the client wants.
    pub(super) fn table(&self) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in &self.arguments {
            let value = match value {
                Argument::Number(number) => AMQPValue::LongLongInt(*number),
                Argument::Text(text) => AMQPValue::LongString(text.as_str().into()),
            };
            table.insert((*name).into(), value);
        }
        table
    }
}

fn limit(delivery_limit: u32) -> (&'static str, Argument) {
    (
        "x-delivery-limit",
        Argument::Number(i64::from(delivery_limit)),
    )
}

fn queue(
    name: String,
    purpose: &'static str,
    mut arguments: BTreeMap<&'static str, Argument>,
) -> Object {
    arguments.insert("x-queue-type", Argument::Text("quorum".to_owned()));
    Object {
        kind: ObjectKind::Queue,
        name,
        purpose,
        arguments,
        bindings: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology() -> Topology {
        let types = ["request.completed", "webhook.disabled"].map(|t| EventType::new(t).unwrap());
        Topology::new("ns", &types, Duration::from_secs(3))
    }

    #[test]
    fn everything_that_dead_letters_does_so_at_least_once_into_a_queue_declared_before() {
        let mut seen = Vec::new();
        for object in topology().objects() {
            if let Some(target) = object.arguments.get("x-dead-letter-routing-key") {
                assert!(seen.contains(&target.to_string()), "{object:?}");
                assert_eq!(object.arguments["x-dead-letter-exchange"].to_string(), "");
                assert_eq!(
                    object.arguments["x-dead-letter-strategy"].to_string(),
                    "at-least-once"
                );
                assert_eq!(object.arguments["x-overflow"].to_string(), "reject-publish");
            }
            for binding in &object.bindings {
                assert!(seen.contains(&binding.exchange), "{object:?}");
            }
            seen.push(object.name);
        }
        assert_eq!(
            seen,
            [
                "ns.webhooks.dead-letters",
                "ns.webhooks.deliveries",
                "ns.webhooks.parts",
                "ns.webhooks.delay.1s",
                "ns.webhooks.delay.2s",
                "ns.webhooks.delay.3s",
                "ns.events",
                "ns.webhooks.events",
            ]
        );
    }

    #[test]
    fn every_queue_is_quorum_and_sets_its_delivery_limit_on_purpose() {
        for object in topology().objects() {
            if object.kind == ObjectKind::Queue {
                assert_eq!(object.arguments["x-queue-type"].to_string(), "quorum");
                assert!(
                    object.arguments.contains_key("x-delivery-limit"),
                    "{object:?}"
                );
            }
        }
    }

    #[test]
    fn each_event_type_is_bound_once() {
        let objects = topology().objects();
        let keys: Vec<&str> = objects
            .iter()
            .flat_map(|o| &o.bindings)
            .map(|b| b.routing_key.as_str())
            .collect();
        assert_eq!(keys, ["request.completed", "webhook.disabled"]);
    }
}
