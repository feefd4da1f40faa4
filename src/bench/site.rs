//! One namespace at work: its queues, its webhooks, its publisher.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::app;
use crate::config::Config;
use crate::domain::ids::Organization;
use crate::domain::secret::Secret;
use crate::rabbitmq::connection::{self, Purpose};
use crate::rabbitmq::declare;
use crate::rabbitmq::publisher::Publisher;
use crate::registry::webhooks::{NewWebhook, Webhooks};

use super::error::BenchError;
use super::servers::Servers;

/// A namespace. It is to be removed; what a broken-off measurement leaves is removed at the end.
pub struct Site<'a> {
    servers: &'a Servers,
    config: Config,
    webhooks: Webhooks,
}

impl<'a> Site<'a> {
    /// A new namespace with everything declared.
    pub async fn create(servers: &'a Servers) -> Result<Self, BenchError> {
        let config = servers.new_namespace();
        let connection = app::server(&config, "bench")?
            .connect(Purpose::Topology)
            .await?;
        declare::apply(&app::topology(&config), &connection).await?;
        connection::close(&connection).await;
        let webhooks = app::webhooks(&config)?;
        Ok(Self {
            servers,
            config,
            webhooks,
        })
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Registers a signed webhook that wants everything, and gives its id.
    pub async fn webhook(&self, of: &Organization, url: String) -> Result<String, BenchError> {
        let webhook = webhook(url)?;
        let stored = self.webhooks.create(of, webhook, Timestamp::now()).await?;
        Ok(stored.document.id)
    }

    /// A connection to publish on, to be closed.
    pub fn publisher(&self) -> Result<Publisher, BenchError> {
        Ok(app::publisher(&self.config, "bench")?)
    }

    /// Removes it.
    pub async fn remove(self) -> Result<(), BenchError> {
        self.servers.remove(&self.config).await
    }
}

/// A signed webhook that wants everything.
pub fn webhook(url: String) -> Result<NewWebhook, BenchError> {
    Ok(NewWebhook {
        // Names are unique in an organization, and so are these URLs.
        name: url.clone(),
        url,
        secret: Some(Secret::new("a secret of the bench")?),
        description: None,
        events: Vec::new(),
        headers: BTreeMap::new(),
        retry: None,
        rate_limit: None,
    })
}
