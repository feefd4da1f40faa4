//! Why a measurement could not be made.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use crate::app::{ServerError, StartError};
use crate::domain::ids::InvalidId;
use crate::domain::secret::InvalidSecret;
use crate::rabbitmq::connection::ConnectError;
use crate::rabbitmq::declare::TopologyError;
use crate::redis::error::{InvalidRedisUrl, StoreError};
use crate::registry::webhooks::WebhooksError;
use crate::store::intake::NotAccepted;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The settings name no usable server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Redis's URL cannot be used.
    #[error(transparent)]
    RedisUrl(#[from] InvalidRedisUrl),
    /// RabbitMQ cannot be reached.
    #[error(transparent)]
    Connect(Box<ConnectError>),
    /// The queues cannot be declared.
    #[error(transparent)]
    Topology(Box<TopologyError>),
    /// RabbitMQ broke something off.
    #[error("RabbitMQ: {0}")]
    Broker(#[from] lapin::Error),
    /// Redis cannot be reached, or refuses.
    #[error(transparent)]
    Redis(#[from] StoreError),
    /// Redis broke something off.
    #[error("Redis: {0}")]
    RedisClient(#[from] redis::RedisError),
    /// A webhook could not be registered.
    #[error(transparent)]
    Webhook(Box<WebhooksError>),
    /// Events were not taken.
    #[error(transparent)]
    NotAccepted(#[from] NotAccepted),
    /// The embedded store could not be opened.
    #[error(transparent)]
    Embedded(#[from] StartError),
    /// A name or secret made here is not usable.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// The same.
    #[error(transparent)]
    Secret(#[from] InvalidSecret),
    /// A process could not be started, or not be spoken to.
    #[error("{what}: {source}")]
    Process {
        /// The process.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// A process ended before it was told to.
    #[error("{what} ended early ({status}){said}")]
    Ended {
        /// The process.
        what: String,
        /// How the process ended.
        status: ExitStatus,
        /// What the process last said, after a colon; empty if it said nothing.
        said: String,
    },
    /// A process did not do something in time.
    #[error("{what} did not answer within {limit:?}; is the machine overloaded?")]
    Late {
        /// The process.
        what: String,
        /// The time that it had.
        limit: Duration,
    },
    /// A process answered something that makes no sense.
    #[error("{what} answered {line:?}")]
    Nonsense {
        /// The process.
        what: String,
        /// The process's answer.
        line: String,
    },
    /// The HTTP client of the bare loop failed.
    #[error("the bare loop: {0}")]
    Http(#[from] reqwest::Error),
    /// The bare loop met something that it is not made for.
    #[error("the bare loop: {0}")]
    Bare(&'static str),
    /// Not every scenario exists in embedded mode.
    #[error("--embedded measures draining alone: {names}; leave {refused} out")]
    NotEmbedded {
        /// The scenarios that embedded mode has.
        names: String,
        /// The scenarios asked for that it has not.
        refused: String,
    },
    /// Something on this machine failed: a directory, a socket.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<ConnectError> for BenchError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(Box::new(error))
    }
}

impl From<TopologyError> for BenchError {
    fn from(error: TopologyError) -> Self {
        Self::Topology(Box::new(error))
    }
}

impl From<WebhooksError> for BenchError {
    fn from(error: WebhooksError) -> Self {
        Self::Webhook(Box::new(error))
    }
}
