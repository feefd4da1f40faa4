//! Publishing with a confirm: one message a channel at a time, many channels.
//!
//! Why not many messages on one channel: when RabbitMQ returns an unroutable message and confirms
//! it together with others, lapin 4 hands the return to whichever of them it comes upon first. A
//! message that went nowhere would then pass for confirmed. And an exchange that is missing closes
//! the channel, and would take the confirms of all the others with it. With one message on a
//! channel neither can happen, and a confirm that is overdue spoils nothing but its own channel.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Confirmation, Connection, ExchangeKind};
use tokio::sync::Semaphore;

use super::connection::{NOT_FOUND, reply_code};
use super::message::Outgoing;

/// How many messages are under way at once, at most, each on a channel of its own. Channels are
/// opened as they are needed, and kept.
const CHANNELS: usize = 64;

/// How long a confirm may take on a connection that the broker does not block.
const CONFIRM_LIMIT: Duration = Duration::from_secs(30);

/// How long the answer to a question may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Why a message is not known to be kept by the broker.
#[derive(Debug, thiserror::Error)]
pub enum Unconfirmed {
    /// The message went nowhere: there is no such queue, or no binding for the key.
    #[error(
        "no queue takes {routing_key:?} from {}; create the topology with \
         `prism-webhooks topology apply`",
        exchange_name(exchange)
    )]
    Unroutable {
        /// The exchange; empty for the default one.
        exchange: String,
        /// The routing key.
        routing_key: String,
    },
    /// The exchange does not exist.
    #[error(
        "{} does not exist; create the topology with `prism-webhooks topology apply`",
        exchange_name(exchange)
    )]
    NoExchange {
        /// The exchange.
        exchange: String,
        /// The broker's answer.
        source: lapin::Error,
    },
    /// The broker refused the message: a queue is full, or has no leader.
    #[error("RabbitMQ refused to keep the message for {routing_key:?}")]
    Refused {
        /// The routing key.
        routing_key: String,
    },
    /// Nothing came back in time. The broker may have it all the same.
    #[error("RabbitMQ did not confirm the message for {routing_key:?} within {limit:?}")]
    TimedOut {
        /// The routing key.
        routing_key: String,
        /// The limit.
        limit: Duration,
    },
    /// The connection died, and nothing came of what was under way on it. The broker may have it
    /// all the same.
    #[error("the connection to RabbitMQ was lost before a confirm for {routing_key:?} came")]
    Lost {
        /// The routing key.
        routing_key: String,
    },
    /// The broker keeps the connection and answers nothing.
    #[error("RabbitMQ did not answer within {ANSWER_LIMIT:?}")]
    Silent,
    /// The connection or the channel failed. The broker may have it all the same.
    #[error("the connection to RabbitMQ failed before a confirm came: {0}")]
    Connection(#[from] lapin::Error),
}

impl Unconfirmed {
    /// Whether it is the broker's answer to this very message, and leaves the channel as it was.
    fn is_answer(&self) -> bool {
        matches!(self, Self::Unroutable { .. } | Self::Refused { .. })
    }
}

fn exchange_name(exchange: &str) -> String {
    if exchange.is_empty() {
        "the default exchange".to_owned()
    } else {
        format!("the exchange {exchange:?}")
    }
}

/// Publishes on one connection, until that dies.
#[derive(Debug)]
pub struct Confirmer {
    connection: Connection,
    slots: Semaphore,
    idle: Mutex<Vec<Channel>>,
}

impl Confirmer {
    /// Publishes on `connection`.
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            slots: Semaphore::new(CHANNELS),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Publishes `message`, mandatory, and returns once the broker has confirmed that it keeps it.
    pub async fn publish(&self, message: &Outgoing) -> Result<(), Unconfirmed> {
        // The semaphore is never closed; were it, publishing without a slot would do no harm.
        let _slot = self.slots.acquire().await.ok();
        tokio::select! {
            biased;
            outcome = self.publish_on_a_channel(message) => outcome,
            given_up = self.given_up(message) => Err(given_up),
        }
    }

