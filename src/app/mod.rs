//! The composition root: what the settings are made into, what is started, in what order, and how
//! it is stopped.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::{Config, KeepBodies, NotSet};
use crate::domain::admission::Bounds;
use crate::domain::delay::Steps;
use crate::domain::egress::Egress;
use crate::domain::endpoint::EndpointRules;
use crate::domain::event::EventRules;
use crate::domain::ids::EventType;
use crate::domain::retry::RetryPolicy;
use crate::domain::verdict::DisablePolicy;
use crate::embedded::database::Database;
use crate::embedded::{self, Embedded};
use crate::engine::clock::Clock;
use crate::engine::ports::Source;
use crate::engine::{self, Engine, Ports};
use crate::http::{self, HttpSender};
use crate::rabbitmq::connection::{InvalidUrl, Server};
use crate::rabbitmq::consumer::{self, SourceHandle};
use crate::rabbitmq::publisher::Publisher;
use crate::rabbitmq::topology::Topology;
use crate::redis::attempts::Attempts;
use crate::redis::connection::Connection;
use crate::redis::error::InvalidRedisUrl;
use crate::redis::keys::Keys;
use crate::redis::log::{LogSettings, RedisLog};
use crate::redis::subscriptions::{RedisSubscriptions, SubscriptionsSettings};
use crate::redis::webhooks as redis_webhooks;
use crate::registry::documents::DocumentReader;
use crate::registry::secrets::{Sealer, SecretKey};
use crate::registry::webhooks::Webhooks;

