//! The command `deliveries`: show, retry, explain.

use clap::{Args, Subcommand};

use crate::app;
use crate::config::Config;
use crate::domain::attempt::Attempt;
use crate::domain::audit::Actor;
use crate::domain::held_back::Phase;
use crate::domain::ids::{DeliveryId, EventType, Organization, WebhookId};
use crate::operations::deployment::Deployment;
use crate::operations::explain::{self, ExplainError, Explained};
use crate::operations::inspect::{self, Account, InspectError};
use crate::operations::retry::{self, RetryError};

use super::console::Console;
use super::failure::{ExitReason, Failure};
use super::table;

/// Look at one delivery, send it again, or ask why there was none
#[derive(Debug, Args)]
pub struct DeliveriesArgs {
    #[command(subcommand)]
    command: DeliveriesCommand,
    /// The organization that it belongs to
    #[arg(long, global = true, default_value = "default", value_name = "O")]
    organization: Organization,
}

#[derive(Debug, Subcommand)]
enum DeliveriesCommand {
    /// Show what became of a delivery, with all its attempts and its body if that is kept
    Show {
        /// Its id: X-Prism-Delivery of the request, delivery_id of an attempt
        delivery: DeliveryId,
        /// Its webhook, by its id: spares a look through all the organization's
        #[arg(long, value_name = "ID")]
        webhook: Option<WebhookId>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Start a delivery again from attempt 1, now
    Retry {
        /// Its id
        delivery: DeliveryId,
        /// Also if the receiver has it
        #[arg(long)]
        force: bool,
    },
    /// Say whether a webhook would get events of a type, and if not, why
    Explain {
        /// The webhook's id or name
        webhook: String,
        /// The event type
        event_type: EventType,
    },
}

/// Runs `deliveries …`.
pub async fn run(
    args: DeliveriesArgs,
    actor: &Actor,
    deployment: &Deployment,
    config: &Config,
    console: &mut Console,
) -> Result<(), Failure> {
    let organization = &args.organization;
    match args.command {
        DeliveriesCommand::Show {
            delivery,
            webhook,
            json,
        } => {
            let found = inspect::inspect(deployment, organization, &delivery, webhook.as_ref());
            show(&found.await?.account(&delivery), json, console)
        }
        DeliveriesCommand::Retry { delivery, force } => {
            retry::retry(deployment, actor, organization, &delivery, force).await?;
            Ok(writeln!(
                console.out,
                "{delivery} starts again from attempt 1"
            )?)
        }
        DeliveriesCommand::Explain {
            webhook,
            event_type,
        } => {
            explain(
                deployment,
                organization,
                &webhook,
                &event_type,
                config,
                console,
            )
            .await
        }
    }
}

/// Says whether a webhook gets an event type, and if not, why, or why later.
async fn explain(
    deployment: &Deployment,
    organization: &Organization,
    webhook: &str,
    event_type: &EventType,
    config: &Config,
    console: &mut Console,
) -> Result<(), Failure> {
    let (rules, egress) = (app::event_rules(config), app::egress(config));
    let found = explain::explain(
        deployment,
        organization,
        webhook,
        event_type,
        &rules,
        &egress,
    );
    let Explained {
        explanation,
        held_back,
    } = found.await?;
    for obstacle in &explanation.obstacles {
        writeln!(console.out, "{obstacle}")?;
    }
    let gets_it = explanation.obstacles.is_empty();
    if let Some(entry) = explanation.covered_by.filter(|_| gets_it) {
        writeln!(
            console.out,
            "it gets {event_type}: its event subscriptions cover it by {entry}"
        )?;
    }
    if let Some(held) = held_back {
        let is = match held.phase {
            Phase::ComingBack => "its deliveries come back that were put off",
            Phase::Held | Phase::Tried => "its deliveries are held back",
        };
        writeln!(console.out, "{is} since {:.0}: {held}", held.since)?;
    }
    if gets_it {
        return Ok(());
    }
    let message = format_args!("it does not get {event_type}");
    Err(Failure::new(ExitReason::Failed, message))
}

const HEADER: [&str; 6] = ["time", "attempt", "set off by", "outcome", "status", "ms"];

fn show(account: &Account, json: bool, console: &mut Console) -> Result<(), Failure> {
    let out = &mut console.out;
    if json {
        let text = serde_json::to_string_pretty(account).map_err(std::io::Error::from)?;
        return Ok(writeln!(out, "{text}")?);
    }
    write!(out, "{}: {}", account.id, account.state)?;
    if let Some(reason) = account.reason {
        write!(out, ", {reason}")?;
    }
    if let Some(at) = account.next_attempt_at {
        write!(out, ", the next attempt is due at {at:.0}")?;
    }
    writeln!(out)?;
    let row = |attempt: &Attempt| {
        vec![
            format!("{:.3}", attempt.started_at),
            attempt.attempt.to_string(),
            attempt.trigger.to_string(),
            attempt.outcome.clone(),
            attempt
                .status_code
                .map_or_else(String::new, |status| status.to_string()),
            format!("{:.1}", attempt.duration_ms()),
        ]
    };
    let rows = account.attempts.iter().map(row);
    table::print(
        out,
        console.shows.width,
        &HEADER,
        rows,
        "no attempts on record",
    )?;
    match &account.body {
        Some(body) => {
            for line in body.lines() {
                writeln!(out, "{line}")?;
            }
        }
        None => writeln!(out, "its body is not kept")?,
    }
    Ok(())
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Webhooks(error) => error.into(),
            InspectError::Unavailable(error) => error.into(),
            error @ (InspectError::Unknown(_) | InspectError::Unfound(_)) => {
                Self::caused(ExitReason::Subject, &error)
            }
        }
    }
}

impl From<ExplainError> for Failure {
    fn from(error: ExplainError) -> Self {
        match error {
            ExplainError::Webhooks(error) => error.into(),
            ExplainError::Unavailable(error) => error.into(),
        }
    }
}

impl From<RetryError> for Failure {
    fn from(error: RetryError) -> Self {
        let kind = match error {
            RetryError::Webhooks(error) => return error.into(),
            RetryError::Unknown(_) => ExitReason::Subject,
            RetryError::Delivered(_)
            | RetryError::NoBody(_)
            | RetryError::Outgrown(_)
            | RetryError::Disabled { .. }
            | RetryError::Deleted { .. }
            | RetryError::UnderWay(_) => ExitReason::Failed,
            RetryError::Unavailable(_) => ExitReason::Unavailable,
        };
        Self::caused(kind, &error)
    }
}
