//! The command `dead-letters`: list, show, requeue, purge.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::audit::Actor;
use crate::domain::dead_letter::Reason;
use crate::domain::ids::Organization;
use crate::operations::audit::{self, JobInAudit};
use crate::store::audit::AuditLog;
use crate::store::dead_letters::{Action, DeadLetters, Filter, Found, Options, Progress};
use crate::store::letter_index::StillLooking;

use super::arguments::at_least;
use super::attempts::point_in_time;
use super::console::Console;
use super::failure::{ExitReason, Failure};
use super::{signals, table};

/// Look at what was given up, send it round again, throw it away
#[derive(Debug, Args)]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    command: DeadLettersCommand,
}

#[derive(Debug, Subcommand)]
enum DeadLettersCommand {
    /// List dead letters, oldest first; changes nothing
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "N", value_parser = at_least(1_usize))]
        limit: usize,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show everything that a dead letter says, as JSON; changes nothing
    Show {
        /// Its id: the delivery's, or the event's of what is no delivery
        id: String,
    },
    /// Start deliveries again from attempt 1: all, or those that match
    Requeue(ChangeArgs),
    /// Throw dead letters away for good: all, or those that match
    Purge(ChangeArgs),
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).multiple(true)
    .args(["all", "webhook", "event", "reason", "organization", "since", "until", "ids"])))]
