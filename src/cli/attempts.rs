//! The command `attempts`: list, tail.

use std::collections::HashMap;

use clap::{Args, Subcommand};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};

use crate::domain::attempt::Attempt;
use crate::domain::ids::{DeliveryId, EventId, EventType, Organization, WebhookId};
use crate::registry::webhooks::{Listed, Webhooks, WebhooksError};
use crate::store::delivery_log::{AttemptFilter, DeliveryLog, RecordedAttempt};
use crate::store::search;

use super::arguments::{self, at_least};
use super::console::Console;
use super::failure::{ExitReason, Failure};
use super::table;

/// Look at the record of attempts: every HTTP request that was made, and what came of it
#[derive(Debug, Args)]
pub struct AttemptsArgs {
    #[command(subcommand)]
    command: AttemptsCommand,
}

#[derive(Debug, Subcommand)]
enum AttemptsCommand {
    /// List attempts, newest first
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
    /// Print attempts as they are made, until interrupted
    Tail {
        #[command(flatten)]
        filter: FilterArgs,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct FilterArgs {
    /// Of this webhook, by its id or name; one that is deleted has its id alone
    #[arg(long, value_name = "WEBHOOK")]
    webhook: Option<String>,
    /// Of this organization; with --webhook, the one that it belongs to
    #[arg(long, value_name = "O")]
    organization: Option<Organization>,
    /// Of this delivery, by its id
    #[arg(long, value_name = "ID")]
    delivery: Option<DeliveryId>,
    /// Of this event, by its id: what became of it at every webhook
    #[arg(long, value_name = "ID")]
    event_id: Option<EventId>,
    /// Of events of this type
    #[arg(long, value_name = "TYPE")]
    event: Option<EventType>,
    /// That came to this: delivered, rejected, timeout, connect_failed …; failed: to any but delivered
    #[arg(long, value_name = "NAME", value_parser = arguments::outcome)]
    outcome: Option<String>,
    /// Answered with this status, as 404, or with one of a class: 2 for 2xx
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<u16>,
    /// Made since then: a time (RFC 3339), or how long ago, as in 2h
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    since: Option<Timestamp>,
    /// Made before then
    #[arg(long, value_name = "TIME", value_parser = point_in_time)]
    until: Option<Timestamp>,
}

/// What webhooks are called, as far as that is known.
struct Names<'a> {
    webhooks: Option<&'a Webhooks>,
    /// By organization and id; none for those that have no name any more, or cannot be read.
    known: HashMap<Organization, HashMap<String, Option<String>>>,
}

impl Names<'_> {
    /// The name of an attempt's webhook; its id if it has none.
    async fn of(&mut self, attempt: &Attempt) -> String {
        let (organization, id) = (&attempt.organization, attempt.webhook_id.as_str());
        let known = self.known.get(organization);
        // Looked up once for each that is new: they may be created while a tail runs.
        if known.is_none_or(|known| !known.contains_key(id)) {
            let names = self.look_up(organization).await;
            let known = self.known.entry(organization.clone()).or_default();
            known.extend(names.into_iter().map(|(id, name)| (id, Some(name))));
            known.entry(id.to_owned()).or_default();
        }
        let known = self.known.get(organization);
        let name = known.and_then(|known| known.get(id)?.as_deref());
        name.unwrap_or(id).to_owned()
    }

    async fn look_up(&self, organization: &Organization) -> HashMap<String, String> {
        let Some(webhooks) = self.webhooks else {
            return HashMap::new();
        };
        // The record is shown whether they can be read or not.
        let listed = webhooks.list(organization).await.unwrap_or_default();
        let names = listed.into_iter().filter_map(|one| match one {
            Listed::Valid(stored) => Some((stored.document.id, stored.document.name)),
            Listed::Invalid { .. } => None,
        });
        names.collect()
    }
}