/// How long a stopping worker waits for the last entries of the log.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Why the settings name no usable server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A server is not named.
    #[error(transparent)]
    NotSet(#[from] NotSet),
    /// RabbitMQ's URL cannot be used.
    #[error(transparent)]
    AmqpUrl(#[from] InvalidUrl),
    /// Redis's URL cannot be used.
    #[error(transparent)]
    RedisUrl(#[from] InvalidRedisUrl),
}

/// Why a worker could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings name no usable server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The HTTP client cannot be set up.
    #[error(transparent)]
    Sender(#[from] http::BuildError),
    /// The broker does not let the worker consume.
    #[error(transparent)]
    Source(Box<consumer::StartError>),
}

// ------------------------------------------------------------------ what the settings are made into

/// The exchanges and queues of this deployment.
pub fn topology(config: &Config) -> Topology {
    Topology::new(
        &config.namespace,
        &event_types(config),
        config.delay.longest,
    )
}

/// What counts as an event here: the configured types, and our own.
pub fn event_rules(config: &Config) -> EventRules {
    let own = EventType::webhook_disabled();
    EventRules {
        event_types: event_types(config).into_iter().chain([own]).collect(),
        max_size: config.max_event_size,
    }
}

fn event_types(config: &Config) -> Vec<EventType> {
    // The settings have been checked against the same rules.
    config
        .event_types
        .iter()
        .filter_map(|name| EventType::new(name).ok())
        .collect()
}

/// The RabbitMQ of this deployment; `client` names the program in the broker's lists.
pub fn server(config: &Config, client: &str) -> Result<Server, ServerError> {
    Ok(Server::new(
        config.amqp_url()?.expose(),
        format!("prism-webhooks {client}"),
    )?)
}

/// The registered webhooks, for commands.
pub fn webhooks(config: &Config) -> Result<Webhooks, ServerError> {
    Ok(redis_webhooks::webhooks(
        redis(config)?,
        keys(config),
        document_reader(config),
    ))
}

/// The record of attempts, for commands.
pub fn attempts(config: &Config) -> Result<Attempts, ServerError> {
    Ok(Attempts::new(redis(config)?, keys(config)))
}

/// The embedded store in `directory`, in place of RabbitMQ and Redis; must be called on a Tokio
/// runtime. The engine on top of it is stopped like a [`Worker`]: first the source stops taking,
/// then the engine ends, then [`Embedded::close`] settles and writes what is left.
pub fn embedded(config: &Config, directory: &Path) -> Result<Embedded, embedded::StartError> {
    let settings = embedded::Settings {
        log: log_settings(config),
        max_organizations: config.subscriptions.max_organizations,
        prefetch: usize::from(config.worker.prefetch),
        clock: Clock::system(),
    };
    let database = Arc::new(Database::open(directory)?);
    Ok(Embedded::start(
        database,
        document_reader(config),
        settings,
    )?)
}

fn redis(config: &Config) -> Result<Connection, ServerError> {
    Ok(Connection::open(config.redis_url()?.expose())?)
}

fn keys(config: &Config) -> Keys {
    Keys::new(&config.namespace)
}

fn document_reader(config: &Config) -> DocumentReader {
    let key = config.secret_key.as_ref();
    DocumentReader::new(
        Sealer::new(key.map(|key| SecretKey::new(*key.expose()))),
        EndpointRules {
            allow_http: config.allow_http,
        },
    )
}

fn engine_settings(config: &Config, worker: &str) -> engine::Settings {
    engine::Settings {
        events: event_rules(config),
        retry: RetryPolicy {
            initial: config.retry.initial,
            factor: config.retry.factor,
            max_delay: config.retry.max_delay,
            max_attempts: config.retry.max_attempts,
        },
        disable: DisablePolicy {
            after: config.disable.after,
            on_gone: config.disable.on_gone,
        },
        steps: Steps::up_to(config.delay.longest),
        bounds: Bounds {
            max_in_flight: u32::try_from(config.worker.webhook_max_in_flight).unwrap_or(u32::MAX),
            line_wait: config.worker.line_wait,
            attempt_timeout: config.send.timeout,
        },
        max_in_flight: config.worker.max_in_flight,
        fanout_inline_max: config.worker.fanout_inline_max,
        keep_all_bodies: config.log.keep_bodies == KeepBodies::All,
        worker: worker.to_owned(),
        grace: config.worker.grace,
        clock: Clock::system(),
    }
}

fn sender_settings(config: &Config) -> http::Settings {
    http::Settings {
        connect_timeout: config.send.connect_timeout,
        timeout: config.send.timeout,
        read_limit: config.send.read_limit,
        keep_limit: config.send.keep_limit,
        idle_connections: config.send.idle_connections,
        idle_timeout: config.send.idle_timeout,
        egress: Egress {
            allow: config.allow_networks.clone(),
        },
        ..http::Settings::default()
    }
}

fn log_settings(config: &Config) -> LogSettings {
    LogSettings {
        attempts_kept: config.log.attempts_kept as u64,
        attempts_kept_per_webhook: config.log.attempts_kept_per_webhook as u64,
        deliveries_kept: config.log.deliveries_kept,
        batch: config.log.batch,
    }
}

/// The worker's name in the records: the configured one, or host name and process id.
fn worker_name(config: &Config) -> String {
    config.worker.name.clone().unwrap_or_else(|| {
        let host = hostname::get().unwrap_or_default();
        format!("{}-{}", host.to_string_lossy(), std::process::id())
    })
}

// ----------------------------------------------------------------------------------- the worker

/// A worker on RabbitMQ and Redis.
pub struct Worker {
    name: String,
    engine: Arc<Engine>,
    source: Source,
    source_handle: SourceHandle,
    publisher: Publisher,
    log: Arc<RedisLog>,
    stop: CancellationToken,
}

impl Worker {
    /// Starts everything, the source of messages last. Waits for servers that are away; an error is
    /// one that waiting does not mend. Stops when `stop` is cancelled.
    pub async fn start(config: &Config, stop: CancellationToken) -> Result<Self, StartError> {
        let name = worker_name(config);
        let server = server(config, &name)?;
        let topology = Arc::new(topology(config));
        let (redis, keys) = (redis(config)?, keys(config));

        let log = Arc::new(RedisLog::start(
            redis.clone(),
            keys.clone(),
            log_settings(config),
        ));
        let subscriptions = RedisSubscriptions::start(
            redis,
            keys,
            document_reader(config),
            SubscriptionsSettings {
                max_organizations: config.subscriptions.max_organizations,
                max_age: config.subscriptions.max_age,
            },
        );
        let sender = HttpSender::new(sender_settings(config))?;
        // It goes on until everything in flight is settled, which is after `stop`.
        let publisher =
            Publisher::start(server.clone(), topology.clone(), CancellationToken::new());
        let ports = Ports {
            handover: Arc::new(publisher.clone()),
            subscriptions: Arc::new(subscriptions),
            log: log.clone(),
            sender: Arc::new(sender),
        };
        let engine = Engine::new(engine_settings(config, &name), ports, stop.clone());
        let (source, source_handle) = consumer::start(consumer::Settings {
            server,
            topology,
            prefetch_events: config.worker.prefetch,
            prefetch_deliveries: config.worker.prefetch,
            declare: config.worker.declare_topology,
        })
        .await
        .map_err(|error| StartError::Source(Box::new(error)))?;
        Ok(Self {
            name,
            engine,
            source,
            source_handle,
            publisher,
            log,
            stop,
        })
    }

    /// The worker's name in the records.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Delivers until told to stop; then finishes what is in flight, returns the rest, writes out
    /// the log, and tells what was done.
    pub async fn run(self) -> String {
        let stop_taking = async {
            self.stop.cancelled().await;
            self.source_handle.stop_taking();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = self.engine.run(self.source) => {}
            () = stop_taking => {}
        }
        if tokio::time::timeout(FLUSH_LIMIT, self.log.flush())
            .await
            .is_err()
        {
            tracing::warn!("the last entries of the log could not be written: Redis is away");
        }
        self.publisher.close().await;
        self.source_handle.close().await;
        self.engine.counters().to_string()
    }
}
