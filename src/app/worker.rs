//! The worker: the engine at work on a backend, started and stopped in order.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::StartError;
use super::backend::{AtWork, Backend, Behind, ForEngine};
use super::handles::Shares;
use crate::config::Config;
use crate::engine::Engine;
use crate::engine::faults::Faults;
use crate::engine::ports::Source;
use crate::http::HttpSender;

/// A worker, ready to run.
pub struct Worker {
    name: String,
    engine: Arc<Engine>,
    source: Source,
    behind: Box<dyn Behind>,
    stop: CancellationToken,
}

impl Worker {
    /// Starts everything on this backend. Waits for servers that are away; an error is one that
    /// waiting does not mend. Stops when `stop` is cancelled.
    pub async fn start(
        config: &Config,
        backend: &dyn Backend,
        shares: Shares,
        faults: Arc<Faults>,
        stop: CancellationToken,
    ) -> Result<Self, StartError> {
        let name = super::worker_name(config);
        let sender = HttpSender::new(super::sender_settings(config, shares.idle))?;
        let for_engine = ForEngine {
            worker: name.clone(),
            sender: Arc::new(sender),
            faults,
        };
        let AtWork {
            ports,
            source,
            behind,
        } = backend.set_to_work(for_engine).await?;
        let settings = super::engine_settings(config, shares, &name);
        Ok(Self {
            name,
            engine: Engine::new(settings, ports, stop.clone()),
            source,
            behind,
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
            self.behind.stop_taking();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = self.engine.run(self.source) => {}
            () = stop_taking => {}
        }
        self.behind.close().await;
        self.engine.counters().to_string()
    }
}