/// Runs `attempts …`; a tail ends when the process is interrupted. Webhooks are shown by their names
/// if `webhooks` is given.
pub async fn run(
    args: AttemptsArgs,
    log: &dyn DeliveryLog,
    webhooks: Option<&Webhooks>,
    console: &mut Console,
) -> Result<(), Failure> {
    let mut names = Names {
        webhooks,
        known: HashMap::new(),
    };
    match args.command {
        AttemptsCommand::List {
            filter,
            limit,
            json,
        } => {
            let filter = filter.filter(webhooks).await?;
            let page = search::all(log, &filter, limit).await?;
            if page.unreadable > 0 {
                match page.unreadable {
                    1 => console.say("one entry could not be read and is left out"),
                    many => console.say(format_args!(
                        "{many} entries could not be read and are left out"
                    )),
                }
            }
            let list: Vec<Attempt> = page.attempts.into_iter().map(|one| one.attempt).collect();
            if json {
                return Ok(table::json_array(&mut console.out, &list)?);
            }
            let mut rows = Vec::with_capacity(list.len());
            for attempt in &list {
                rows.push(row(attempt, names.of(attempt).await));
            }
            Ok(table::print(
                &mut console.out,
                console.shows.width,
                &HEADER,
                rows,
                "no attempts on record",
            )?)
        }
        AttemptsCommand::Tail { filter, json } => {
            let out = &mut console.out;
            let filter = filter.filter(webhooks).await?;
            let mut tail = log.follow(filter, None).await?;
            while let Some(RecordedAttempt { attempt, .. }) = tail.next().await {
                if json {
                    let line = serde_json::to_string(&attempt).map_err(std::io::Error::from)?;
                    writeln!(out, "{line}")?;
                } else {
                    let row = row(&attempt, names.of(&attempt).await);
                    let cells: Vec<_> = row.into_iter().map(table::one_line).collect();
                    writeln!(out, "{}", cells.join("  "))?;
                }
                out.flush()?;
            }
            Ok(())
        }
    }
}

impl FilterArgs {
    async fn filter(self, webhooks: Option<&Webhooks>) -> Result<AttemptFilter, Failure> {
        let default = || self.webhook.is_some().then(Organization::default);
        let organization = self.organization.clone().or_else(default);
        let webhook = match (&self.webhook, &organization) {
            (Some(reference), Some(organization)) => {
                Some(meant(webhooks, organization, reference).await?)
            }
            _ => None,
        };
        Ok(AttemptFilter {
            organization,
            webhook,
            delivery: self.delivery,
            event: self.event_id,
            id: None,
            event_type: self.event,
            outcome: self.outcome,
            status_code: self.status.filter(|status| *status >= 100),
            status_class: self.status.filter(|status| *status < 100),
            since: self.since,
            until: self.until,
        })
    }
}

/// The webhook that somebody means: attempts are listed with the names of theirs. The attempts of one
/// that is deleted, or cannot be read, are on record all the same.
async fn meant(
    webhooks: Option<&Webhooks>,
    organization: &Organization,
    reference: &str,
) -> Result<WebhookId, Failure> {
    let found = match webhooks {
        Some(webhooks) => Some(webhooks.get(organization, reference).await),
        None => None,
    };
    match found {
        Some(Ok(stored)) => Ok(stored.webhook.id),
        Some(Err(error @ WebhooksError::Ambiguous { .. })) => Err(error.into()),
        _ => {
            WebhookId::new(reference).map_err(|error| Failure::caused(ExitReason::Subject, &error))
        }
    }
}

const HEADER: [&str; 9] = [
    "time",
    "event type",
    "webhook",
    "attempt",
    "outcome",
    "status",
    "ms",
    "next attempt",
    "answer",
];

fn row(attempt: &Attempt, webhook: String) -> Vec<String> {
    let answer = match (&attempt.error, &attempt.location) {
        (Some(error), _) => error.clone(),
        (None, Some(location)) => format!("redirects to {location}"),
        (None, None) => attempt.response_body.chars().take(60).collect(),
    };
    vec![
        format!("{:.3}", attempt.started_at),
        attempt.event_type.to_string(),
        webhook,
        attempt.attempt.to_string(),
        attempt.outcome.clone(),
        attempt
            .status_code
            .map(|status| status.to_string())
            .unwrap_or_default(),
        format!("{:.1}", attempt.duration_ms()),
        attempt
            .next_attempt_at
            .map(|at| format!("{at:.0}"))
            .unwrap_or_default(),
        answer,
    ]
}

fn status(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(status @ (1..=9 | 100..=999)) => Ok(status),
        _ => Err("write a status, as 404, or the first digit of one".to_owned()),
    }
}

pub(super) fn point_in_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let ago: SignedDuration = text
        .parse()
        .map_err(|_| "write a time like 2026-01-31T12:00:00Z, or how long ago, as in 2h")?;
    Timestamp::now()
        .checked_sub(ago)
        .map_err(|_| "that is longer ago than there is time".to_owned())
}
