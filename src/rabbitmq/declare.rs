//! Carrying the topology to a broker, and comparing the two.
//!
//! The broker answers a declaration that differs from what is there by closing the channel, so
//! whatever may fail gets a channel of its own.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};
use serde::Serialize;

use super::connection::{ACCESS_REFUSED, NOT_FOUND, PRECONDITION_FAILED, reply_code};
use super::topology::{Object, ObjectKind, Topology};

/// Why an object of the topology is not on the broker as it should be.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TopologyError {
    /// An object is not there.
    #[error("the {} {name} is missing; create it with `prism-webhooks topology apply`", kind.name())]
    Missing {
        /// The kind of object.
        kind: ObjectKind,
        /// Its name.
        name: String,
    },
    /// An object is there, declared otherwise.
    #[error(
        "the {} {name} is declared otherwise: {argument} is {}, wanted is {}; {}",
        kind.name(),
        shown(present),
        shown(wanted),
        mend(*kind, name)
    )]
    Mismatch {
        /// The kind of object.
        kind: ObjectKind,
        /// Its name.
        name: String,
        /// The property or argument that differs; the broker names one at a time.
        argument: String,
        /// Its value on the broker, as far as the broker says.
        present: String,
        /// Its value in the topology.
        wanted: String,
    },
    /// The user may not declare the object, or look at it.
    #[error("the {} {name} may not be declared by this user: {source}", kind.name())]
    Forbidden {
        /// The kind of object.
        kind: ObjectKind,
        /// Its name.
        name: String,
        /// The broker's answer.
        source: lapin::Error,
    },
    /// The broker did not declare the object, for a reason that says nothing about the topology.
    #[error("the {} {name} could not be declared: {source}", kind.name())]
    Failed {
        /// The kind of object.
        kind: ObjectKind,
        /// Its name.
        name: String,
        /// Why.
        source: lapin::Error,
    },
}

impl TopologyError {
    /// Whether waiting may help.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }
}

/// The result of comparing the broker with the topology.
#[derive(Debug)]
pub struct Check {
    /// How many objects were compared, by existence, durability, type and arguments.
    pub objects: usize,
    /// How many bindings were not: AMQP has no way to ask for one. `topology apply` sets them.
    pub unseen_bindings: usize,
    /// Everything that is wrong.
    pub problems: Vec<TopologyError>,
}

/// An object for people and programs to look at.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// The object, as it is declared.
    #[serde(flatten)]
    pub object: Object,
    /// What is in the object, if it is a queue that exists.
    pub contents: Option<Contents>,
}

/// The messages and the consumers of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// The messages that wait to be handed out.
    pub messages: u32,
    /// The consumers.
    pub consumers: u32,
}

/// Declares everything. What is there already, declared alike, stays untouched.
pub async fn apply(topology: &Topology, connection: &Connection) -> Result<(), TopologyError> {
    let mut channel = None;
    for object in topology.objects() {
        let declaring = async {
            let channel = match &channel {
                Some(channel) => channel,
                None => channel.insert(connection.create_channel().await?),
            };
            declare(&object, channel).await?;
            bind(&object, channel).await
        };
        declaring.await.map_err(|error| classify(&object, error))?;
    }
    Ok(())
}

/// Compares the broker with the topology and changes nothing. The error is the first that says
/// nothing about the topology, such as a lost connection.
pub async fn check(topology: &Topology, connection: &Connection) -> Result<Check, TopologyError> {
    let mut check = Check {
        objects: 0,
        unseen_bindings: 0,
        problems: Vec::new(),
    };
    for object in topology.objects() {
        check.objects += 1;
        check.unseen_bindings += object.bindings.len();
        match compare(&object, connection)
            .await
            .map_err(|error| classify(&object, error))
        {
            Ok(()) => {}
            Err(error) if error.is_passing() => return Err(error),
            Err(error) => check.problems.push(error),
        }
    }
    Ok(check)
}

/// Describes the topology and, given a connection, what is in its queues.
pub async fn show(
    topology: &Topology,
    connection: Option<&Connection>,
) -> Result<Vec<Shown>, TopologyError> {
    let mut shown = Vec::new();
    for object in topology.objects() {
        let contents = match connection {
            Some(connection) if object.kind == ObjectKind::Queue => contents(&object, connection)
                .await
                .map_err(|error| classify(&object, error))?,
            _ => None,
        };
        shown.push(Shown { object, contents });
    }
    Ok(shown)
}

