//! The command `publish`: events from arguments, a file or standard input, confirmed by the broker.

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use uuid::Uuid;

use crate::domain::event::{self, EventRules, Header, RawEvent};
use crate::rabbitmq::publisher::{PublishError, Publisher};

use super::failure::{Failure, Kind};

/// How many publishes await their confirms at once: 256 take a broker to its limit (measured).
const PIPELINE: usize = 256;

/// How many refused lines are told one by one; the rest are counted.
const TOLD: u64 = 20;

/// Publish events as the gateway does, and await the broker's confirm for each
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  prism-webhooks publish request.completed
  prism-webhooks publish budget.exceeded '{\"event\":\"budget.exceeded\",\"cost\":12.5}' --organization acme
  prism-webhooks publish --file events.ndjson
  generate-events | prism-webhooks publish --file -")]
pub struct PublishArgs {
    /// The event type, which is also the routing key
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    event_type: Option<String>,
    /// The body: a JSON object whose \"event\" is the event type. Not given: just that
    body: Option<String>,
    /// Events from a file, one JSON object a line, each naming its \"event\"; - is standard input
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// The organization that the events belong to; not given: the default one
    #[arg(long, value_name = "O")]
    organization: Option<String>,
    /// The event's id; not given: a new one for each
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    id: Option<String>,
    /// A W3C traceparent, carried on to the receivers
    #[arg(long, value_name = "T")]
    traceparent: Option<String>,
    /// Publish the event so many times, each under an id of its own
    #[arg(long, default_value_t = 1, value_name = "N", conflicts_with_all = ["file", "id"])]
    count: u64,
    /// Publish even what breaks the contract for events, to see what becomes of it
    #[arg(long)]
    unchecked: bool,
    /// Print a summary as JSON
    #[arg(long)]
    json: bool,
}

/// What came of a run.
#[derive(Debug)]
struct Tally {
    started: Instant,
    published: u64,
    refused: u64,
    last_id: Option<String>,
    shown: Option<Instant>,
}

/// Runs `publish …`.
pub async fn run(
    args: PublishArgs,
    publisher: &Publisher,
    rules: &EventRules,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut tally = Tally::new();
    match &args.file {
        None => publish_repeated(&args, publisher, rules, &mut tally).await?,
        Some(path) if path.as_os_str() == "-" => {
            publish_lines(&args, tokio::io::stdin(), publisher, rules, &mut tally).await?;
        }
        Some(path) => {
            let file = tokio::fs::File::open(path).await.map_err(|error| {
                Failure::new(Kind::Failed, format_args!("{}: {error}", path.display()))
            })?;
            publish_lines(&args, file, publisher, rules, &mut tally).await?;
        }
    }
    tally.finish(args.json, out)
}

async fn publish_repeated(
    args: &PublishArgs,
    publisher: &Publisher,
    rules: &EventRules,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let event_type = args.event_type.clone().unwrap_or_default();
    let body = args
        .body
        .clone()
        .unwrap_or_else(|| json!({ "event": event_type }).to_string());
    let event = args.event(event_type, Bytes::from(body));
    if !args.unchecked {
        event::decode(&event, rules).map_err(|error| Failure::caused(Kind::Failed, &error))?;
    }
    let mut pipeline = FuturesUnordered::new();
    for _ in 0..args.count {
        let id = args.id.clone().unwrap_or_else(new_id);
        let event = RawEvent {
            message_id: Some(id),
            ..event.clone()
        };
        pipeline.push(publish(publisher, event));
        if pipeline.len() >= PIPELINE {
            tally.take(pipeline.next().await)?;
        }
    }
    while let Some(one) = pipeline.next().await {
        tally.take(Some(one))?;
    }
    Ok(())
}

async fn publish_lines(
    args: &PublishArgs,
    input: impl AsyncRead + Unpin,
    publisher: &Publisher,
    rules: &EventRules,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut lines = BufReader::new(input).split(b'\n');
    let mut pipeline = FuturesUnordered::new();
    let mut number: u64 = 0;
    loop {
        let unreadable =
            |error: io::Error| Failure::new(Kind::Failed, format_args!("cannot read: {error}"));
        let Some(line) = lines.next_segment().await.map_err(unreadable)? else {
            break;
        };
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let event = match args.event_of_line(line, rules) {
            Ok(event) => event,
            Err(problem) => {
                tally.refuse(number, &problem);
                continue;
            }
        };
        pipeline.push(publish(publisher, event));
        if pipeline.len() >= PIPELINE {
            tally.take(pipeline.next().await)?;
        }
        // Take what is confirmed already, so that progress is shown while a slow input is read.
        while let Some(Some(one)) = pipeline.next().now_or_never() {
            tally.take(Some(one))?;
        }
    }
    while let Some(one) = pipeline.next().await {
        tally.take(Some(one))?;
    }
    Ok(())
}

