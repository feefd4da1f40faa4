//! Publishing with a confirm: one message a channel at a time, many channels.
//!
//! Why not many messages on one channel: when RabbitMQ returns an unroutable message and confirms
//! it together with others, lapin 4 hands the return to whichever of them it comes upon first. A
//! message that went nowhere would then pass for confirmed. And an exchange that is missing closes
//! the channel, and would take the confirms of all the others with it. With one message on a
//! channel neither can happen, and a confirm that is overdue spoils nothing but its own channel.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{Channel, Confirmation, Connection};
use tokio::sync::Semaphore;

use super::connection::{ACCESS_REFUSED, NOT_FOUND, reply_code};
use super::message::Outgoing;

/// How many messages are under way at once, at most, each on a channel of its own. Channels are
/// opened as they are needed, and kept.
pub(super) const CHANNELS: usize = 64;

/// How long a confirm may take on a connection that the broker does not block.
const CONFIRM_LIMIT: Duration = Duration::from_secs(30);

/// How long a confirm may take when somebody waits for an answer.
const BRIEF_LIMIT: Duration = Duration::from_secs(10);

/// How long the broker may block the connection when somebody waits for an answer.
const BLOCKED_LIMIT: Duration = Duration::from_secs(1);

/// How long the answer to a question may take.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(5);

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
    /// The broker's user may not publish there.
    #[error(
        "RabbitMQ does not let this user publish to {}: it needs the write permission \
         (rabbitmqctl set_permissions)",
        exchange_name(exchange)
    )]
    NotPermitted {
        /// The exchange.
        exchange: String,
        /// The broker's answer.
        source: lapin::Error,
    },
    /// The broker has too little memory or disk, and takes nothing; this was not published.
    #[error(
        "RabbitMQ takes no messages at present: it is short of memory or disk, and says so in its log. \
         Nothing was published"
    )]
    Blocked,
    /// The same, and the broker may have it all the same, or take it once it is no longer short.
    #[error(
        "RabbitMQ takes no messages at present: it is short of memory or disk, and says so in its log. \
         What was on its way may still be taken once it no longer is; publish again under the same id, so \
         that receivers can tell"
    )]
    BlockedMeanwhile,
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

/// How long a confirm is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// As long as it may come: for ever while the broker blocks the connection, for publishing again
    /// would only pile up duplicates.
    WhileItMayCome,
    /// A few seconds: somebody waits for an answer, and is told what is not known.
    Briefly,
}

/// Publishes on one connection, until that dies.
#[derive(Debug)]
pub struct Confirmer {
    connection: Connection,
    slots: Semaphore,
    idle: Mutex<Vec<Channel>>,
    /// Whether the broker said that its user may publish.
    pub(super) permitted: AtomicBool,
}

impl Confirmer {
    /// Publishes on `connection`.
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            slots: Semaphore::new(CHANNELS),
            idle: Mutex::new(Vec::new()),
            permitted: AtomicBool::new(false),
        }
    }

    /// The connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Publishes `message`, mandatory, and returns once the broker has confirmed that it keeps it.
    pub async fn publish(&self, message: &Outgoing, patience: Patience) -> Result<(), Unconfirmed> {
        if patience == Patience::Briefly && self.connection.status().blocked() {
            return Err(Unconfirmed::Blocked);
        }
        let begun = AtomicBool::new(false);
        let publishing = async {
            // The semaphore is never closed; were it, publishing without a slot would do no harm.
            let _slot = self.slots.acquire().await.ok();
            begun.store(true, Ordering::Relaxed);
            self.publish_on_a_channel(message).await
        };
        tokio::select! {
            biased;
            outcome = publishing => outcome,
            given_up = self.given_up(message, patience, &begun) => Err(given_up),
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
            Err(source) => Err(refusal(message.exchange.as_str(), source)),
        }
    }

    /// Returns when there is no use in waiting for a confirm any longer. Either the connection is
    /// dead, for the client does not end all that was under way on it; or the confirm has been due
    /// for too long. While the broker blocks the connection no confirm can come: that time does not
    /// count, but for whoever waits briefly, that is up. Nor does the wait for a turn.
    async fn given_up(
        &self,
        message: &Outgoing,
        patience: Patience,
        begun: &AtomicBool,
    ) -> Unconfirmed {
        const TICK: Duration = Duration::from_millis(250);
        let limit = match patience {
            Patience::WhileItMayCome => CONFIRM_LIMIT,
            Patience::Briefly => BRIEF_LIMIT,
        };
        let routing_key = || message.routing_key.to_string();
        let (mut waited, mut blocked) = (Duration::ZERO, Duration::ZERO);
        while waited < limit {
            tokio::time::sleep(TICK).await;
            let (status, begun) = (self.connection.status(), begun.load(Ordering::Relaxed));
            if !status.connected() {
                let routing_key = routing_key();
                return Unconfirmed::Lost { routing_key };
            }
            if status.blocked() {
                (waited, blocked) = (Duration::ZERO, blocked + TICK);
            } else if begun {
                (waited, blocked) = (waited + TICK, Duration::ZERO);
            }
            if patience == Patience::Briefly && blocked >= BLOCKED_LIMIT {
                return match begun {
                    true => Unconfirmed::BlockedMeanwhile,
                    false => Unconfirmed::Blocked,
                };
            }
        }
        Unconfirmed::TimedOut {
            routing_key: routing_key(),
            limit,
        }
    }
}

/// The broker's answer to what was asked of an exchange.
pub(super) fn refusal(exchange: &str, source: lapin::Error) -> Unconfirmed {
    let exchange = exchange.to_owned();
    match reply_code(&source) {
        Some(NOT_FOUND) => Unconfirmed::NoExchange { exchange, source },
        Some(ACCESS_REFUSED) => Unconfirmed::NotPermitted { exchange, source },
        _ => source.into(),
    }
}
