//! The commands: one file each, and here what they share: the command line itself.

pub mod attempts;
pub mod config;
pub mod dead_letters;
pub mod failure;
pub mod listen;
pub mod logging;
pub mod publish;
pub mod run;
pub mod schema;
pub mod secret_text;
pub mod signals;
pub mod table;
pub mod topology;
pub mod webhooks;
pub mod worker;

use std::io::{self, Write};
use std::sync::Arc;

use clap::{Parser, Subcommand};
use jiff::Timestamp;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::api::ServeError;
use crate::app;
use crate::config::{Config, ConfigError, NotSet};
use crate::rabbitmq::dead_letters::DeadLetters;
use crate::rabbitmq::publisher::Publisher;

use config::{ConfigArgs, ConfigCommandError, GlobalArgs, prism_environment};
use failure::{Failure, Kind};

/// Outbound webhook delivery for Prism: signed, retried, recorded, and nothing lost on the way
#[derive(Debug, Parser)]
#[command(
    name = "prism-webhooks",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 done; 1 it ran, and the answer is no; 2 wrong usage; 3 unusable \
                  settings;\n4 RabbitMQ or Redis cannot be reached, or refuses; 5 what was named \
                  does not exist, or is in the way.\n\nSettings come from --config (TOML), \
                  PRISM_… variables and flags; `prism-webhooks config default` documents them all."
)]
pub struct Program {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Worker(worker::WorkerArgs),
    Publish(publish::PublishArgs),
    Listen(listen::ListenArgs),
    Webhooks(webhooks::WebhooksArgs),
    Attempts(attempts::AttemptsArgs),
    DeadLetters(dead_letters::DeadLettersArgs),
    Topology(topology::TopologyArgs),
    Config(ConfigArgs),
    Schema(schema::SchemaArgs),
}

/// Runs one command line to its end.
pub fn run(program: Program) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let result = dispatch(program, &mut out);
    result.and(out.flush().map_err(Failure::from))
}

fn dispatch(program: Program, out: &mut impl Write) -> Result<(), Failure> {
    let environment = prism_environment();
    match program.command {
        // These need no settings, or report on them themselves.
        Command::Config(args) => Ok(config::run(&args, &program.global, environment, out)?),
        Command::Schema(args) => schema::run(&args, out),
        Command::Listen(args) => {
            let listening = listen::run(args, signals::stop());
            Ok(runtime(1)?.block_on(listening).map(drop)?)
        }
        command => {
            let loaded = program.global.load(environment)?;
            logging::start(&loaded.config.logging);
            let mut threads = 1;
            if matches!(command, Command::Run(_) | Command::Worker(_)) {
                threads = loaded.config.worker.threads;
                for warning in &loaded.warnings {
                    tracing::warn!("{warning}");
                }
            }
            runtime(threads)?.block_on(with_settings(command, &loaded.config, out))
        }
    }
}

/// The runtime that a command runs on. One thread alone is not one of many: it needs no locks, no
/// wake-ups across cores, and a worker on it costs a quarter less CPU a delivery (measured).
fn runtime(threads: usize) -> io::Result<Runtime> {
    let mut builder = match threads {
        0 | 1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(threads.max(1)).enable_all().build()
}

async fn with_settings(
    command: Command,
    config: &Config,
    out: &mut impl Write,
) -> Result<(), Failure> {
    match command {
        Command::Run(args) => run::run(&args, config, out).await,
        Command::Worker(args) => worker::run(&args, config, out).await,
        Command::Webhooks(args) => {
            let store = app::webhooks(config)?;
            webhooks::run(args, &store, Timestamp::now(), out).await
        }
        Command::Attempts(args) => {
            let attempts = app::attempts(config)?;
            tokio::select! {
                result = attempts::run(args, &attempts, out) => result,
                () = signals::stop() => Ok(()),
            }
        }
        Command::DeadLetters(args) => {
            let (server, topology) = (app::server(config, "commands")?, app::topology(config));
            let dead_letters = DeadLetters::connect(&server, Arc::new(topology)).await?;
            let result = dead_letters::run(args, &dead_letters, out).await;
            dead_letters.close().await;
            result
        }
        Command::Topology(args) => {
            let topology = app::topology(config);
            let server = if args.is_offline() {
                None
            } else {
                Some(app::server(config, "commands")?)
            };
            topology::run(&args, &topology, server.as_ref(), out).await
        }
        Command::Publish(args) => {
            let (server, topology) = (app::server(config, "publish")?, app::topology(config));
            let stop = CancellationToken::new();
            let publisher = Publisher::start(server, Arc::new(topology), stop);
            let result = publish::run(args, &publisher, &app::event_rules(config), out).await;
            publisher.close().await;
            result
        }
        Command::Config(_) | Command::Schema(_) | Command::Listen(_) => Ok(()),
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Kind::Settings, error)
    }
}

impl From<ConfigCommandError> for Failure {
    fn from(error: ConfigCommandError) -> Self {
        match error {
            ConfigCommandError::Invalid(error) => error.into(),
            ConfigCommandError::Output(error) => error.into(),
        }
    }
}

impl From<NotSet> for Failure {
    fn from(error: NotSet) -> Self {
        Self::new(Kind::Settings, error)
    }
}

impl From<listen::ListenError> for Failure {
    fn from(error: listen::ListenError) -> Self {
        Self::caused(Kind::Failed, &error)
    }
}

impl From<app::ServerError> for Failure {
    fn from(error: app::ServerError) -> Self {
        Self::caused(Kind::Settings, &error)
    }
}

impl From<app::StartError> for Failure {
    fn from(error: app::StartError) -> Self {
        let kind = match &error {
            app::StartError::Server(_) => Kind::Settings,
            app::StartError::Sender(_) => Kind::Failed,
            app::StartError::Source(_) => Kind::Unavailable,
            app::StartError::Embedded(_) => Kind::Unavailable,
            app::StartError::Api(ServeError::Open { .. }) => Kind::Settings,
            app::StartError::Api(ServeError::Bind { .. }) => Kind::Subject,
        };
        Self::caused(kind, &error)
    }
}
