//! The composition root: what the settings are made into, what is started, in what order, and how
//! it is stopped.
//!
//! | file | what it does |
//! |---|---|
//! | [`backend`] | opens what the mode asks for, here and nowhere else |
//! | `servers`, `embedded` | the two backends: RabbitMQ and Redis, or SQLite |
//! | `worker`, `run` | start and stop a worker; and one process that does everything |
//! | `keys` | checks at start whether the settings have the keys that webhooks are sealed with |
//! | [`handles`] | shares the open files among those who need them |

pub mod backend;
mod embedded;
pub mod handles;
mod keys;
mod run;
mod servers;
mod worker;

use std::sync::Arc;

use backend::{Backend, NoData};
use embedded::OnEmbedded;
use handles::Shares;
pub use keys::LacksKeys;
pub use run::{Run, Scope};
use servers::OnServers;
pub use servers::{publisher, webhooks};
pub use worker::Worker;

use crate::config::{Config, KeepBodies, NotSet};
use crate::domain::admission::Bounds;
use crate::domain::delay::Steps;
use crate::domain::egress::Egress;
use crate::domain::endpoint::EndpointRules;
use crate::domain::event::EventRules;
use crate::domain::ids::EventType;
use crate::domain::retry::RetryPolicy;
use crate::domain::verdict::DisablePolicy;
use crate::engine;
use crate::engine::clock::Clock;
use crate::engine::faults::Faults;
use crate::engine::random::RandomSource;
use crate::http::{self, HttpSender};
use crate::operations::test::Tester;
use crate::rabbitmq::connection::{InvalidUrl, Server};
use crate::rabbitmq::consumer;
use crate::rabbitmq::topology::Topology;
use crate::redis::error::InvalidRedisUrl;
use crate::registry::documents::DocumentReader;
use crate::registry::limits::Limits;
use crate::registry::secrets::SecretCipher;
use crate::store::audit::AuditKept;
use crate::store::retention::DeliveryLogSettings;
use crate::web::PortLimits;

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