struct ChangeArgs {
    /// Every dead letter
    #[arg(long, conflicts_with_all = ["webhook", "event", "reason", "organization", "since", "until", "ids"])]
    all: bool,
    #[command(flatten)]
    filter: FilterArgs,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// At most so many a second
    #[arg(long, value_name = "N", value_parser = rate, allow_negative_numbers = true)]
    rate: Option<f64>,
    /// At most so many, the oldest
    #[arg(long, value_name = "N", value_parser = at_least(1_u64))]
    limit: Option<u64>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct FilterArgs {
    /// To this webhook, by its id
    #[arg(long, value_name = "ID")]
    webhook: Option<String>,
    /// Of events of this type
    #[arg(long, value_name = "TYPE")]
    event: Option<String>,
    /// Given up for this reason: attempts-exhausted, webhook-disabled, invalid-event, expired …
    #[arg(long, value_name = "REASON")]
    reason: Option<Reason>,
    /// Of this organization
    #[arg(long, value_name = "O")]
    organization: Option<String>,
    /// Given up since then: a time (RFC 3339), or how long ago, as in 2h
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    since: Option<Timestamp>,
    /// Given up before then
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    until: Option<Timestamp>,
    /// This one, by the delivery's id, or the event's of what is no delivery; can be repeated
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
}

/// Runs `dead-letters …`.
pub async fn run(
    args: DeadLettersArgs,
    actor: Actor,
    dead_letters: &dyn DeadLetters,
    audit_log: impl FnOnce() -> Result<Arc<dyn AuditLog>, Failure>,
    console: &mut Console,
) -> Result<(), Failure> {
    let (action, change) = match args.command {
        DeadLettersCommand::List {
            filter,
            limit,
            json,
        } => return list(dead_letters, &filter.filter(), limit, json, console).await,
        DeadLettersCommand::Show { id } => return show(dead_letters, id, console).await,
        DeadLettersCommand::Requeue(change) => (Action::Requeue, change),
        DeadLettersCommand::Purge(change) => (Action::Purge, change),
    };
    self::change(action, change, actor, dead_letters, audit_log()?, console).await
}

async fn show(
    dead_letters: &dyn DeadLetters,
    id: String,
    console: &mut Console,
) -> Result<(), Failure> {
    let filter = Filter {
        ids: Some(BTreeSet::from([id.clone()])),
        ..Filter::default()
    };
    let found = look(dead_letters, &filter, 1, console).await?;
    let Some(letter) = found.letters.first() else {
        let message =
            format_args!("no dead letter has the id {id}; list them to see those there are");
        return Err(Failure::new(ExitReason::Subject, message));
    };
    let text = serde_json::to_string_pretty(letter).map_err(io::Error::from)?;
    Ok(writeln!(console.out, "{text}")?)
}

async fn list(
    dead_letters: &dyn DeadLetters,
    filter: &Filter,
    limit: usize,
    json: bool,
    console: &mut Console,
) -> Result<(), Failure> {
    let found = look(dead_letters, filter, limit, console).await?;
    if !found.is_complete() {
        let looked_at = found.looked_at;
        console.say(format_args!(
            "there may be more: the first {looked_at} were looked at (--limit shows more)"
        ));
    }
    if json {
        return Ok(table::json_array(&mut console.out, &found.letters)?);
    }
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let rows = found.letters.iter().map(|letter| {
        vec![
            letter
                .dead_at
                .map(|at| format!("{at:.0}"))
                .unwrap_or_default(),
            letter
                .reason
                .map(|reason| reason.to_string())
                .unwrap_or_default(),
            text(&letter.organization),
            text(&letter.webhook),
            text(&letter.event_type),
            text(&letter.delivery),
            letter
                .attempts
                .map(|attempts| attempts.to_string())
                .unwrap_or_default(),
            text(&letter.detail),
        ]
    });
    let header = [
        "dead since",
        "reason",
        "organization",
        "webhook",
        "event type",
        "delivery",
        "attempts",
        "detail",
    ];
    Ok(table::print(
        &mut console.out,
        console.shows.width,
        &header,
        rows,
        "no dead letters",
    )?)
}

/// Lists letters, however long it takes until what there is is known.
async fn look(
    dead_letters: &dyn DeadLetters,
    filter: &Filter,
    limit: usize,
    console: &mut Console,
) -> Result<Found, Failure> {
    let mut reported = false;
    let found = loop {
        match dead_letters.list(filter, None, limit).await {
            Err(error) if error.cause().is::<StillLooking>() => {
                if console.shows.progress {
                    reported = true;
                    console.progress(format_args!("{error}"));
                }
            }
            found => break found,
        }
    };
    if reported {
        console.say("");
    }
    Ok(found?)
}

async fn change(
    action: Action,
    args: ChangeArgs,
    actor: Actor,
    dead_letters: &dyn DeadLetters,
    audit_log: Arc<dyn AuditLog>,
    console: &mut Console,
) -> Result<(), Failure> {
    let filter = args.filter.filter();
    let options = Options {
        dry_run: args.dry_run,
        limit: args.limit,
        rate: args.rate,
        ..Options::default()
    };
    let audit = JobInAudit::new(Uuid::now_v7(), actor, action, &filter, &options);
    let meant = (&filter, &options);
    let progress = go_through(&audit, meant, dead_letters, audit_log, console).await?;
    if progress.cut_short {
        console.say(format_args!(
            "looked at {} of {}: somebody else is going through the rest; start it again once that \
             is over",
            progress.looked_at, progress.total
        ));
    }
    if options.stop.is_cancelled() && progress.looked_at < progress.total {
        console.say(format_args!(
            "stopped: looked at {} of {}; what was done stays done",
            progress.looked_at, progress.total
        ));
    }
    let out = &mut console.out;
    if args.json {
        let text = serde_json::to_string_pretty(&progress).map_err(io::Error::from)?;
        return Ok(writeln!(out, "{text}")?);
    }
    write_progress(action, args.dry_run, &progress, out)
}

/// Goes through the dead letters, and shows how far it is.
async fn go_through(
    audit: &JobInAudit,
    meant: (&Filter, &Options),
    dead_letters: &dyn DeadLetters,
    audit_log: Arc<dyn AuditLog>,
    console: &mut Console,
) -> Result<Progress, Failure> {
    let organization = meant.0.organization.as_deref();
    let organization = organization.and_then(|name| Organization::new(name).ok());
    let mut shown = Instant::now();
    let mut reported = false;
    let mut report = |progress: &Progress| {
        if console.shows.progress && shown.elapsed() >= Duration::from_secs(1) {
            shown = Instant::now();
            reported = true;
            let Progress {
                done,
                looked_at,
                total,
                ..
            } = progress;
            console.progress(format_args!(
                "{done} done, {looked_at} of {total} looked at"
            ));
        }
    };
    let organization = organization.as_ref();
    let going = audit::go_through(
        dead_letters,
        audit_log,
        audit,
        organization,
        meant,
        &mut report,
    );
    // Told to stop, it still enters what it has done; told again, it does not.
    let progress = signals::until_finished(going, &meant.1.stop).await;
    if reported {
        console.say("");
    }
    let given_up = || Failure::new(ExitReason::Failed, "stopped before it was done");
    Ok(progress.ok_or_else(given_up)??)
}

/// Says what a job has done.
fn write_progress(
    action: Action,
    dry_run: bool,
    progress: &Progress,
    out: &mut dyn io::Write,
) -> Result<(), Failure> {
    let done = match (action, dry_run) {
        (Action::Requeue, false) => "requeued",
        (Action::Requeue, true) => "would be requeued",
        (Action::Purge, false) => "purged",
        (Action::Purge, true) => "would be purged",
    };
    writeln!(out, "{} {done}, {} kept", progress.done, progress.kept)?;
    if progress.unusable > 0 {
        writeln!(
            out,
            "{} cannot be requeued: they are no deliveries",
            progress.unusable
        )?;
    }
    for (by, counts) in [
        ("reason", &progress.by_reason),
        ("webhook", &progress.by_webhook),
    ] {
        for (name, count) in counts {
            writeln!(out, "  {by} {name}: {count}")?;
        }
    }
    Ok(())
}

impl FilterArgs {
    fn filter(&self) -> Filter {
        Filter {
            reason: self.reason,
            webhook: self.webhook.clone(),
            event_type: self.event.clone(),
            organization: self.organization.clone(),
            since: self.since,
            until: self.until,
            seen: None,
            ids: (!self.ids.is_empty()).then(|| self.ids.iter().cloned().collect()),
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && f64::is_finite(rate) => Ok(rate),
        _ => Err("write a number of dead letters a second, above 0".to_owned()),
    }
}