async fn contents(object: &Object, connection: &Connection) -> lapin::Result<Option<Contents>> {
    match look(&object.name, connection).await {
        Ok(queue) => Ok(Some(queue)),
        Err(error) if reply_code(&error) == Some(NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns what is in the queue `name`; the broker's 404 if it is not there.
pub(super) async fn look(name: &str, connection: &Connection) -> lapin::Result<Contents> {
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions::durable().passive();
    let queue = channel
        .queue_declare(name.into(), passive, FieldTable::default())
        .await?;
    Ok(Contents {
        messages: queue.message_count(),
        consumers: queue.consumer_count(),
    })
}

/// Declaring what exists and is alike does nothing, and is the only way to learn over AMQP whether
/// it is alike. The passive declaration before it keeps what is missing from being created.
async fn compare(object: &Object, connection: &Connection) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    match object.kind {
        ObjectKind::Queue => {
            let passive = QueueDeclareOptions::durable().passive();
            channel
                .queue_declare(object.name.as_str().into(), passive, FieldTable::default())
                .await?;
        }
        ObjectKind::Exchange => {
            let passive = ExchangeDeclareOptions {
                passive: true,
                ..Default::default()
            };
            let name = object.name.as_str().into();
            channel
                .exchange_declare(name, ExchangeKind::Topic, passive, FieldTable::default())
                .await?;
        }
    }
    declare(object, &channel).await
}

async fn declare(object: &Object, channel: &Channel) -> lapin::Result<()> {
    let name = object.name.as_str().into();
    match object.kind {
        ObjectKind::Queue => {
            channel
                .queue_declare(name, QueueDeclareOptions::durable(), object.table())
                .await?;
        }
        ObjectKind::Exchange => {
            let durable = ExchangeDeclareOptions {
                durable: true,
                ..Default::default()
            };
            channel
                .exchange_declare(name, ExchangeKind::Topic, durable, FieldTable::default())
                .await?;
        }
    }
    Ok(())
}

async fn bind(object: &Object, channel: &Channel) -> lapin::Result<()> {
    for binding in &object.bindings {
        channel
            .queue_bind(
                object.name.as_str().into(),
                binding.exchange.as_str().into(),
                binding.routing_key.as_str().into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
    }
    Ok(())
}

fn classify(object: &Object, source: lapin::Error) -> TopologyError {
    let kind = object.kind;
    let name = object.name.clone();
    match reply_code(&source) {
        Some(NOT_FOUND) => TopologyError::Missing { kind, name },
        Some(ACCESS_REFUSED) => TopologyError::Forbidden { kind, name, source },
        Some(PRECONDITION_FAILED) => mismatch(object, &broker_text(&source)),
        _ => TopologyError::Failed { kind, name, source },
    }
}

fn broker_text(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        _ => error.to_string(),
    }
}

/// Reads `inequivalent arg 'A' for queue 'Q' in vhost 'V': received W but current is P`, where W
/// and P are `'text'`, `none`, or `the value 'X' of type 'T'`. The broker cuts its text at 255
/// bytes, so what is wanted is taken from the topology, and what is present may be missing.
fn mismatch(object: &Object, text: &str) -> TopologyError {
    let between = |start: &str, end: &str| {
        let (_, rest) = text.split_once(start)?;
        rest.split_once(end).map(|(found, _)| found)
    };
    let argument = between("inequivalent arg '", "'");
    let wanted = argument
        .and_then(|argument| object.arguments.get(argument).map(ToString::to_string))
        .or_else(|| between("received ", " but current is").map(value))
        .unwrap_or_else(|| "what `prism-webhooks topology show` says".to_owned());
    let present = text.split_once(" but current is ").map_or_else(
        || format!("not what it should be ({text})"),
        |(_, present)| value(present),
    );
    TopologyError::Mismatch {
        kind: object.kind,
        name: object.name.clone(),
        argument: argument.unwrap_or("an argument").to_owned(),
        present,
        wanted,
    }
}

fn value(text: &str) -> String {
    let text = text.trim_start_matches("the value ");
    match text
        .strip_prefix('\'')
        .and_then(|rest| rest.split_once('\''))
    {
        Some((value, _)) => value.to_owned(),
        None => text.to_owned(),
    }
}

/// A value of an argument: the name of the default exchange is empty.
fn shown(value: &str) -> &str {
    if value.is_empty() { "\"\"" } else { value }
}

/// How a queue is emptied. A worker does not start while it is declared otherwise, but one that runs
/// goes on.
fn emptied(name: &str) -> &'static str {
    if name.ends_with(".dead-letters") {
        "empty it with `prism-webhooks dead-letters requeue` or `purge`"
    } else if name.contains(".delay.") {
        "let it drain, which it does by itself if it has an x-message-ttl"
    } else {
        "let a worker that was running before drain it"
    }
}

/// No option of `delete_queue` keeps a quorum queue that is not empty: 4.x refuses them, 3.10 fails
/// with exit code 0. Without a consumer, nothing is handed out and not counted.
fn mend(kind: ObjectKind, name: &str) -> String {
    let remove = match kind {
        ObjectKind::Queue => format!(
            "stop whatever publishes to it and {} (what does not drain, RabbitMQ's shovel plugin moves \
             elsewhere, and back again at the end), then stop the workers; once \
             `prism-webhooks topology show` shows it with 0 messages and 0 consumers, remove it with \
             `rabbitmqctl delete_queue {name}` (-p names a virtual host other than \"/\")",
            emptied(name)
        ),
        ObjectKind::Exchange => format!(
            "stop whatever publishes to it and remove it, in RabbitMQ's management page or with \
             `rabbitmqadmin delete exchange name={name}`"
        ),
    };
    format!("{remove}, and create it again with `prism-webhooks topology apply`")
}

#[cfg(test)]
mod tests;
