//! API and page in a process, with delivery beside them or without, in either mode.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::backend::{self, Backend};
use super::handles::{self, Shares};
use super::{StartError, Worker, keys};
use crate::config::{ApiToken, Config};
use crate::engine::faults::Faults;
use crate::operations::deployment::Deployment;
use crate::operations::jobs::Jobs;
use crate::operations::test::Tester;
use crate::web;
use crate::web::proxies::Proxies;
use crate::web::sessions::SessionKeeper;
use crate::web::state::AppState;
use crate::web::streams::Streams;

/// How long a stopping process waits for its jobs through the dead letters.
const JOBS_LIMIT: Duration = Duration::from_secs(5);

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
    backend: Arc<dyn Backend>,
    stop: CancellationToken,
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
        let backend = backend::open(config, client)?;
        let tester = super::tester(config, &*backend, faults.clone())?;
        let limits = super::port_limits(config, shares.port);
        let listener = web::Listener::bind(config.listen, &config.api.token, limits).await?;
        let tokens: Arc<[ApiToken]> = config.api.token.clone().into();
        let sessions = SessionKeeper::new(
            backend.sessions()?,
            Arc::clone(&tokens),
            config.api.session_idle,
            config.api.session_lifetime,
        );
        let proxies = Proxies {
            trusted: config.api.trusted_proxies.clone(),
            https: config.api.secure_cookies,
        };
        let state = AppState {
            deployment: backend.deployment()?,
            rules: Arc::new(super::event_rules(config)),
            egress: Arc::new(super::egress(config)),
            tester,
            faults,
            jobs: Jobs::default(),
            streams: Streams::new(tokens.len(), config.api.max_streams_per_token),
            tokens,
            sessions,
            wrong_tokens: Arc::default(),
            proxies: Arc::new(proxies),
            started: CancellationToken::new(),
            stop: stop.clone(),
        };
        Ok(Self {
            config: config.clone(),
            scope,
            shares,
            listener,
            state,
            backend,
            stop,
        })
    }

    /// Where API and page are.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The deployment, for what is done by hand.
    pub fn deployment(&self) -> &Deployment {
        &self.state.deployment
    }

    /// Who sends its test events.
    pub fn tester(&self) -> &Tester {
        &self.state.tester
    }

    /// The backend that it runs on.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// Runs until told to stop; then takes nothing more, finishes what is in flight, and tells what
    /// was done. An error is one of starting, and ends everything.
    pub async fn run(self) -> Result<String, StartError> {
        if self.scope == Scope::Api {
            return self.serve().await;
        }
        let (config, shares, stop) = (self.config, self.shares, self.stop);
        let (started, faults) = (self.state.started.clone(), self.state.faults.clone());
        let jobs = self.state.jobs.clone();
        let serving = tokio::spawn(self.listener.serve(self.state, stop.clone()));
        let starting = Worker::start(&config, &*self.backend, shares, faults, stop.clone());
        let worker = tokio::select! {
            worker = starting => Some(worker),
            () = stop.cancelled() => None,
        };
        let result = match worker {
            Some(Ok(worker)) => {
                started.cancel();
                Ok(worker.run().await)
            }
            Some(Err(error)) => {
                stop.cancel();
                Err(error)
            }
            None => Ok("nothing".to_owned()),
        };
        // A panic in it has been reported already.
        let _ = serving.await;
        jobs.all_ended(JOBS_LIMIT).await;
        self.backend.close().await;
        result
    }

    /// Serves API and page alone. It is ready once it is known that it has the right keys.
    async fn serve(self) -> Result<String, StartError> {
        let webhooks = self.state.deployment.webhooks.clone();
        let jobs = self.state.jobs.clone();
        let started = self.state.started.clone();
        let checking = async {
            match keys::check(&webhooks).await {
                Ok(()) => {
                    started.cancel();
                    std::future::pending().await
                }
                Err(error) => error,
            }
        };
        let result = tokio::select! {
            () = self.listener.serve(self.state, self.stop.clone()) => Ok("the API".to_owned()),
            error = checking => {
                self.stop.cancel();
                Err(error.into())
            }
        };
        jobs.all_ended(JOBS_LIMIT).await;
        self.backend.close().await;
        result
    }
}
