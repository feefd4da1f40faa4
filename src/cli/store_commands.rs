//! The commands that ask a deployment something, in either mode.

use std::sync::Arc;

use jiff::Timestamp;

use crate::app;
use crate::config::Config;
use crate::embedded::StartError;
use crate::embedded::database::OpenError;
use crate::operations::deployment::Deployment;
use crate::operations::test::Tester;
use crate::store::Unavailable;

use super::console::Console;
use super::failure::{Failure, Kind};
use super::relay::RelayRequest;
use super::{Command, Program, attempts, dead_letters, deliveries, publish, relay, webhooks};

/// Asks RabbitMQ and Redis, and of the two only the one that is needed.
pub(super) async fn servers(
    command: Command,
    config: &Config,
    console: &mut Console,
) -> Result<(), Failure> {
    match command {
        Command::Webhooks(args) => {
            let store = app::webhooks(config)?;
            let tester = || Ok(app::tester(config, Arc::default())?);
            webhooks::run(args, &store, tester, Timestamp::now(), console).await
        }
        Command::Attempts(args) => attempts::run(args, &app::delivery_log(config)?, console).await,
        Command::Deliveries(args) => {
            let publisher = app::publisher(config, "commands")?;
            let deployment = app::servers(config, publisher.clone(), "commands")?;
            let result = deliveries::run(args, &deployment, config, console).await;
            publisher.close().await;
            result
        }
        Command::DeadLetters(args) => {
            let letters = app::dead_letters(config, "commands")?;
            dead_letters::run(args, &letters, console).await
        }
        Command::Publish(args) => {
            let publisher = app::publisher(config, "publish")?;
            let result = publish::run(args, &publisher, &app::event_rules(config), console).await;
            publisher.close().await;
            result
        }
        _ => Err(not_a_question()),
    }
}

/// Asks the embedded store, or the process that has it open.
pub(super) async fn embedded(
    command: Command,
    arguments: Vec<String>,
    config: &Config,
    console: &mut Console,
) -> Result<(), Failure> {
    let directory = &config.data_dir;
    if !directory.is_dir() && !matches!(command, Command::Publish(_) | Command::Webhooks(_)) {
        let directory = directory.display();
        let message = format!(
            "there is no data in {directory}: name RabbitMQ and Redis by PRISM_AMQP_URL and \
             PRISM_REDIS_URL, or for embedded mode the right PRISM_DATA_DIR"
        );
        return Err(Failure::new(Kind::Settings, message));
    }
    match app::embedded(config, directory) {
        Ok(embedded) => {
            let deployment = app::deployment_on(&embedded);
            let tester = app::tester_on(config, embedded.log(), Arc::default())
                .map_err(app::StartError::from)?;
            let result = on(command, &deployment, &tester, config, console).await;
            embedded.store().close().await;
            result
        }
        Err(StartError::Open(OpenError::InUse { .. })) => {
            let arguments = match &command {
                Command::Publish(args) => {
                    let file = match args.path() {
                        Some(path) => Some(publish::open(path).await?),
                        None => None,
                    };
                    lend_file(arguments, file, console)
                }
                _ => arguments,
            };
            relay::ask(directory, arguments, console).await
        }
        Err(error) => Err(app::StartError::from(error).into()),
    }
}

/// Runs a command that another process hands over to this one, which has the store open.
pub(super) async fn relayed(
    ask: RelayRequest,
    deployment: &Deployment,
    tester: &Tester,
    config: &Config,
    mut console: Console,
) -> Result<(), Failure> {
    let parsed = <Program as clap::Parser>::try_parse_from(ask.arguments);
    let program = parsed.map_err(|error| Failure::new(Kind::Failed, error))?;
    on(program.command, deployment, tester, config, &mut console).await
}

async fn on(
    command: Command,
    deployment: &Deployment,
    tester: &Tester,
    config: &Config,
    console: &mut Console,
) -> Result<(), Failure> {
    match command {
        Command::Webhooks(args) => {
            let tester = || Ok(tester.clone());
            webhooks::run(
                args,
                &deployment.webhooks,
                tester,
                Timestamp::now(),
                console,
            )
            .await
        }
        Command::Attempts(args) => attempts::run(args, &*deployment.delivery_log, console).await,
        Command::Deliveries(args) => deliveries::run(args, deployment, config, console).await,
        Command::DeadLetters(args) => {
            dead_letters::run(args, &*deployment.dead_letters, console).await
        }
        Command::Publish(args) => {
            let rules = app::event_rules(config);
            publish::run(args, &*deployment.intake, &rules, console).await
        }
        _ => Err(not_a_question()),
    }
}

/// Has the other process read from the input what this one reads from a file of its user's.
fn lend_file(
    arguments: Vec<String>,
    file: Option<tokio::fs::File>,
    console: &mut Console,
) -> Vec<String> {
    let Some(file) = file else { return arguments };
    console.input = Box::new(file);
    let mut named = false;
    let replaced = arguments.into_iter().map(|argument| {
        let is_name = std::mem::replace(&mut named, argument == "--file");
        if is_name {
            "-".to_owned()
        } else if argument.starts_with("--file=") {
            "--file=-".to_owned()
        } else {
            argument
        }
    });
    replaced.collect()
}

fn not_a_question() -> Failure {
    Failure::new(Kind::Failed, "this command cannot be handed over")
}

impl From<Unavailable> for Failure {
    fn from(error: Unavailable) -> Self {
        Self::caused(Kind::Unavailable, &error)
    }
}
