//! API and page in a process, with delivery beside them or without, in either mode.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::handles::{self, Shares};
use super::{StartError, Worker};
use crate::config::{Config, Mode};
use crate::embedded::Embedded;
use crate::engine::faults::Faults;
use crate::operations::deployment::Deployment;
use crate::operations::passes::Passes;
use crate::operations::test::Tester;
use crate::rabbitmq::publisher::Publisher;
use crate::web;
use crate::web::state::AppState;

/// How much of everything one process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Intake, delivery, API and page.
    Everything,
    /// API and page; what is taken waits for whoever delivers.
    Api,
}

/// A process with an API, ready to run.
pub struct Run {
    config: Config,
    scope: Scope,
    shares: Shares,
    listener: web::Listener,
    state: AppState,
    store: Store,
    stop: CancellationToken,
}

/// What the worker is started on.
enum Store {
    /// RabbitMQ and Redis, with the publisher that the API uses.
    Servers(Publisher),
    /// SQLite.
    Embedded(Box<Embedded>),
}

impl Run {
    /// Opens what can be opened at once: the port, and in embedded mode the data. Servers may be
    /// away. Stops when `stop` is cancelled.
    pub async fn start(
        config: &Config,
        scope: Scope,
        stop: CancellationToken,
    ) -> Result<Self, StartError> {
        let client = match scope {
            Scope::Everything => "run",
            Scope::Api => "api",
        };
        let shares = handles::shares(config, true);
        let faults = Arc::new(Faults::default());
        let (store, deployment, tester) = match config.mode() {
            Mode::Servers => {
                let publisher = super::publisher(config, client)?;
                let deployment = super::servers(config, publisher.clone(), client)?;
                let tester = super::tester(config, faults.clone())?;
                (Store::Servers(publisher), deployment, tester)
            }
            Mode::Embedded => {
                let embedded = super::embedded(config, &config.data_dir)?;
                let deployment = super::deployment_on(&embedded);
                let tester = super::tester_on(config, embedded.log(), faults.clone())?;
                (Store::Embedded(Box::new(embedded)), deployment, tester)
            }
        };
        let listener = web::Listener::bind(config.listen, &config.api.token, shares.port).await?;
        let state = AppState {
            deployment,
            rules: Arc::new(super::event_rules(config)),
            egress: Arc::new(super::egress(config)),
            tester,
            faults,
            passes: Passes::default(),
            tokens: config.api.token.clone().into(),
            started: CancellationToken::new(),
            stop: stop.clone(),
        };
        Ok(Self {
            config: config.clone(),
            scope,
            shares,
            listener,
            state,
            store,
            stop,
        })
    }

    /// Where API and page are.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// What can be asked of it.
    pub fn deployment(&self) -> &Deployment {
        &self.state.deployment
    }

    /// Who sends its test events.
    pub fn tester(&self) -> &Tester {
        &self.state.tester
    }

    /// The store, in embedded mode.
    pub fn embedded(&self) -> Option<&Embedded> {
        match &self.store {
            Store::Servers(_) => None,
            Store::Embedded(embedded) => Some(embedded),
        }
    }

    /// The mode, and where the data is, as it follows "is running".
    pub fn mode(&self) -> String {
        match &self.store {
            Store::Servers(_) => {
                format!("on RabbitMQ and Redis, namespace {}", self.config.namespace)
            }
            Store::Embedded(embedded) => {
                let directory = embedded.store().directory().display();
                format!("embedded, with its data in {directory}")
            }
        }
    }

    /// Runs until told to stop; then takes nothing more, finishes what is in flight, and tells what
    /// was done. An error is one of starting the worker, and ends everything.
    pub async fn run(self) -> Result<String, StartError> {
        if self.scope == Scope::Api {
            return Ok(self.serve().await);
        }
        let (config, shares, stop) = (self.config, self.shares, self.stop);
        let (started, faults) = (self.state.started.clone(), self.state.faults.clone());
        let serving = tokio::spawn(self.listener.serve(self.state, stop.clone()));
        let worker = match self.store {
            Store::Embedded(embedded) => {
                let worker = Worker::on_embedded(&config, *embedded, shares, faults, stop.clone());
                worker.map(|worker| (worker, None))
            }
            Store::Servers(publisher) => {
                let starting = Worker::on_servers(&config, shares, faults, stop.clone());
                tokio::select! {
                    worker = starting => worker.map(|worker| (worker, Some(publisher))),
                    () = stop.cancelled() => return Ok("nothing".to_owned()),
                }
            }
        };
        let result = match worker {
            Ok((worker, publisher)) => {
                started.cancel();
                let report = worker.run().await;
                if let Some(publisher) = publisher {
                    publisher.close().await;
                }
                Ok(report)
            }
            Err(error) => {
                stop.cancel();
                Err(error)
            }
        };
        // A panic in it has been reported already.
        let _ = serving.await;
        result
    }

    /// Serves API and page alone.
    async fn serve(self) -> String {
        self.state.started.cancel();
        self.listener.serve(self.state, self.stop).await;
        match self.store {
            Store::Servers(publisher) => publisher.close().await,
            Store::Embedded(embedded) => embedded.store().close().await,
        }
        "the API".to_owned()
    }
}
