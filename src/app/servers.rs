//! A deployment on RabbitMQ and Redis.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::backend::{AtWork, Backend, Behind, ForEngine};
use super::{ServerError, StartError};
use crate::config::Config;
use crate::engine::Ports;
use crate::engine::ports::LogWriter;
use crate::rabbitmq::consumer::{self, SourceHandle};
use crate::rabbitmq::dead_letter_queue::DeadLetterQueue;
use crate::rabbitmq::publisher::Publisher;
use crate::redis::audit::RedisAuditLog;
use crate::redis::board::RedisBoard;
use crate::redis::calendars::RedisCalendars;
use crate::redis::connection::Connection;
use crate::redis::delivery_log::RedisDeliveryLog;
use crate::redis::keys::Keys;
use crate::redis::letters::RedisLetters;
use crate::redis::log_writer::RedisLogWriter;
use crate::redis::pauses::RedisPauses;
use crate::redis::sessions::RedisSessions;
use crate::redis::subscriptions::{RedisSubscriptions, SubscriptionsSettings};
use crate::redis::webhooks as redis_webhooks;
use crate::registry::webhooks::Webhooks;
use crate::store::audit::AuditLog;
use crate::store::dead_letters::DeadLetters;
use crate::store::delivery_log::DeliveryLog;
use crate::store::intake::Intake;
use crate::store::sessions::Sessions;

/// How long a stopping worker waits for the last entries of the log.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// The backend on RabbitMQ and Redis.
pub(super) struct OnServers {
    config: Config,
    client: &'static str,
    /// Connects once something is to be published.
    publisher: OnceLock<Publisher>,
}

impl OnServers {
    pub(super) fn new(config: &Config, client: &'static str) -> Self {
        Self {
            config: config.clone(),
            client,
            publisher: OnceLock::new(),
        }
    }
}

/// The registered webhooks in Redis.
pub fn webhooks(config: &Config) -> Result<Webhooks, ServerError> {
    let reader = super::document_reader(config);
    Ok(redis_webhooks::webhooks(
        redis(config)?,
        keys(config),
        reader,
        super::audit_kept(config),
    ))
}

/// A publisher that connects in the background; it is to be closed.
pub fn publisher(config: &Config, client: &str) -> Result<Publisher, ServerError> {
    let server = super::server(config, client)?;
    let topology = Arc::new(super::topology(config));
    Ok(Publisher::start(server, topology, CancellationToken::new()))
}

#[async_trait]
impl Backend for OnServers {
    fn webhooks(&self) -> Result<Webhooks, ServerError> {
        webhooks(&self.config)
    }

    fn intake(&self) -> Result<Arc<dyn Intake>, ServerError> {
        let publisher = match self.publisher.get() {
            Some(publisher) => publisher,
            None => {
                let new = publisher(&self.config, self.client)?;
                self.publisher.get_or_init(|| new)
            }
        };
        Ok(Arc::new(publisher.clone()))
    }

    fn delivery_log(&self) -> Result<Arc<dyn DeliveryLog>, ServerError> {
        let (redis, keys) = (redis(&self.config)?, keys(&self.config));
        Ok(Arc::new(RedisDeliveryLog::new(&redis, &keys)))
    }

    fn dead_letters(&self) -> Result<Arc<dyn DeadLetters>, ServerError> {
        let server = super::server(&self.config, self.client)?;
        let topology = Arc::new(super::topology(&self.config));
        let index = Arc::new(RedisLetters::new(redis(&self.config)?, keys(&self.config)));
        Ok(Arc::new(DeadLetterQueue::new(server, topology, index)))
    }

    fn audit_log(&self) -> Result<Arc<dyn AuditLog>, ServerError> {
        let (redis, keys) = (redis(&self.config)?, keys(&self.config));
        let kept = super::audit_kept(&self.config);
        Ok(Arc::new(RedisAuditLog::new(redis, keys, kept)))
    }

