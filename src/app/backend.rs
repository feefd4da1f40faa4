//! Opens what a deployment stands on. What follows from the [mode](crate::config::Mode) is decided
//! here and nowhere else.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::{OnEmbedded, OnServers, ServerError, StartError};
use crate::config::{Config, Mode};
use crate::embedded::Embedded;
use crate::engine::Ports;
use crate::engine::faults::Faults;
use crate::engine::ports::{LogWriter, Sender, Source};
use crate::operations::deployment::Deployment;
use crate::registry::webhooks::Webhooks;
use crate::store::audit::AuditLog;
use crate::store::dead_letters::DeadLetters;
use crate::store::delivery_log::DeliveryLog;
use crate::store::intake::Intake;
use crate::store::sessions::Sessions;

/// RabbitMQ and Redis, or the embedded store. Whatever is not asked for is not opened: a command
/// needs the settings of no server but its own.
#[async_trait]
pub trait Backend: Send + Sync {
    /// The registered webhooks.
    fn webhooks(&self) -> Result<Webhooks, ServerError>;

    /// Takes events in.
    fn intake(&self) -> Result<Arc<dyn Intake>, ServerError>;

    /// The attempts and deliveries on record.
    fn delivery_log(&self) -> Result<Arc<dyn DeliveryLog>, ServerError>;

    /// The dead letters.
    fn dead_letters(&self) -> Result<Arc<dyn DeadLetters>, ServerError>;

    /// Who changed what, and when.
    fn audit_log(&self) -> Result<Arc<dyn AuditLog>, ServerError>;

    /// Who is signed in to the page.
    fn sessions(&self) -> Result<Arc<dyn Sessions>, ServerError>;

    /// Puts attempts on record.
    fn log_writer(&self) -> Result<Arc<dyn LogWriter>, ServerError>;

    /// Sets up what an engine needs, the source of messages last, once it is known that the settings
    /// have the keys that webhooks are sealed with. Waits for servers that are away;
    /// an error is one that waiting does not mend.
    async fn set_to_work(&self, engine: ForEngine) -> Result<AtWork, StartError>;

    /// The embedded store, if it is that: other processes ask the one that has it open.
    fn embedded(&self) -> Option<&Embedded> {
        None
    }

    /// Where it is, as it follows "is running".
    fn describe(&self) -> String;

    /// Ends what was opened. To be called last.
    async fn close(&self);

    /// All of it, for what is done by hand.
    fn deployment(&self) -> Result<Deployment, ServerError> {
        Ok(Deployment {
            webhooks: self.webhooks()?,
            intake: self.intake()?,
            delivery_log: self.delivery_log()?,
            dead_letters: self.dead_letters()?,
            audit_log: self.audit_log()?,
        })
    }
}

/// What an engine brings with it.
pub struct ForEngine {
    /// The worker's name.
    pub worker: String,
    /// Makes the requests.
    pub sender: Arc<dyn Sender>,
    /// Where it is kept that they cannot be made.
    pub faults: Arc<Faults>,
}

/// A backend at work for one engine.
pub struct AtWork {
    /// The ports that the engine works with.
    pub ports: Ports,
    /// Where its messages come from.
    pub source: Source,
    /// What to end after the engine.
    pub behind: Box<dyn Behind>,
}

/// What stands behind an engine, and is stopped and written out after it.
#[async_trait]
pub trait Behind: Send + Sync {
    /// No more messages are to be taken.
    fn stop_taking(&self);

    /// Writes out what is left and ends, once the engine has.
    async fn close(self: Box<Self>);
}

/// RabbitMQ and Redis, whatever the settings name: what several processes work on.
pub fn open_shared(config: &Config, client: &'static str) -> Arc<dyn Backend> {
    Arc::new(OnServers::new(config, client))
}

/// Opens what the settings name; `client` names the program in the broker's lists. Servers may be
/// away; embedded data is created if there is none. Must be called on a Tokio runtime.
pub fn open(config: &Config, client: &'static str) -> Result<Arc<dyn Backend>, StartError> {
    Ok(match config.mode() {
        Mode::Servers => open_shared(config, client),
        Mode::Embedded => Arc::new(OnEmbedded::open(config)?),
    })
}

/// The same, but without creating data: where there is none, somebody forgot to name the servers.
pub fn open_existing(
    config: &Config,
    client: &'static str,
) -> Result<Arc<dyn Backend>, StartError> {
    if config.mode() == Mode::Embedded && !config.data_dir.is_dir() {
        return Err(NoData(config.data_dir.clone()).into());
    }
    open(config, client)
}

/// There is no embedded data where it is looked for.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no data in {}: name RabbitMQ and Redis by PRISM_AMQP_URL and PRISM_REDIS_URL, or for \
     embedded mode the right PRISM_DATA_DIR",
    .0.display()
)]
pub struct NoData(PathBuf);
