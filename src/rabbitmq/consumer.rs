//! The source of messages: one connection, a consumer for each of the three queues, rebuilt whole
//! whenever any part of it dies.
//!
//! The broker may close a channel (it does so to one that holds a message for longer than
//! `consumer_timeout`, 30 minutes by default), cancel a consumer, no longer answer, or be cut off.
//! Any of that ends the *life* of the connection with its consumers, and the supervisor starts
//! another, for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use lapin::Connection;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::acker::Marks;
use super::connection::{
    ConnectError, NOT_FOUND, Purpose, STEADY, Server, close, let_acks_land, reply_code, until_dead,
};
use super::declare::{self, TopologyError};
use super::life::Life;
use super::message::{self, Received};
use super::queue_consumer::{Plan, QueueConsumer};
use super::topology::{ObjectKind, Topology};
use crate::engine::faults::Faults;
use crate::engine::ports::{Message, Source};
use crate::reconnect::Reconnect;

/// How many messages of a queue lie between the client's buffer and the engine. Few: they are
/// already lost to this worker when the connection dies.
const HANDED_OUT: usize = 32;

/// How long finishing may take before the connection is closed regardless.
const FINISH_LIMIT: Duration = Duration::from_secs(10);

/// How long connecting, declaring and beginning to consume may take together: a broker that keeps
/// the connection alive and answers nothing must not hold up a worker for ever.
const BUILD_LIMIT: Duration = Duration::from_secs(30);

/// How to consume.
#[derive(Debug, Clone)]
pub struct ConsumerSettings {
    /// The broker.
    pub server: Server,
    /// The topology that is declared on the broker.
    pub topology: Arc<Topology>,
    /// How many unsettled events the worker may hold. Measured: 1,000 is as good as any more.
    pub prefetch_events: u16,
    /// How many unsettled single deliveries the worker may hold, and how many parts.
    pub prefetch_deliveries: u16,
    /// Whether to declare the topology on each connection, so that a broker that lost its queues
    /// gets them back.
    pub declare: bool,
    /// Where it is kept that no messages can be taken.
    pub faults: Arc<Faults>,
}

/// The source could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The broker's objects are not what they should be.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The broker keeps the connection and answers nothing.
    #[error("RabbitMQ did not answer within {BUILD_LIMIT:?}, asked to {asked}")]
    TimedOut {
        /// What the broker was asked to do: a single queue may be unresponsive.
        asked: String,
    },
    /// The broker does not let a queue be consumed.
    #[error("cannot consume the queue {queue}: {source}")]
    Consume {
        /// The queue.
        queue: String,
        /// Why.
        source: lapin::Error,
    },
}

impl StartError {
    /// Whether waiting may help.
    fn is_passing(&self) -> bool {
        match self {
            Self::TimedOut { .. } => true,
            Self::Connect(error) => error.is_passing(),
            Self::Topology(error) => error.is_passing(),
            Self::Consume { source, .. } => !source.is_amqp_soft_error(),
        }
    }
}

/// Stops and closes a source.
#[derive(Debug)]
pub struct SourceHandle {
    stop: CancellationToken,
    close: CancellationToken,
    supervisor: JoinHandle<()>,
}

impl SourceHandle {
    /// Takes no more messages: the source's channels close once they are empty, and what was
    /// buffered behind them goes back to its queue. Messages handed out can still be settled.
    pub fn stop_taking(&self) {
        self.stop.cancel();
    }

    /// Stops if that has not happened yet, acknowledges what is settled, and closes the
    /// connection. Messages that are not settled by then go back to their queue.
    pub async fn close(self) {
        self.stop.cancel();
        self.close.cancel();
        // A panic in it has been reported already.
        let _ = self.supervisor.await;
    }
}

/// Connects and starts to consume. Waits for a broker that is away; an error is one that waiting
/// does not mend, and names the object and what does. The same errors later are logged, and the
/// source goes on trying.
pub async fn start(settings: ConsumerSettings) -> Result<(Source, SourceHandle), StartError> {
    let (events_in, events) = mpsc::channel(HANDED_OUT);
    let (deliveries_in, deliveries) = mpsc::channel(HANDED_OUT);
    let (parts_in, parts) = mpsc::channel(HANDED_OUT);
    let (lost, lost_acks) = mpsc::unbounded_channel();
    let (proven, proven_acks) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let close = CancellationToken::new();
    let marks = Marks { lost, proven };
    let plan = |queue: &str, prefetch, decode: fn(Received) -> Message, messages| Plan {
        queue: queue.to_owned(),
        prefetch,
        decode,
        messages,
        marks: marks.clone(),
        stop: stop.clone(),
    };
    let topology = &settings.topology;
    let (many_events, many) = (settings.prefetch_events, settings.prefetch_deliveries);
    let (event, delivery) = (message::decode_event, message::decode_delivery);
    let plans = [
        plan(topology.events_queue(), many_events, event, events_in),
        plan(topology.deliveries_queue(), many, delivery, deliveries_in),
        plan(topology.parts_queue(), many, delivery, parts_in),
    ];
    let mut waits = Reconnect::new();
    let mut outage = OutageLog::default();
    let generation = loop {
        match Generation::build(&settings, &plans).await {
            Ok(generation) => break generation,
            Err(error) if error.is_passing() => outage.failed(&error.to_string()),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(waits.next_wait()).await;
    };
    outage.works();
    let supervisor = Supervisor {
        settings,
        plans,
        stop: stop.clone(),
        close: close.clone(),
        waits,
        outage,
    };
    let supervisor = tokio::spawn(supervisor.run(generation));
    let source = Source {
        events,
        deliveries,
        parts,
        lost_acks,
        proven_acks,
    };
    Ok((
        source,
        SourceHandle {
            stop,
            close,
            supervisor,
        },
    ))
}

struct Supervisor {
    settings: ConsumerSettings,
    plans: [Plan; 3],
    stop: CancellationToken,
    close: CancellationToken,
    waits: Reconnect,
    outage: OutageLog,
}

impl Supervisor {
    async fn run(mut self, mut generation: Generation) {
        let stop = self.stop.clone();
        loop {
            let reason = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                reason = generation.died() => reason,
            };
            self.trouble(&reason);
            if generation.born_at.elapsed() > STEADY {
                self.waits.succeeded();
            }
            generation.abandon();
            generation = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                generation = self.rebuild() => generation,
            };
            self.outage.works();
            self.settings.faults.no_messages(None);
        }
        // The last senders: the engine's receivers end with what is in them.
        drop(self.plans);
        self.close.cancelled().await;
        generation.finish().await;
    }

    async fn rebuild(&mut self) -> Generation {
        loop {
            tokio::time::sleep(self.waits.next_wait()).await;
            match Generation::build(&self.settings, &self.plans).await {
                Ok(generation) => return generation,
                Err(error) => self.trouble(&error.to_string()),
            }
        }
    }

    fn trouble(&mut self, reason: &str) {
        self.outage.failed(reason);
        self.settings.faults.no_messages(Some(reason.to_owned()));
    }
}