    /// Asks whether the exchange is there.
    pub async fn exchange_is_there(&self, exchange: &str) -> Result<(), Unconfirmed> {
        let passive = ExchangeDeclareOptions {
            passive: true,
            ..Default::default()
        };
        let asking = async {
            // A missing exchange closes the channel, so it is one of its own.
            let channel = self.connection.create_channel().await?;
            let (name, kind) = (exchange.into(), ExchangeKind::Topic);
            channel
                .exchange_declare(name, kind, passive, FieldTable::default())
                .await
        };
        match tokio::time::timeout(ANSWER_LIMIT, asking).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) if reply_code(&source) == Some(NOT_FOUND) => {
                let exchange = exchange.to_owned();
                Err(Unconfirmed::NoExchange { exchange, source })
            }
            Ok(Err(source)) => Err(source.into()),
            Err(_) => Err(Unconfirmed::Silent),
        }
    }

    async fn publish_on_a_channel(&self, message: &Outgoing) -> Result<(), Unconfirmed> {
        let idle = self
            .idle()
            .pop()
            .filter(|channel| channel.status().connected());
        let channel = match idle {
            Some(channel) => channel,
            None => self.open().await?,
        };
        // A channel on which something is still under way must not be used again: it is put back
        // once an answer came, and closed by being dropped in every other case, this call's
        // cancellation included.
        let outcome = Self::exchange(&channel, message).await;
        if outcome.as_ref().err().is_none_or(Unconfirmed::is_answer) {
            self.idle().push(channel);
        }
        outcome
    }

    async fn open(&self) -> lapin::Result<Channel> {
        let channel = self.connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        Ok(channel)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Channel>> {
        // Nothing panics while it is held, and a list of channels cannot be half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn exchange(channel: &Channel, message: &Outgoing) -> Result<(), Unconfirmed> {
        let routing_key = || message.routing_key.to_string();
        let mandatory = BasicPublishOptions {
            mandatory: true,
            ..Default::default()
        };
        let confirm = channel
            .basic_publish(
                message.exchange.clone(),
                message.routing_key.clone(),
                mandatory,
                &message.body,
                message.properties.clone(),
            )
            .await;
        let confirmation = match confirm {
            Ok(confirm) => confirm.await,
            Err(error) => Err(error),
        };
        match confirmation {
            Ok(Confirmation::Ack(None)) => Ok(()),
            Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => {
                let exchange = message.exchange.to_string();
                Err(Unconfirmed::Unroutable {
                    exchange,
                    routing_key: routing_key(),
                })
            }
            // Without confirm mode nothing is promised. It is always on.
            Ok(Confirmation::Nack(None) | Confirmation::NotRequested) => {
                Err(Unconfirmed::Refused {
                    routing_key: routing_key(),
                })
            }
            Err(source) if reply_code(&source) == Some(NOT_FOUND) => {
                let exchange = message.exchange.to_string();
                Err(Unconfirmed::NoExchange { exchange, source })
            }
            Err(source) => Err(source.into()),
        }
    }

    /// Returns when there is no use in waiting for a confirm any longer. Either the connection is
    /// dead, for the client does not end all that was under way on it; or the confirm has been due
    /// for too long. While the broker blocks the connection no confirm can come, and publishing
    /// again would only pile up duplicates: that time does not count.
    async fn given_up(&self, message: &Outgoing) -> Unconfirmed {
        const TICK: Duration = Duration::from_secs(1);
        let routing_key = || message.routing_key.to_string();
        let mut waited = Duration::ZERO;
        while waited < CONFIRM_LIMIT {
            tokio::time::sleep(TICK).await;
            let status = self.connection.status();
            if !status.connected() {
                let routing_key = routing_key();
                return Unconfirmed::Lost { routing_key };
            }
            if status.blocked() {
                waited = Duration::ZERO;
            } else {
                waited += TICK;
            }
        }
        Unconfirmed::TimedOut {
            routing_key: routing_key(),
            limit: CONFIRM_LIMIT,
        }
    }
}
