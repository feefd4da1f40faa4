//! The commands `run` and `api`: a process with an API, until told to stop.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::app::backend::Backend;
use crate::app::{Run, Scope};
use crate::config::Config;
use crate::operations::test::Tester;

use super::console::Console;
use super::failure::{ExitReason, Failure};
use super::relay::Relay;
use super::{signals, store_commands};

/// Run everything in one process: take events, deliver them, serve the API
///
/// With RabbitMQ and Redis it can run beside any number of workers. Without (neither PRISM_AMQP_URL
/// nor PRISM_REDIS_URL set) it needs nothing but a directory, PRISM_DATA_DIR, and keeps the same
/// promises on one machine.
///
/// SIGTERM or Ctrl-C: takes nothing new, finishes what is in flight, reports. A second one ends it
/// at once; nothing is lost then either, but requests in flight may repeat.
#[derive(Debug, Args)]
pub struct RunArgs {}

/// Serve the API and the Webhooks page, and deliver nothing
///
/// For deployments whose workers run elsewhere: what is published over it waits in RabbitMQ for
/// them. In embedded mode it waits in PRISM_DATA_DIR for `run`, which serves the API as well: one
/// process at a time has the data.
///
/// SIGTERM or Ctrl-C: lets requests under way end.
#[derive(Debug, Args)]
pub struct ApiArgs {}

/// Runs as much as `scope` says.
pub async fn run(scope: Scope, config: &Config, console: &mut Console) -> Result<(), Failure> {
    let out = &mut console.out;
    let stop = CancellationToken::new();
    let run = Run::start(config, scope, stop.clone()).await?;
    let tester = run.tester().clone();
    let backend = run.backend().clone();
    let relaying = match backend.embedded() {
        Some(embedded) => {
            let directory = embedded.store().directory();
            Some(relay(directory, &backend, tester, config, &stop)?)
        }
        None => None,
    };
    let address = run.address();
    let doing = match scope {
        Scope::Everything => "running",
        Scope::Api => "serving the API",
    };
    writeln!(
        out,
        "prism-webhooks is {doing} {}; look at http://{address}/",
        backend.describe()
    )?;
    out.flush()?;
    let report = signals::until_finished(run.run(), &stop).await;
    match report.transpose()? {
        Some(report) => writeln!(out, "stopped: {report}")?,
        None => writeln!(out, "stopped at once")?,
    }
    drop(relaying);
    if let Some(embedded) = backend.embedded()
        && let Ok(waiting) = embedded.unsettled().await
    {
        writeln!(out, "{waiting} events and deliveries wait in the data")?;
    }
    Ok(())
}

/// Takes the commands of other processes for the store that this one has open.
fn relay(
    directory: &Path,
    backend: &Arc<dyn Backend>,
    tester: Tester,
    config: &Config,
    stop: &CancellationToken,
) -> Result<AbortOnDropHandle<()>, Failure> {
    let relay = Relay::open(directory).map_err(|error| {
        let directory = directory.display();
        Failure::new(
            ExitReason::Unavailable,
            format_args!("{directory}: cannot take commands: {error}"),
        )
    })?;
    let (backend, config) = (backend.clone(), config.clone());
    let run = move |asked, console| {
        let (backend, tester) = (backend.clone(), tester.clone());
        let config = config.clone();
        async move { store_commands::relayed(asked, &*backend, &tester, &config, console).await }
    };
    let serving = tokio::spawn(relay.serve(run, stop.clone()));
    Ok(AbortOnDropHandle::new(serving))
}
