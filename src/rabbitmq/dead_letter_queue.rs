//! The dead-letter queue, for whoever asks from outside: a connection for each question, and one at a
//! time of those who take everything.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::connection::Server;
use super::dead_letters::DeadLetters;
use super::topology::Topology;
use crate::store::Unavailable;
use crate::store::dead_letters::{
    self, Action, Afterwards, Filter, Found, Options, Progress, Report,
};

/// How long a look waits for its turn: longer than others need for a look of theirs.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// The dead-letter queue. Looking through it takes a connection of its own each time.
pub struct DeadLetterQueue {
    server: Server,
    topology: Arc<Topology>,
    afterwards: Arc<dyn Afterwards>,
    /// Held by whoever takes letters in large numbers, which nobody else sees meanwhile.
    turn: tokio::sync::Mutex<()>,
}

impl DeadLetterQueue {
    /// The dead letters of a deployment.
    pub fn new(server: Server, topology: Arc<Topology>, afterwards: Arc<dyn Afterwards>) -> Self {
        let turn = tokio::sync::Mutex::new(());
        Self {
            server,
            topology,
            afterwards,
            turn,
        }
    }

    async fn connect(&self) -> Result<DeadLetters, Unavailable> {
        let connected = DeadLetters::connect(&self.server, self.topology.clone()).await;
        let letters = connected.map_err(Unavailable::new)?;
        Ok(letters.without_superseded(self.afterwards.clone()))
    }
}

#[async_trait]
impl dead_letters::DeadLetters for DeadLetterQueue {
    async fn list(&self, filter: &Filter, limit: usize) -> Result<Found, Unavailable> {
        // After a while it looks all the same: a job may take long.
        let _turn = tokio::time::timeout(LOOK_PATIENCE, self.turn.lock()).await;
        let letters = self.connect().await?;
        let found = letters.list(filter, limit).await;
        letters.close().await;
        found.map_err(Unavailable::new)
    }

    async fn process(
        &self,
        action: Action,
        filter: &Filter,
        options: &Options,
        report: Report<'_>,
    ) -> Result<Progress, Unavailable> {
        // One at a low rate holds few letters, and may go on for hours.
        let _turn = match options.rate {
            Some(_) => None,
            None => Some(self.turn.lock().await),
        };
        let letters = self.connect().await?;
        let done = letters.process(action, filter, options, report).await;
        letters.close().await;
        done.map_err(Unavailable::new)
    }
}
