//! The command `secret-keys`: which keys the webhooks are sealed with, and sealing them anew.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use tokio::time::Instant;

use crate::domain::secret::KeyId;
use crate::registry::sealing::Stands;
use crate::registry::sweep::{Purpose, Tally};
use crate::registry::webhooks::Webhooks;

use super::console::Console;
use super::failure::{ExitReason, Failure};

/// See which secret keys the webhooks need, and encrypt them anew with the first
///
/// What is secret of a webhook (its signing secrets, the values of its headers, the query of its URL)
/// is encrypted with the first key of PRISM_SECRET_KEY, and decrypted with any of them.
///
/// To change the key: put the new one behind the old one (OLD,NEW) everywhere; then before it
/// (NEW,OLD) everywhere; run `secret-keys reencrypt`; and take the old one away once `secret-keys
/// check` finds nothing sealed with it. Nothing need be stopped.
#[derive(Debug, Args)]
pub struct SecretKeysArgs {
    #[command(subcommand)]
    command: SecretKeysCommand,
}

#[derive(Debug, Subcommand)]
enum SecretKeysCommand {
    /// Say which keys the webhooks of all organizations are sealed with; changes nothing
    ///
    /// Exits with 1 if one of them cannot be opened with the keys there are.
    Check(ShowArgs),
    /// Encrypt the webhooks of all organizations anew with the first key, also what stands in the clear
    ///
    /// Workers and API go on meanwhile, and what somebody changes is not undone. It can be stopped and
    /// run again. Exits with 1 if a webhook was left as it was.
    Reencrypt(ShowArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was found and done, for programs.
#[derive(Serialize)]
struct Report<'a> {
    keys: Vec<String>,
    webhooks: u64,
    as_they_should_be: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reencrypted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_be_reencrypted: Option<u64>,
    overtaken: u64,
    not_opened: u64,
    values: Vec<Values>,
    unopened: Vec<UnopenedView<'a>>,
}

/// How many secret values stood how when they were looked at.
#[derive(Serialize)]
struct Values {
    stood: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    count: u64,
}

#[derive(Serialize)]
struct UnopenedView<'a> {
    organization: &'a str,
    webhook_id: &'a str,
    problem: &'a str,
}

/// Runs `secret-keys …`.
pub async fn run(
    args: SecretKeysArgs,
    webhooks: &Webhooks,
    console: &mut Console,
) -> Result<(), Failure> {
    let (purpose, json) = match args.command {
        SecretKeysCommand::Check(show) => (Purpose::Look, show.json),
        SecretKeysCommand::Reencrypt(show) => (Purpose::SealAnew, show.json),
    };
    let keys = webhooks.key_ids();
    if purpose == Purpose::SealAnew && keys.is_empty() {
        let message = "PRISM_SECRET_KEY is not set, so there is nothing to encrypt with: set it to \
                       the key of the deployment, or make one with openssl rand -hex 32";
        return Err(Failure::new(ExitReason::Settings, message));
    }
    let tally = sweep(purpose, webhooks, console).await?;
    let out = &mut console.out;
    if json {
        let report = Report::of(purpose, &keys, &tally);
        let text = serde_json::to_string_pretty(&report).map_err(io::Error::from)?;
        writeln!(out, "{text}")?;
    } else {
        write(purpose, &keys, &tally, out)?;
    }
    match tally.not_opened() + tally.overtaken {
        0 => Ok(()),
        left => Err(Failure::new(
            ExitReason::Failed,
            format_args!(
                "{left} webhooks {}",
                match purpose {
                    Purpose::Look => "cannot be opened",
                    Purpose::SealAnew => "were left as they were",
                }
            ),
        )),
    }
}

/// Goes through the webhooks and tells how far it is.
async fn sweep(
    purpose: Purpose,
    webhooks: &Webhooks,
    console: &mut Console,
) -> Result<Tally, Failure> {
    let every = match console.shows.progress {
        true => Duration::from_secs(1),
        false => Duration::from_secs(10),
    };
    let mut shown = Instant::now();
    let mut reported = false;
    let mut report = |tally: &Tally| {
        if shown.elapsed() >= every {
            shown = Instant::now();
            let Tally {
                looked_at, anew, ..
            } = tally;
            let so_far = format!("{looked_at} webhooks looked at, {anew} {}", to_be(purpose));
            if console.shows.progress {
                reported = true;
                console.progress(so_far);
            } else {
                console.say(so_far);
            }
        }
        ControlFlow::Continue(())
    };
    let tally = webhooks.sweep(purpose, &mut report).await;
    if reported {
        console.say("");
    }
    Ok(tally?)
}

fn to_be(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Look => "to be encrypted anew",
        Purpose::SealAnew => "encrypted anew",
    }
}

fn write(
    purpose: Purpose,
    keys: &[KeyId],
    tally: &Tally,
    out: &mut dyn io::Write,
) -> Result<(), Failure> {
    let Tally {
        looked_at,
        as_they_should_be,
        anew,
        ..
    } = tally;
    writeln!(
        out,
        "{looked_at} webhooks: {as_they_should_be} as they should be, {anew} {}",
        to_be(purpose)
    )?;
    for (stands, count) in &tally.parts {
        let first = match keys.first() {
            Some(first) if *stands == Stands::With(*first) => ", the first",
            _ => "",
        };
        let stood = match purpose {
            Purpose::Look => "",
            Purpose::SealAnew => "was ",
        };
        writeln!(out, "  {stood}{stands}{first}: {count}")?;
    }
    if tally.overtaken > 0 {
        writeln!(
            out,
            "{} were changed by others again and again: run it once more",
            tally.overtaken
        )?;
    }
    for one in &tally.unopened {
        let (organization, id, problem) = (&one.organization, &one.id, &one.problem);
        writeln!(
            out,
            "webhook {id} of organization {organization}: {problem}"
        )?;
    }
    let more = tally
        .not_opened()
        .saturating_sub(tally.unopened.len() as u64);
    if more > 0 {
        writeln!(out, "and {more} more")?;
    }
    if let [first, .., _] = keys
        && tally.anew + tally.overtaken + tally.not_opened() == 0
    {
        writeln!(
            out,
            "nothing needs a key but {first}: once every process has it first, the others can go"
        )?;
    }
    Ok(())
}

impl<'a> Report<'a> {
    fn of(purpose: Purpose, keys: &[KeyId], tally: &'a Tally) -> Self {
        let is_look = purpose == Purpose::Look;
        let values = tally.parts.iter().map(|(stands, count)| Values {
            stood: match stands {
                Stands::InTheClear => "in_the_clear",
                Stands::Unnamed => "sealed_by_an_earlier_version",
                Stands::With(_) => "sealed",
            },
            key: match stands {
                Stands::With(key) => Some(key.to_string()),
                _ => None,
            },
            count: *count,
        });
        let unopened = tally.unopened.iter().map(|one| UnopenedView {
            organization: one.organization.as_str(),
            webhook_id: &one.id,
            problem: &one.problem,
        });
        Self {
            keys: keys.iter().map(ToString::to_string).collect(),
            webhooks: tally.looked_at,
            as_they_should_be: tally.as_they_should_be,
            reencrypted: (!is_look).then_some(tally.anew),
            to_be_reencrypted: is_look.then_some(tally.anew),
            overtaken: tally.overtaken,
            not_opened: tally.not_opened(),
            values: values.collect(),
            unopened: unopened.collect(),
        }
    }
}
