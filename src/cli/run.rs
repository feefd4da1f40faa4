//! The command `run`: everything in one process, until told to stop.

use std::io::Write;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::app::Run;
use crate::config::Config;

use super::failure::Failure;
use super::signals;

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
pub async fn run(_: &RunArgs, config: &Config, out: &mut impl Write) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    let run = Run::start(config, stop.clone()).await?;
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
    Ok(())
}
