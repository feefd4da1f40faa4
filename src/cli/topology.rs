//! The command `topology`: apply, check, show.

use clap::{Args, Subcommand};

use crate::rabbitmq::connection::{ConnectError, Purpose, Server};
use crate::rabbitmq::declare::{self, Shown, TopologyError};
use crate::rabbitmq::topology::Topology;

use super::console::Console;
use super::failure::{ExitReason, Failure};
use super::table;

/// Create, compare or look at the exchanges and queues
#[derive(Debug, Args)]
pub struct TopologyArgs {
    #[command(subcommand)]
    command: TopologyCommand,
}

#[derive(Debug, Subcommand)]
enum TopologyCommand {
    /// Declare every exchange, queue and binding; what is there already, declared alike, stays
    Apply,
    /// Compare the broker with what is wanted, change nothing, and report all that is wrong
    Check,
    /// Show every object, how it is declared, and what its queue holds
    Show {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
        /// Ask no broker
        #[arg(long)]
        offline: bool,
    },
}

impl TopologyArgs {
    /// Whether the command can be run without a broker.
    pub fn is_offline(&self) -> bool {
        matches!(self.command, TopologyCommand::Show { offline: true, .. })
    }
}

/// Runs `topology …`; `server` is not needed for what needs no broker.
pub async fn run(
    args: &TopologyArgs,
    topology: &Topology,
    server: Option<&Server>,
    console: &mut Console,
) -> Result<(), Failure> {
    let out = &mut console.out;
    let connection = match server {
        Some(server) => Some(server.connect(Purpose::Topology).await?),
        None => None,
    };
    match (&args.command, &connection) {
        (TopologyCommand::Show { json, .. }, connection) => {
            let shown = declare::show(topology, connection.as_ref()).await?;
            show(&shown, *json, console)
        }
        (TopologyCommand::Apply, Some(connection)) => {
            declare::apply(topology, connection).await?;
            let objects = topology.objects().len();
            Ok(writeln!(
                out,
                "{objects} exchanges and queues are as wanted"
            )?)
        }
        (TopologyCommand::Check, Some(connection)) => {
            let check = declare::check(topology, connection).await?;
            for problem in &check.problems {
                writeln!(out, "{problem}")?;
            }
            let (objects, bindings) = (check.objects, check.unseen_bindings);
            if !check.problems.is_empty() {
                let problems = check.problems.len();
                let message = format_args!("{problems} of {objects} objects are not as wanted");
                return Err(Failure::new(ExitReason::Failed, message));
            }
            Ok(writeln!(
                out,
                "{objects} exchanges and queues are as wanted ({bindings} bindings cannot be \
                 seen over AMQP; topology apply sets them)"
            )?)
        }
        (TopologyCommand::Apply | TopologyCommand::Check, None) => {
            Err(Failure::new(ExitReason::Settings, "this needs a broker"))
        }
    }
}

fn show(shown: &[Shown], json: bool, console: &mut Console) -> Result<(), Failure> {
    if json {
        return Ok(table::json_array(&mut console.out, shown)?);
    }
    let rows = shown.iter().map(|one| {
        let arguments: Vec<String> = one
            .object
            .arguments
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let bindings: Vec<&str> = one
            .object
            .bindings
            .iter()
            .map(|binding| binding.routing_key.as_str())
            .collect();
        let count = |of: fn(&declare::Contents) -> u32| {
            one.contents
                .as_ref()
                .map(|contents| of(contents).to_string())
                .unwrap_or_default()
        };
        vec![
            one.object.kind.name().to_owned(),
            one.object.name.clone(),
            count(|contents| contents.messages),
            count(|contents| contents.consumers),
            bindings.join(" "),
            arguments.join(" "),
        ]
    });
    let header = [
        "kind",
        "name",
        "messages",
        "consumers",
        "bound to",
        "arguments",
    ];
    Ok(table::print(
        &mut console.out,
        console.shows.width,
        &header,
        rows,
        "nothing",
    )?)
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::caused(ExitReason::Unavailable, &error)
    }
}

impl From<TopologyError> for Failure {
    fn from(error: TopologyError) -> Self {
        let kind = if error.is_passing() {
            ExitReason::Unavailable
        } else {
            ExitReason::Failed
        };
        Self::caused(kind, &error)
    }
}
