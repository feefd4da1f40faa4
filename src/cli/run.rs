//! The command `run`: everything in one process, until told to stop.

use clap::Args;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::app::Run;
use crate::config::Config;
use crate::deployment;
use crate::embedded::Embedded;

use super::console::Console;
use super::failure::{Failure, Kind};
use super::relay::Relay;
use super::{ask, signals};

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

/// Runs everything.
pub async fn run(_: &RunArgs, config: &Config, console: &mut Console) -> Result<(), Failure> {
    let out = &mut console.out;
    let stop = CancellationToken::new();
    let run = Run::start(config, stop.clone()).await?;
    let embedded = run.embedded().cloned();
    let relaying = embedded
        .as_ref()
        .map(|embedded| relay(embedded, config, &stop));
    let relaying = relaying.transpose()?;
    let (mode, address) = (run.mode(), run.address());
    writeln!(
        out,
        "prism-webhooks is running {mode}; look at http://{address}/"
    )?;
    out.flush()?;
    let report = signals::until_finished(run.run(), &stop).await;
    match report.transpose()? {
        Some(report) => writeln!(out, "stopped: {report}")?,
        None => writeln!(out, "stopped at once")?,
    }
    drop(relaying);
    if let Some(embedded) = embedded
        && let Ok(waiting) = embedded.unsettled().await
    {
        writeln!(out, "{waiting} events and deliveries wait in the data")?;
    }
    Ok(())
}

/// Takes the commands of other processes for the store that this one has open.
fn relay(
    embedded: &Embedded,
    config: &Config,
    stop: &CancellationToken,
) -> Result<AbortOnDropHandle<()>, Failure> {
    let directory = embedded.store().directory();
    let relay = Relay::open(directory).map_err(|error| {
        let directory = directory.display();
        Failure::new(
            Kind::Unavailable,
            format_args!("{directory}: cannot take commands: {error}"),
        )
    })?;
    let (deployment, config) = (deployment::embedded::deployment(embedded), config.clone());
    let run = move |asked, console| {
        let (deployment, config) = (deployment.clone(), config.clone());
        async move { ask::relayed(asked, &deployment, &config, console).await }
    };
    let serving = tokio::spawn(relay.serve(run, stop.clone()));
    Ok(AbortOnDropHandle::new(serving))
}