/// Finds the first thing wrong with the broker's objects, if somebody else is to declare them. A
/// missing delay queue would be noticed only when the first retry cannot be handed over.
async fn first_problem(
    settings: &ConsumerSettings,
    connection: &Connection,
) -> Result<Option<TopologyError>, TopologyError> {
    let check = declare::check(&settings.topology, connection).await?;
    // A user who may not declare may well consume: the comparison takes rights that this does not.
    let problem = |problem: &TopologyError| !matches!(problem, TopologyError::Forbidden { .. });
    Ok(check.problems.into_iter().find(problem))
}

/// One connection and what lives on it.
struct Generation {
    connection: Connection,
    consumers: Vec<QueueConsumer>,
    life: Life,
    born_at: Instant,
}

impl Generation {
    async fn build(settings: &ConsumerSettings, plans: &[Plan; 3]) -> Result<Self, StartError> {
        let mut asked = "let us in".to_owned();
        let building = Self::build_unbounded(settings, plans, &mut asked);
        let in_time = tokio::time::timeout(BUILD_LIMIT, building).await;
        in_time.unwrap_or(Err(StartError::TimedOut { asked }))
    }

    /// The same without a limit. `asked` always says what the broker is asked.
    async fn build_unbounded(
        settings: &ConsumerSettings,
        plans: &[Plan; 3],
        asked: &mut String,
    ) -> Result<Self, StartError> {
        let connection = settings.server.connect(Purpose::Consume).await?;
        *asked = "compare exchanges and queues".to_owned();
        if settings.declare {
            declare::apply(&settings.topology, &connection).await?;
        } else if let Some(problem) = first_problem(settings, &connection).await? {
            return Err(problem.into());
        }
        let life = Life::default();
        let mut consumers = Vec::with_capacity(plans.len());
        for plan in plans {
            *asked = format!("consume the queue {}", plan.queue);
            match QueueConsumer::open(plan, &connection, &life).await {
                Ok(consumer) => consumers.push(consumer),
                Err(source) => {
                    life.end("another queue could not be consumed");
                    let queue = plan.queue.clone();
                    return Err(if reply_code(&source) == Some(NOT_FOUND) {
                        TopologyError::Missing {
                            kind: ObjectKind::Queue,
                            name: queue,
                        }
                        .into()
                    } else {
                        StartError::Consume { queue, source }
                    });
                }
            }
        }
        Ok(Self {
            connection,
            consumers,
            life,
            born_at: Instant::now(),
        })
    }

    /// Returns why it died, once it has.
    async fn died(&self) -> String {
        tokio::select! {
            reason = self.life.ended() => reason.to_owned(),
            reason = until_dead(&self.connection) => reason,
        }
    }

    /// Gives it up. What is left of its connection is closed on the side.
    fn abandon(self) {
        self.life.end("the connection was given up");
        tokio::spawn(async move { close(&self.connection).await });
    }

    /// Acknowledges what is settled and closes the connection.
    async fn finish(self) {
        let consumers =
            futures::future::join_all(self.consumers.into_iter().map(QueueConsumer::finish));
        if tokio::time::timeout(FINISH_LIMIT, consumers).await.is_err() {
            tracing::warn!("the last acknowledgements could not be sent in time");
        }
        let_acks_land().await;
        close(&self.connection).await;
        self.life.end("the source was closed");
    }
}

/// Says in the log when consuming stops working, why, whenever that changes, and when it works
/// again: not with every try.
#[derive(Debug, Default)]
struct OutageLog {
    trouble: Option<(Instant, String)>,
}

impl OutageLog {
    fn failed(&mut self, reason: &str) {
        let since = match &self.trouble {
            Some((_, told)) if told == reason => return,
            Some((since, _)) => *since,
            None => Instant::now(),
        };
        tracing::warn!(reason, "cannot consume; trying again until it works");
        self.trouble = Some((since, reason.to_owned()));
    }

    fn works(&mut self) {
        if let Some((since, _)) = self.trouble.take() {
            tracing::warn!(seconds = since.elapsed().as_secs(), "consuming again");
        }
    }
}