    fn sessions(&self) -> Result<Arc<dyn Sessions>, ServerError> {
        let (redis, keys) = (redis(&self.config)?, keys(&self.config));
        Ok(Arc::new(RedisSessions::new(redis, keys)))
    }

    fn log_writer(&self) -> Result<Arc<dyn LogWriter>, ServerError> {
        let (redis, keys) = (redis(&self.config)?, keys(&self.config));
        let settings = super::log_settings(&self.config);
        Ok(Arc::new(RedisLogWriter::start(redis, keys, settings)))
    }

    async fn set_to_work(&self, engine: ForEngine) -> Result<AtWork, StartError> {
        let config = &self.config;
        let server = super::server(config, &engine.worker)?;
        let topology = Arc::new(super::topology(config));
        let (redis, keys) = (redis(config)?, keys(config));
        let reader = super::document_reader(config);
        let audit = super::audit_kept(config);
        let webhooks = redis_webhooks::webhooks(redis.clone(), keys.clone(), reader.clone(), audit);
        super::keys::check(&webhooks).await?;

        let faults = engine.faults;
        let pauses = Arc::new(RedisPauses::new(redis.clone(), keys.clone()));
        let board = RedisBoard::new(redis.clone(), keys.clone());
        let log_settings = super::log_settings(config);
        let log = Arc::new(RedisLogWriter::start(
            redis.clone(),
            keys.clone(),
            log_settings,
        ));
        // The publisher goes on until everything in flight is settled: after the source has ended.
        let stop = CancellationToken::new();
        let letters = Arc::new(RedisLetters::new(redis.clone(), keys.clone()));
        let publisher =
            Publisher::start(server.clone(), topology.clone(), stop).with_index(letters);
        let ports = Ports {
            handover: Arc::new(publisher.clone()),
            calendars: Arc::new(RedisCalendars::new(redis.clone(), keys.clone())),
            subscriptions: Arc::new(RedisSubscriptions::start(
                redis,
                keys,
                reader,
                SubscriptionsSettings {
                    max_organizations: config.subscriptions.max_organizations,
                    max_age: config.subscriptions.max_age,
                    audit,
                },
                pauses.clone(),
            )),
            log: log.clone(),
            board: Arc::new(board.written_by(&engine.worker)),
            pauses,
            sender: engine.sender,
            faults: faults.clone(),
        };
        let (source, handle) = consumer::start(consumer::ConsumerSettings {
            server,
            topology,
            prefetch_events: super::prefetch(config),
            prefetch_deliveries: super::prefetch(config),
            declare: config.worker.declare_topology,
            faults,
        })
        .await
        .map_err(|error| StartError::Source(Box::new(error)))?;
        let behind = Box::new(BehindEngine {
            source: handle,
            publisher,
            log,
        });
        Ok(AtWork {
            ports,
            source,
            behind,
        })
    }

    fn describe(&self) -> String {
        format!("on RabbitMQ and Redis, namespace {}", self.config.namespace)
    }

    async fn close(&self) {
        if let Some(publisher) = self.publisher.get() {
            publisher.close().await;
        }
    }
}

/// What is to be ended behind an engine.
struct BehindEngine {
    source: SourceHandle,
    publisher: Publisher,
    log: Arc<RedisLogWriter>,
}

#[async_trait]
impl Behind for BehindEngine {
    fn stop_taking(&self) {
        self.source.stop_taking();
    }

    async fn close(self: Box<Self>) {
        let flushing = tokio::time::timeout(FLUSH_LIMIT, self.log.flush());
        if flushing.await.is_err() {
            tracing::warn!("the last entries of the log could not be written: Redis is away");
        }
        self.publisher.close().await;
        self.source.close().await;
    }
}

fn redis(config: &Config) -> Result<Connection, ServerError> {
    Ok(Connection::open(config.redis_url()?.expose())?)
}

fn keys(config: &Config) -> Keys {
    Keys::new(&config.namespace)
}
