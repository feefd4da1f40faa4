//! The command `audit`: list.

use clap::{Args, Subcommand};
use jiff::Timestamp;

use crate::domain::audit::{Action, AuditEntry};
use crate::domain::ids::{Organization, WebhookId};
use crate::store::audit::{AuditFilter, AuditLog};

use super::arguments::at_least;
use super::attempts::point_in_time;
use super::console::Console;
use super::failure::Failure;
use super::table;

/// Look at the audit log: who changed what, and when
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// List what was changed, newest first
    List(ListArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// In this organization
    #[arg(long, default_value = "default", value_name = "O")]
    organization: Organization,
    /// What was done to all organizations at once: requeues and purges of everybody's dead letters
    #[arg(long, conflicts_with = "organization")]
    all_organizations: bool,
    /// What was done: webhook.changed, webhook.deleted, dead_letters.purged …
    #[arg(long, value_name = "ACTION")]
    action: Option<Action>,
    /// By whoever has this name
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// To this webhook, by its id
    #[arg(long, value_name = "ID")]
    webhook: Option<WebhookId>,
    /// Done since then: a time (RFC 3339), or how long ago, as in 2h
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    since: Option<Timestamp>,
    /// Done before then
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    until: Option<Timestamp>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = at_least(1_usize))]
    limit: usize,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

/// Runs `audit …`.
pub async fn run(
    args: AuditArgs,
    log: &dyn AuditLog,
    console: &mut Console,
) -> Result<(), Failure> {
    let AuditCommand::List(args) = args.command;
    list(args, log, console).await
}

async fn list(args: ListArgs, log: &dyn AuditLog, console: &mut Console) -> Result<(), Failure> {
    let organization = (!args.all_organizations).then_some(&args.organization);
    let filter = AuditFilter {
        action: args.action,
        actor: args.actor,
        webhook: args.webhook,
        since: args.since,
        until: args.until,
    };
    let (mut entries, mut unreadable, mut before) = (Vec::new(), 0, None);
    while entries.len() < args.limit {
        let rest = args.limit - entries.len();
        let part = log.list(organization, &filter, rest, before).await?;
        entries.extend(part.entries);
        unreadable += part.unreadable;
        before = part.next;
        if before.is_none() {
            break;
        }
    }
    if unreadable > 0 {
        console.say(format_args!(
            "{unreadable} entries could not be read and are left out"
        ));
    }
    if args.json {
        return Ok(table::json_array(&mut console.out, &entries)?);
    }
    Ok(table::print(
        &mut console.out,
        console.shows.width,
        &["time", "who", "through", "what", "of", "details"],
        entries.iter().map(row),
        "nothing in the audit log",
    )?)
}

fn row(entry: &AuditEntry) -> Vec<String> {
    vec![
        format!("{:.0}", entry.at),
        entry.actor.clone(),
        entry.through.name().to_owned(),
        entry.action.to_string(),
        entry.subject(),
        entry.details(),
    ]
}
