//! The command `worker`: delivers until told to stop, and then says what it did.

use std::sync::Arc;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::app::{Worker, backend, handles};
use crate::config::Config;

use super::console::Console;
use super::failure::Failure;
use super::signals;

/// Deliver events to webhooks until stopped; run as many workers as you like
///
/// SIGTERM or Ctrl-C: takes nothing new, finishes what is in flight, returns the rest, reports.
/// A second one ends it at once; nothing is lost then either, but requests in flight may repeat.
#[derive(Debug, Args)]
pub struct WorkerArgs {}

/// Runs a worker.
pub async fn run(_: &WorkerArgs, config: &Config, console: &mut Console) -> Result<(), Failure> {
    let out = &mut console.out;
    let shares = handles::shares(config, false);
    let stop = CancellationToken::new();
    let backend = backend::open_shared(config, "worker");
    let starting = Worker::start(config, &*backend, shares, Arc::default(), stop.clone());
    let worker = tokio::select! {
        worker = starting => worker?,
        () = signals::stop() => return Ok(()),
    };
    writeln!(out, "worker {} is delivering", worker.name())?;
    out.flush()?;
    match signals::until_finished(worker.run(), &stop).await {
        Some(report) => writeln!(out, "stopped: {report}")?,
        None => writeln!(out, "stopped at once")?,
    }
    Ok(())
}
