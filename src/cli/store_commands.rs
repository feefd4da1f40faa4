//! The commands that ask a deployment something, in either mode.

use std::sync::Arc;

use jiff::Timestamp;

use crate::app::backend::{self, Backend};
use crate::app::{self, StartError};
use crate::config::Config;
use crate::domain::audit::{Actor, Through};
use crate::embedded;
use crate::embedded::database::OpenError;
use crate::operations::test::Tester;
use crate::store::Unavailable;

use super::console::Console;
use super::failure::{ExitReason, Failure};
use super::relay::RelayRequest;
use super::{
    Command, Program, attempts, audit, dead_letters, deliveries, operator, publish, relay,
    secret_keys, webhooks,
};

/// Asks what the settings name, or the process that has the embedded store open.
pub(super) async fn run(
    command: Command,
    arguments: Vec<String>,
    config: &Config,
    console: &mut Console,
) -> Result<(), Failure> {
    let opened = match &command {
        Command::Publish(_) => backend::open(config, "publish"),
        Command::Webhooks(_) => backend::open(config, "commands"),
        _ => backend::open_existing(config, "commands"),
    };
    match opened {
        Ok(backend) => {
            let tester = || Ok(app::tester(config, &*backend, Arc::default())?);
            let actor = Actor::new(&operator::user(), Through::Cli);
            let result = ask(command, actor, &*backend, tester, config, console).await;
            backend.close().await;
            result
        }
        Err(StartError::Embedded(embedded::StartError::Open(OpenError::InUse { .. }))) => {
            let (option, file) = match &command {
                Command::Publish(args) => ("--file", args.path()),
                Command::Webhooks(args) => ("--secret-file", args.secret_file()),
                _ => ("", None),
            };
            let arguments = match file {
                Some(path) => lend_file(arguments, option, publish::open(path).await?, console),
                None => arguments,
            };
            relay::ask(&config.data_dir, arguments, console).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Runs a command that another process hands over to this one, which has the store open.
pub(super) async fn relayed(
    asked: RelayRequest,
    backend: &dyn Backend,
    tester: &Tester,
    config: &Config,
    mut console: Console,
) -> Result<(), Failure> {
    let parsed = <Program as clap::Parser>::try_parse_from(asked.arguments);
    let program = parsed.map_err(|error| Failure::new(ExitReason::Failed, error))?;
    let tester = || Ok(tester.clone());
    let actor = Actor::new(&asked.user, Through::Cli);
    ask(
        program.command,
        actor,
        backend,
        tester,
        config,
        &mut console,
    )
    .await
}

async fn ask(
    command: Command,
    actor: Actor,
    backend: &dyn Backend,
    tester: impl FnOnce() -> Result<Tester, Failure>,
    config: &Config,
    console: &mut Console,
) -> Result<(), Failure> {
    match command {
        Command::Webhooks(args) => {
            let webhooks = backend.webhooks()?.by(actor);
            let log = backend.delivery_log()?;
            webhooks::run(args, &webhooks, &*log, tester, Timestamp::now(), console).await
        }
        Command::Attempts(args) => {
            let webhooks = backend.webhooks().ok();
            let log = backend.delivery_log()?;
            attempts::run(args, &*log, webhooks.as_ref(), console).await
        }
        Command::Deliveries(args) => {
            deliveries::run(args, &actor, &backend.deployment()?, config, console).await
        }
        Command::DeadLetters(args) => {
            let audit = || Ok(backend.audit_log()?);
            dead_letters::run(args, actor, &*backend.dead_letters()?, audit, console).await
        }
        Command::Audit(args) => audit::run(args, &*backend.audit_log()?, console).await,
        Command::SecretKeys(args) => secret_keys::run(args, &backend.webhooks()?, console).await,
        Command::Publish(args) => {
            let rules = app::event_rules(config);
            publish::run(args, &*backend.intake()?, &rules, console).await
        }
        _ => Err(not_a_question()),
    }
}

/// Has the other process read from the input what this one reads from a file of its user's.
fn lend_file(
    arguments: Vec<String>,
    option: &str,
    file: tokio::fs::File,
    console: &mut Console,
) -> Vec<String> {
    console.input = Box::new(file);
    let mut named = false;
    let replaced = arguments.into_iter().map(|argument| {
        let is_name = std::mem::replace(&mut named, argument == option);
        if is_name {
            return "-".to_owned();
        }
        let given = argument.strip_prefix(option);
        match given.is_some_and(|rest| rest.starts_with('=')) {
            true => format!("{option}=-"),
            false => argument,
        }
    });
    replaced.collect()
}

fn not_a_question() -> Failure {
    Failure::new(ExitReason::Failed, "this command cannot be handed over")
}

impl From<Unavailable> for Failure {
    fn from(error: Unavailable) -> Self {
        Self::caused(ExitReason::Unavailable, &error)
    }
}