/// Why something could not be started.
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
    /// The embedded store cannot be used.
    #[error(transparent)]
    Embedded(#[from] crate::embedded::StartError),
    /// There is no embedded data.
    #[error(transparent)]
    NoData(#[from] NoData),
    /// Webhooks are sealed with other keys.
    #[error(transparent)]
    Keys(#[from] LacksKeys),
    /// API and page cannot be served.
    #[error(transparent)]
    Api(#[from] crate::web::ServeError),
}

// ------------------------------------------------------------------ what the settings are made into

/// The exchanges and queues of this deployment.
pub fn topology(config: &Config) -> Topology {
    Topology::new(&config.namespace, &config.event_types, config.delay.longest)
}

/// What this deployment takes as an event: the configured types, and our own.
pub fn event_rules(config: &Config) -> EventRules {
    let own = EventType::webhook_disabled();
    EventRules {
        event_types: config.event_types.iter().cloned().chain([own]).collect(),
        max_size: config.max_event_size,
    }
}

/// The RabbitMQ of this deployment; `client` names the program in the broker's lists.
pub fn server(config: &Config, client: &str) -> Result<Server, ServerError> {
    Ok(Server::new(
        config.amqp_url()?.expose(),
        format!("prism-webhooks {client}"),
    )?)
}

/// Who sends test events, and puts them on record in this backend; must be called on a Tokio runtime.
pub fn tester(
    config: &Config,
    backend: &dyn Backend,
    faults: Arc<Faults>,
) -> Result<Tester, StartError> {
    Ok(Tester {
        sender: Arc::new(HttpSender::new(sender_settings(config, 0))?),
        faults,
        log: backend.log_writer()?,
        worker: worker_name(config),
    })
}

fn document_reader(config: &Config) -> DocumentReader {
    DocumentReader::new(
        SecretCipher::new(config.secret_key.clone()),
        EndpointRules {
            allow_http: config.allow_http,
        },
    )
    .registering_only(egress(config), event_rules(config).event_types)
    .limited(Limits {
        per_organization: config.webhooks.max_per_organization,
        size: config.webhooks.max_size,
    })
}

/// Which addresses this deployment may post to.
pub fn egress(config: &Config) -> Egress {
    Egress {
        allow: config.allow_networks.clone(),
        deny: config.deny_networks.clone(),
    }
}

fn engine_settings(config: &Config, shares: Shares, worker: &str) -> engine::EngineSettings {
    let (quick, slow) = handles::lanes(config, shares.requests);
    engine::EngineSettings {
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
            webhook_max_in_flight: u32::try_from(config.worker.webhook_max_in_flight)
                .unwrap_or(u32::MAX),
            quick,
            slow,
            hand: usize::from(config.worker.prefetch),
            breaker_after: config.worker.breaker_after,
        },
        fanout_inline_max: config.worker.fanout_inline_max,
        keep_all_bodies: config.delivery_log.keep_bodies == KeepBodies::All,
        worker: worker.to_owned(),
        grace: config.worker.grace,
        clock: Clock::system(),
        random: RandomSource::system(),
    }
}

/// So many messages of each queue a worker may hold unsettled: what is in hand, and one for each
/// request that may be open. Were it fewer, slow requests would use it up, and hold up everything.
fn prefetch(config: &Config) -> u16 {
    let worker = &config.worker;
    let all = usize::from(worker.prefetch) + worker.max_in_flight + worker.max_slow;
    u16::try_from(all).unwrap_or(u16::MAX)
}

/// `kept` is how many connections may be kept in all.
fn sender_settings(config: &Config, kept: usize) -> http::SenderSettings {
    http::SenderSettings {
        connect_timeout: config.send.connect_timeout,
        timeout: config.send.timeout,
        read_limit: config.send.read_limit,
        keep_limit: config.send.keep_limit,
        idle_connections: config.send.idle_connections,
        idle_timeout: config.send.idle_timeout,
        kept_connections: kept,
        egress: egress(config),
        ..http::SenderSettings::default()
    }
}

fn log_settings(config: &Config) -> DeliveryLogSettings {
    DeliveryLogSettings {
        attempts_kept: config.delivery_log.attempts_kept as u64,
        attempts_kept_per_webhook: config.delivery_log.attempts_kept_per_webhook as u64,
        deliveries_kept: config.delivery_log.deliveries_kept,
        bodies_per_organization: config.delivery_log.bodies_per_organization as u64,
        batch: config.delivery_log.batch,
    }
}

/// How much of the audit log is kept.
fn audit_kept(config: &Config) -> AuditKept {
    AuditKept {
        entries: config.audit_log.entries_kept,
        age: config.audit_log.kept_for,
    }
}

/// What clients of the port may take, of which there are at most `connections` at once.
fn port_limits(config: &Config, connections: usize) -> PortLimits {
    PortLimits {
        idle: config.api.idle_timeout,
        head: config.api.head_timeout,
        body: config.api.body_timeout,
        ..PortLimits::usual(connections)
    }
}

/// The worker's name in the records: the configured one, or host name and process id.
fn worker_name(config: &Config) -> String {
    config.worker.name.clone().unwrap_or_else(|| {
        let host = hostname::get().unwrap_or_default();
        format!("{}-{}", host.to_string_lossy(), std::process::id())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts without settings, as in tests and programs on the library, take what they get from
    /// settings that say nothing.
    #[test]
    fn the_defaults_of_the_parts_are_those_of_the_settings() {
        let config = Config::default();
        let engine = engine_settings(&config, handles::shares(&config, true), "worker");
        assert_eq!(engine.retry, RetryPolicy::default());
        assert_eq!(log_settings(&config), DeliveryLogSettings::default());
        assert_eq!(audit_kept(&config), AuditKept::default());
        assert_eq!(port_limits(&config, 64), PortLimits::usual(64));

        let usual = http::SenderSettings::default();
        let given = sender_settings(&config, usual.kept_connections);
        assert_eq!(given.connect_timeout, usual.connect_timeout);
        assert_eq!(given.timeout, usual.timeout);
        assert_eq!(given.read_limit, usual.read_limit);
        assert_eq!(given.keep_limit, usual.keep_limit);
        assert_eq!(given.idle_connections, usual.idle_connections);
        assert_eq!(given.idle_timeout, usual.idle_timeout);
    }
}
