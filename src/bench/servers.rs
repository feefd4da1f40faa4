//! The RabbitMQ and Redis that are measured on, and every namespace that was made there.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use redis::cmd;
use url::Url;
use uuid::Uuid;

use crate::app;
use crate::config::{Config, NotSet};
use crate::rabbitmq::connection::{self, Purpose};
use crate::rabbitmq::topology::ObjectKind;
use crate::redis::connection::Connection;

use super::error::BenchError;
use super::usage;

/// How long the removal of everything may take.
const REMOVAL_LIMIT: Duration = Duration::from_secs(60);

/// The servers, and the namespaces that are not removed yet.
#[derive(Debug)]
pub struct Servers {
    given: Config,
    /// The beginning of every namespace's name.
    base: String,
    made: AtomicU64,
    namespaces: Mutex<BTreeSet<String>>,
    broker: Result<u32, String>,
    redis: Result<u32, String>,
}

impl Servers {
    /// The servers that these settings name.
    pub fn new(given: &Config) -> Result<Self, NotSet> {
        let broker = Url::parse(given.amqp_url()?.expose()).ok();
        let redis = Url::parse(given.redis_url()?.expose()).ok();
        let id = Uuid::new_v4().simple().to_string();
        Ok(Self {
            given: given.clone(),
            base: format!("bench-{}", &id[..16]),
            made: AtomicU64::new(0),
            namespaces: Mutex::default(),
            broker: process(broker, 5672, &["beam.smp", "beam"]),
            redis: process(redis, 6379, &["redis-server", "valkey-server"]),
        })
    }

    /// The beginning of every namespace's name; a number follows, from 1.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The process of the broker, if it is on this machine.
    pub fn broker(&self) -> Option<u32> {
        self.broker.as_ref().ok().copied()
    }

    /// The process of Redis, if it is on this machine.
    pub fn redis(&self) -> Option<u32> {
        self.redis.as_ref().ok().copied()
    }

    /// Whose CPU is left out, and why.
    pub fn left_out(&self) -> Vec<String> {
        let of = |server: &str, process: &Result<u32, String>| {
            let reason = process.as_ref().err()?;
            Some(format!("the CPU of {server}: {reason}"))
        };
        let both = [of("RabbitMQ", &self.broker), of("Redis", &self.redis)];
        both.into_iter().flatten().collect()
    }

    /// Settings on these servers in a namespace that nobody else has, to be removed with
    /// [`remove`](Self::remove); all else is at its default, but that it may post to this machine.
    pub fn new_namespace(&self) -> Config {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        let namespace = format!("{}-{number}", self.base);
        self.namespaces().insert(namespace.clone());
        Config {
            namespace,
            amqp: self.given.amqp.clone(),
            redis: self.given.redis.clone(),
            allow_http: true,
            allow_networks: vec![loopback()],
            ..Config::default()
        }
    }

    /// Removes a namespace: exchange, queues and keys.
    pub async fn remove(&self, config: &Config) -> Result<(), BenchError> {
        let connection = app::server(config, "bench")?
            .connect(Purpose::Topology)
            .await?;
        let channel = connection.create_channel().await?;
        for object in app::topology(config).objects() {
            let name = object.name.as_str().into();
            match object.kind {
                ObjectKind::Queue => {
                    channel
                        .queue_delete(name, QueueDeleteOptions::default())
                        .await?;
                }
                ObjectKind::Exchange => {
                    channel
                        .exchange_delete(name, ExchangeDeleteOptions::default())
                        .await?;
                }
            }
        }
        connection::close(&connection).await;
        self.remove_keys(config).await?;
        self.namespaces().remove(&config.namespace);
        Ok(())
    }

    /// Removes every namespace that is still there, one after the other even if one fails; gives
    /// the first error, and the names of those that remain.
    pub async fn remove_all(&self) -> Result<(), (BenchError, Vec<String>)> {
        let left: Vec<String> = self.namespaces().iter().cloned().collect();
        let mut first = None;
        let removing = async {
            for namespace in left {
                let config = Config {
                    namespace,
                    ..self.given.clone()
                };
                if let Err(error) = self.remove(&config).await {
                    first.get_or_insert(error);
                }
            }
        };
        if tokio::time::timeout(REMOVAL_LIMIT, removing).await.is_err() {
            first.get_or_insert(BenchError::Late {
                what: "the removal of what the bench made".to_owned(),
                limit: REMOVAL_LIMIT,
            });
        }
        match first {
            None => Ok(()),
            Some(error) => Err((error, self.namespaces().iter().cloned().collect())),
        }
    }

    async fn remove_keys(&self, config: &Config) -> Result<(), BenchError> {
        let url = config.redis_url().map_err(app::ServerError::from)?;
        let redis = Connection::open(url.expose())?;
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor)
                .arg("MATCH")
                .arg(format!("{}:*", config.namespace));
            scan.arg("COUNT").arg(1000);
            let (next, keys): (u64, Vec<String>) = redis.call(&scan).await?;
            if !keys.is_empty() {
                redis.call::<()>(cmd("UNLINK").arg(keys)).await?;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }

    fn namespaces(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands these settings to a process of this program, as far as they differ from the defaults. By
/// its environment: other users of the machine cannot read that.
pub fn hand_over(config: &Config, command: &mut Command) {
    command.env("PRISM_NAMESPACE", &config.namespace);
    command.env("PRISM_ALLOW_HTTP", "true");
    command.env("PRISM_ALLOW_NETWORKS", loopback().to_string());
    if let Some(url) = &config.amqp.url {
        command.env("PRISM_AMQP_URL", url.expose());
    }
    if let Some(url) = &config.redis.url {
        command.env("PRISM_REDIS_URL", url.expose());
    }
}

/// This machine's own addresses.
pub fn loopback() -> ipnet::IpNet {
    ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::new(127, 0, 0, 0), 8).into()
}

fn process(url: Option<Url>, usual: u16, names: &[&str]) -> Result<u32, String> {
    let url = url.ok_or("its URL names no host")?;
    let host = url.host_str().ok_or("its URL names no host")?;
    usage::listener(
        host.trim_matches(['[', ']']),
        url.port().unwrap_or(usual),
        names,
    )
}
