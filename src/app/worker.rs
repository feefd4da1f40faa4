//! The worker: the engine at work on one of the two kinds of store, started and stopped in order.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::StartError;
use super::handles::Shares;
use crate::config::Config;
use crate::embedded::Embedded;
use crate::embedded::source::SourceHandle as EmbeddedSource;
use crate::engine::faults::Faults;
use crate::engine::ports::Source;
use crate::engine::{Engine, Ports};
use crate::http::HttpSender;
use crate::rabbitmq::consumer::{self, SourceHandle};
use crate::rabbitmq::publisher::Publisher;
use crate::redis::board::RedisBoard;
use crate::redis::log::RedisLog;
use crate::redis::pauses::RedisPauses;
use crate::redis::rates::RedisRates;
use crate::redis::subscriptions::{RedisSubscriptions, SubscriptionsSettings};

/// How long a stopping worker waits for the last entries of the log.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// A worker, ready to run.
pub struct Worker {
    name: String,
    engine: Arc<Engine>,
    source: Source,
    store: Store,
    stop: CancellationToken,
}

/// What has to be stopped and written out behind the engine.
enum Store {
    Servers {
        source: SourceHandle,
        publisher: Publisher,
        log: Arc<RedisLog>,
    },
    Embedded {
        source: EmbeddedSource,
        embedded: Box<Embedded>,
    },
}

impl Worker {
    /// Starts everything on RabbitMQ and Redis, the source of messages last. Waits for servers that
    /// are away; an error is one that waiting does not mend. Stops when `stop` is cancelled.
    pub async fn on_servers(
        config: &Config,
        shares: Shares,
        faults: Arc<Faults>,
        stop: CancellationToken,
    ) -> Result<Self, StartError> {
        let name = super::worker_name(config);
        let server = super::server(config, &name)?;
        let topology = Arc::new(super::topology(config));
        let (redis, keys) = (super::redis(config)?, super::keys(config));

        let log_settings = super::log_settings(config);
        let rates = RedisRates::new(redis.clone(), keys.clone());
        let board = RedisBoard::new(redis.clone(), keys.clone());
        let pauses = Arc::new(RedisPauses::new(redis.clone(), keys.clone()));
        let log = RedisLog::start(redis.clone(), keys.clone(), log_settings);
        let log = Arc::new(log);
        let subscriptions = RedisSubscriptions::start(
            redis,
            keys,
            super::document_reader(config),
            SubscriptionsSettings {
                max_organizations: config.subscriptions.max_organizations,
                max_age: config.subscriptions.max_age,
            },
            pauses.clone(),
        );
        // It goes on until everything in flight is settled, which is after `stop`.
        let publisher =
            Publisher::start(server.clone(), topology.clone(), CancellationToken::new());
        let ports = Ports {
            handover: Arc::new(publisher.clone()),
            subscriptions: Arc::new(subscriptions),
            log: log.clone(),
            rates: Arc::new(rates),
            board: Arc::new(board.written_by(&name)),
            pauses,
            sender: Arc::new(HttpSender::new(super::sender_settings(
                config,
                shares.idle,
            ))?),
            faults,
        };
        let engine = Engine::new(
            super::engine_settings(config, shares, &name),
            ports,
            stop.clone(),
        );
        let (source, handle) = consumer::start(consumer::Settings {
            server,
            topology,
            prefetch_events: super::prefetch(config),
            prefetch_deliveries: super::prefetch(config),
            declare: config.worker.declare_topology,
        })
        .await
        .map_err(|error| StartError::Source(Box::new(error)))?;
        Ok(Self {
            name,
            engine,
            source,
            store: Store::Servers {
                source: handle,
                publisher,
                log,
            },
            stop,
        })
    }

    /// Starts on an embedded store, the only worker that it has. Stops when `stop` is cancelled.
    pub fn on_embedded(
        config: &Config,
        embedded: Embedded,
        shares: Shares,
        faults: Arc<Faults>,
        stop: CancellationToken,
    ) -> Result<Self, StartError> {
        let name = super::worker_name(config);
        let sender = Arc::new(HttpSender::new(super::sender_settings(
            config,
            shares.idle,
        ))?);
        let ports = embedded.ports(sender, faults);
        let engine = Engine::new(
            super::engine_settings(config, shares, &name),
            ports,
            stop.clone(),
        );
        let (source, handle) = embedded.source();
        Ok(Self {
            name,
            engine,
            source,
            store: Store::Embedded {
                source: handle,
                embedded: Box::new(embedded),
            },
            stop,
        })
    }

    /// The worker's name in the records.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Delivers until told to stop; then finishes what is in flight, returns the rest, writes out
    /// the log, and tells what was done. An embedded store is closed with it.
    pub async fn run(self) -> String {
        let stop_taking = async {
            self.stop.cancelled().await;
            match &self.store {
                Store::Servers { source, .. } => source.stop_taking(),
                Store::Embedded { source, .. } => source.stop_taking(),
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = self.engine.run(self.source) => {}
            () = stop_taking => {}
        }
        self.store.close().await;
        self.engine.counters().to_string()
    }
}

impl Store {
    async fn close(self) {
        match self {
            Self::Servers {
                source,
                publisher,
                log,
            } => {
                let flushing = tokio::time::timeout(FLUSH_LIMIT, log.flush());
                if flushing.await.is_err() {
                    tracing::warn!(
                        "the last entries of the log could not be written: Redis is away"
                    );
                }
                publisher.close().await;
                source.close().await;
            }
            Self::Embedded { source, embedded } => embedded.close(source).await,
        }
    }
}
