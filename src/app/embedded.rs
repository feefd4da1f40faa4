//! A deployment on the embedded store.

use std::sync::Arc;

use async_trait::async_trait;

use super::backend::{AtWork, Backend, Behind, ForEngine};
use super::{ServerError, StartError};
use crate::config::Config;
use crate::embedded::database::Database;
use crate::embedded::sessions::EmbeddedSessions;
use crate::embedded::source::SourceHandle;
use crate::embedded::{self, Embedded};
use crate::engine::clock::Clock;
use crate::engine::ports::LogWriter;
use crate::registry::webhooks::Webhooks;
use crate::store::audit::AuditLog;
use crate::store::dead_letters::DeadLetters;
use crate::store::delivery_log::DeliveryLog;
use crate::store::intake::Intake;
use crate::store::sessions::Sessions;

/// The backend on SQLite.
pub(super) struct OnEmbedded(Embedded);

impl OnEmbedded {
    /// Opens the data, or creates it; must be called on a Tokio runtime.
    pub(super) fn open(config: &Config) -> Result<Self, embedded::StartError> {
        let settings = embedded::EmbeddedSettings {
            log: super::log_settings(config),
            audit: super::audit_kept(config),
            max_organizations: config.subscriptions.max_organizations,
            prefetch: usize::from(super::prefetch(config)),
            clock: Clock::system(),
        };
        let database = Arc::new(Database::open(&config.data_dir)?);
        let reader = super::document_reader(config);
        Ok(Self(Embedded::start(database, reader, settings)?))
    }
}

#[async_trait]
impl Backend for OnEmbedded {
    fn webhooks(&self) -> Result<Webhooks, ServerError> {
        Ok(self.0.webhooks())
    }

    fn intake(&self) -> Result<Arc<dyn Intake>, ServerError> {
        Ok(Arc::new(self.0.clone()))
    }

    fn delivery_log(&self) -> Result<Arc<dyn DeliveryLog>, ServerError> {
        Ok(Arc::new(self.0.clone()))
    }

    fn dead_letters(&self) -> Result<Arc<dyn DeadLetters>, ServerError> {
        Ok(Arc::new(self.0.dead_letters()))
    }

    fn audit_log(&self) -> Result<Arc<dyn AuditLog>, ServerError> {
        Ok(Arc::new(self.0.audit_log()))
    }

    fn sessions(&self) -> Result<Arc<dyn Sessions>, ServerError> {
        Ok(Arc::new(EmbeddedSessions::default()))
    }

    fn log_writer(&self) -> Result<Arc<dyn LogWriter>, ServerError> {
        Ok(self.0.log())
    }

    async fn set_to_work(&self, engine: ForEngine) -> Result<AtWork, StartError> {
        super::keys::check(&self.0.webhooks()).await?;
        let ports = self.0.ports(engine.sender, engine.faults);
        let (source, handle) = self.0.source();
        let behind = Box::new(BehindEngine {
            source: handle,
            store: self.0.clone(),
        });
        Ok(AtWork {
            ports,
            source,
            behind,
        })
    }

    fn embedded(&self) -> Option<&Embedded> {
        Some(&self.0)
    }

    fn describe(&self) -> String {
        let directory = self.0.store().directory().display();
        format!("embedded, with its data in {directory}")
    }

    async fn close(&self) {
        self.0.store().close().await;
    }
}

/// What is to be ended behind an engine.
struct BehindEngine {
    source: SourceHandle,
    store: Embedded,
}

#[async_trait]
impl Behind for BehindEngine {
    fn stop_taking(&self) {
        self.source.stop_taking();
    }

    async fn close(self: Box<Self>) {
        self.store.close(self.source).await;
    }
}