async fn publish(publisher: &Publisher, event: RawEvent) -> (String, Result<(), PublishError>) {
    let published = publisher.publish_event(&event).await;
    (event.message_id.unwrap_or_default(), published)
}

fn new_id() -> String {
    Uuid::now_v7().to_string()
}

impl PublishArgs {
    fn event(&self, routing_key: String, body: Bytes) -> RawEvent {
        let header = |text: &Option<String>| match text {
            Some(text) => Header::Text(text.clone().into_bytes()),
            None => Header::Absent,
        };
        RawEvent {
            routing_key,
            message_id: None,
            organization: header(&self.organization),
            traceparent: header(&self.traceparent),
            body,
        }
    }

    fn event_of_line(&self, mut line: Vec<u8>, rules: &EventRules) -> Result<RawEvent, String> {
        #[derive(Deserialize)]
        struct Named {
            event: String,
        }

        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let named: Named = serde_json::from_slice(&line)
            .map_err(|error| format!("no JSON object with a string field \"event\": {error}"))?;
        let event = self.event(named.event, Bytes::from(line));
        let event = RawEvent {
            message_id: Some(new_id()),
            ..event
        };
        if !self.unchecked {
            event::decode(&event, rules).map_err(|error| error.to_string())?;
        }
        Ok(event)
    }
}

impl Tally {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            published: 0,
            refused: 0,
            last_id: None,
            shown: None,
        }
    }

    /// Takes the end of one publish; the first that fails ends the run, for the next would fail too.
    fn take(&mut self, one: Option<(String, Result<(), PublishError>)>) -> Result<(), Failure> {
        let Some((id, published)) = one else {
            return Ok(());
        };
        if let Err(error) = published {
            self.clear_progress();
            eprintln!("{} events were confirmed before this", self.published);
            return Err(Failure::caused(Kind::Unavailable, &error));
        }
        self.published += 1;
        self.last_id = Some(id);
        self.show_progress();
        Ok(())
    }

    fn refuse(&mut self, line: u64, problem: &str) {
        self.refused += 1;
        if self.refused <= TOLD {
            self.clear_progress();
            eprintln!("line {line} is not published: {problem}");
        }
    }

    fn show_progress(&mut self) {
        let due = self.shown.unwrap_or(self.started).elapsed() >= Duration::from_secs(1);
        if due && io::stderr().is_terminal() {
            self.shown = Some(Instant::now());
            eprint!(
                "\r{} events confirmed, {:.0} a second ",
                self.published,
                self.rate()
            );
        }
    }

    fn clear_progress(&self) {
        if self.shown.is_some() {
            eprintln!();
        }
    }

    fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let published = self.published as f64;
        published / self.started.elapsed().as_secs_f64().max(1e-6)
    }

    fn finish(self, json: bool, out: &mut impl Write) -> Result<(), Failure> {
        self.clear_progress();
        let seconds = self.started.elapsed().as_secs_f64();
        if json {
            let id = self.last_id.as_ref().filter(|_| self.published == 1);
            let summary = json!({
                "published": self.published, "refused": self.refused, "seconds": seconds, "id": id,
            });
            writeln!(out, "{summary}")?;
        } else if let (1, 0, Some(id)) = (self.published, self.refused, &self.last_id) {
            writeln!(out, "published and confirmed: event {id}")?;
        } else {
            let (published, rate) = (self.published, self.rate());
            writeln!(
                out,
                "{published} events confirmed in {seconds:.1} s ({rate:.0} a second)"
            )?;
        }
        if self.refused > 0 {
            let message = format!(
                "{} lines were not published: they break the contract for events \
                 (--unchecked publishes them all the same)",
                self.refused
            );
            return Err(Failure::new(Kind::Failed, message));
        }
        Ok(())
    }
}
