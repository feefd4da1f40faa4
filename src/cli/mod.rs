//! The commands: one file each, and here what they share: the command line itself.

mod arguments;
pub mod attempts;
pub mod audit;
pub mod bench;
pub mod config;
pub mod console;
pub mod dead_letters;
pub mod deliveries;
pub mod demo;
pub mod failure;
pub mod listen;
pub mod logging;
mod operator;
pub mod printable;
pub mod publish;
pub mod ready;
pub mod relay;
pub mod run;
pub mod schema;
pub mod secret_keys;
pub mod secret_text;
pub mod signals;
mod store_commands;
pub mod table;
pub mod topology;
pub mod webhooks;
pub mod worker;

use std::io;

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::app::{self, Scope};
use crate::config::{Config, ConfigError, NotSet};
use crate::web::ServeError;

use config::{ConfigArgs, ConfigCommandError, GlobalArgs, prism_environment};
use console::Console;
use failure::{ExitReason, Failure};

/// Outbound webhook delivery for Prism: signed, retried, recorded, and nothing lost on the way
#[derive(Debug, Parser)]
#[command(
    name = "prism-webhooks",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 done; 1 it ran, and the answer is no; 2 wrong usage; 3 unusable \
                  settings;\n4 RabbitMQ, Redis or the data cannot be reached, or refuses; 5 what was named \
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
    Demo(demo::DemoArgs),
    Run(run::RunArgs),
    Api(run::ApiArgs),
    Worker(worker::WorkerArgs),
    Publish(publish::PublishArgs),
    Listen(listen::ListenArgs),
    Webhooks(webhooks::WebhooksArgs),
    Attempts(attempts::AttemptsArgs),
    Deliveries(deliveries::DeliveriesArgs),
    DeadLetters(dead_letters::DeadLettersArgs),
    Audit(audit::AuditArgs),
    SecretKeys(secret_keys::SecretKeysArgs),
    Topology(topology::TopologyArgs),
    Config(ConfigArgs),
    Schema(schema::SchemaArgs),
    Openapi(schema::OpenapiArgs),
    Ready(ready::ReadyArgs),
    Bench(bench::BenchArgs),
    #[command(hide = true)]
    BenchPart(bench::PartArgs),
}

/// Runs one command line, the program's name first, to its end.
pub fn run(program: Program, arguments: Vec<String>) -> Result<(), Failure> {
    let mut console = Console::own();
    let result = dispatch(program, arguments, &mut console);
    result.and(console.out.flush().map_err(Failure::from))
}

fn dispatch(
    program: Program,
    arguments: Vec<String>,
    console: &mut Console,
) -> Result<(), Failure> {
    let environment = prism_environment();
    match program.command {
        // These need no settings, or report on them themselves.
        Command::Config(args) => {
            let out = &mut console.out;
            Ok(config::run(&args, &program.global, environment, out)?)
        }
        Command::Schema(args) => schema::run(&args, &mut console.out),
        Command::Openapi(args) => schema::openapi(&args, &mut console.out),
        Command::Demo(args) => {
            logging::start(&demo::logging(environment));
            runtime(1)?.block_on(demo::run(&args, console))
        }
        Command::Listen(args) => {
            let listening = listen::run(args, signals::stop());
            Ok(runtime(1)?.block_on(listening).map(drop)?)
        }
        command => {
            let loaded = program.global.load(environment)?;
            logging::start(&loaded.config.logging);
            let mut threads = 1;
            if matches!(
                command,
                Command::Run(_) | Command::Worker(_) | Command::Api(_)
            ) {
                app::handles::raise();
                threads = loaded.config.worker.threads;
                for warning in &loaded.warnings {
                    tracing::warn!("{warning}");
                }
            }
            let running = with_settings(command, arguments, &loaded.config, console);
            runtime(threads)?.block_on(running)
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
    arguments: Vec<String>,
    config: &Config,
    console: &mut Console,
) -> Result<(), Failure> {
    match command {
        Command::Run(_) => run::run(Scope::Everything, config, console).await,
        Command::Api(_) => run::run(Scope::Api, config, console).await,
        Command::Worker(args) => worker::run(&args, config, console).await,
        Command::Ready(args) => ready::run(&args, config, console).await,
        Command::Bench(args) => bench::run(&args, config, console).await,
        Command::BenchPart(args) => bench::part(args, config, console).await,
        Command::Topology(args) => {
            let topology = app::topology(config);
            let server = if args.is_offline() {
                None
            } else {
                Some(app::server(config, "commands")?)
            };
            topology::run(&args, &topology, server.as_ref(), console).await
        }
        command => {
            let follows = matches!(command, Command::Attempts(_));
            let asking = store_commands::run(command, arguments, config, console);
            tokio::select! {
                result = asking => result,
                // A publisher must know how many were confirmed; whoever follows has seen enough.
                () = signals::stop(), if follows => Ok(()),
            }
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(ExitReason::Settings, error)
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
        Self::new(ExitReason::Settings, error)
    }
}

impl From<listen::ListenError> for Failure {
    fn from(error: listen::ListenError) -> Self {
        Self::caused(ExitReason::Failed, &error)
    }
}

impl From<app::ServerError> for Failure {
    fn from(error: app::ServerError) -> Self {
        Self::caused(ExitReason::Settings, &error)
    }
}

impl From<app::StartError> for Failure {
    fn from(error: app::StartError) -> Self {
        let kind = match &error {
            app::StartError::Server(_) | app::StartError::NoData(_) | app::StartError::Keys(_) => {
                ExitReason::Settings
            }
            app::StartError::Sender(_) => ExitReason::Failed,
            app::StartError::Source(_) => ExitReason::Unavailable,
            app::StartError::Embedded(_) => ExitReason::Unavailable,
            app::StartError::Api(ServeError::Open { .. }) => ExitReason::Settings,
            app::StartError::Api(ServeError::Bind { .. }) => ExitReason::Subject,
        };
        Self::caused(kind, &error)
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command as Clap, CommandFactory as _};

    use super::Program;

    /// What a command, its arguments and those below it say of themselves.
    fn texts(command: &Clap) -> Vec<String> {
        let own = [command.get_about(), command.get_long_about()];
        let arguments = command.get_arguments();
        let arguments = arguments.flat_map(|one| [one.get_help(), one.get_long_help()]);
        let own = own.into_iter().chain(arguments).flatten();
        let below = command.get_subcommands().flat_map(texts);
        own.map(ToString::to_string).chain(below).collect()
    }

    #[test]
    fn help_is_prose_and_names_nothing_of_the_code() {
        let all = texts(&Program::command());
        assert!(all.len() > 100, "{}", all.len());
        for text in all {
            let is_of_the_code = |word: &&str| {
                let known = ["RabbitMQ", "OpenAPI", "JavaScript", "SQLite"];
                let inner = word.trim_matches(|c: char| !c.is_alphanumeric());
                let humps = inner
                    .as_bytes()
                    .windows(2)
                    .filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
                humps.count() > 0 && !known.iter().any(|name| inner.starts_with(name))
            };
            let odd = text.split_whitespace().find(is_of_the_code);
            assert_eq!(odd, None, "{text}");
        }
    }
}
