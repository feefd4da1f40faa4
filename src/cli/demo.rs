//! The command `demo`: what a newcomer runs first.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::app::{Run, Scope};
use crate::config::{Config, Flag, Logging};
use crate::demo::scenario::{self, Stage, StoryError};

use super::arguments;
use super::console::Console;
use super::failure::{ExitReason, Failure};
use super::signals;

/// See it work: three webhooks, sample traffic, a retry, a recovery, a dead letter
///
/// Takes about twenty seconds and needs no servers: everything is in this process, its data in a
/// temporary directory that is removed at the end. Touches no deployment, whatever is set.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 everything published arrived or became a dead letter; 1 \
                        something was lost."
)]
pub struct DemoArgs {
    /// Leave everything running after the story, to look at; Ctrl-C ends it
    #[arg(long)]
    keep: bool,
    /// Where API and page listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), value_parser = arguments::address)]
    listen: SocketAddr,
}

/// How the demonstration logs: errors alone, for the story is its output, unless the environment
/// says otherwise.
pub fn logging(environment: Vec<(String, String)>) -> Logging {
    let wanted = |(name, _): &(String, String)| name.starts_with("PRISM_LOGGING_");
    let wanted: Vec<_> = environment.into_iter().filter(wanted).collect();
    let quiet = Flag::new("demo", "logging.level", "error");
    let flags = if wanted.iter().any(|(name, _)| name == "PRISM_LOGGING_LEVEL") {
        Vec::new()
    } else {
        vec![quiet]
    };
    let loaded = Config::load(None, wanted, &flags);
    loaded
        .map_or_else(|_| Config::default(), |loaded| loaded.config)
        .logging
}

/// Tells the story.
pub async fn run(args: &DemoArgs, console: &mut Console) -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let config = scenario::config(directory.path(), args.listen);
    let stop = CancellationToken::new();
    let run = Run::start(&config, Scope::Everything, stop.clone()).await?;
    let address = run.address();
    let out = &mut console.out;
    writeln!(out, "prism-webhooks, {}.\n", run.backend().describe())?;
    let mut stage = Stage::set(&run, out).await?;
    let running = tokio::spawn(run.run());
    let told = tokio::select! {
        told = stage.play(out) => told.map(|()| true)?,
        () = signals::stop() => false,
    };
    let adds_up = told && stage.sum_up(out)?;
    if adds_up && args.keep {
        writeln!(
            out,
            "\nEverything goes on, with an event every few seconds; look at http://{address}/\n\
             Ctrl-C ends it."
        )?;
        out.flush()?;
        tokio::select! {
            result = stage.go_on() => result?,
            () = signals::stop() => {}
        }
    }
    stop.cancel();
    // A panic in it has been reported already.
    if let Ok(ended) = running.await {
        ended?;
    }
    stage.clear();
    match (told, adds_up) {
        (true, false) => {
            let message = "it does not add up: something was lost, or is not on record";
            Err(Failure::new(ExitReason::Failed, message))
        }
        (false, _) => Ok(writeln!(console.out, "\nended before the story was over")?),
        (true, true) => Ok(()),
    }
}

impl From<StoryError> for Failure {
    fn from(error: StoryError) -> Self {
        Self::caused(ExitReason::Failed, &error)
    }
}
