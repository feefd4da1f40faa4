//! The command `publish`: events from arguments, a file or standard input, each confirmed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::time::Instant;
use uuid::Uuid;

use crate::domain::event::{self, EventRules, Header, InvalidEvent, RawEvent};
use crate::domain::ids::EventId;
use crate::store::intake::{Intake, NotAccepted};

use super::arguments::at_least;
use super::console::Console;
use super::failure::{ExitReason, Failure};

/// How many publishes await their confirms at once: 256 take a broker to its limit (measured).
const PIPELINE: usize = 256;

/// How many refused lines are told one by one; the rest are counted.
const TOLD: u64 = 20;

/// Publish events as the gateway does, each confirmed to be kept
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
    /// The body: a JSON object whose "event" is the event type. Not given: just that
    body: Option<String>,
    /// Events from a file, one JSON object a line, each naming its "event", or {"id": …, "body": …} with
    /// an id of your own; - is standard input
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// The organization that the events belong to; not given: the default one
    #[arg(long, value_name = "O")]
    organization: Option<String>,
    /// The event's id; not given: a new one for each. In a file, a line may name its own
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    id: Option<String>,
    /// A W3C traceparent, carried on to the receivers
    #[arg(long, value_name = "T")]
    traceparent: Option<String>,
    /// Publish the event so many times, each under an id of its own
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = at_least(1_u64), conflicts_with_all = ["file", "id"])]
    count: u64,
    /// Publish even what breaks the contract for events, to see what becomes of it
    #[arg(long)]
    unchecked: bool,
    /// Print each event's id as soon as it is confirmed, one a line; the summary goes to standard error
    #[arg(long, conflicts_with = "json")]
    ids: bool,
    /// Print a summary as JSON
    #[arg(long)]
    json: bool,
}

/// The counts of a run of `publish`.
#[derive(Debug)]
struct Tally {
    /// Whether each id is printed.
    ids: bool,
    started: Instant,
    published: u64,
    refused: u64,
    last_id: Option<String>,
    shown: Option<Instant>,
}

/// Runs `publish …`.
pub async fn run(
    args: PublishArgs,
    intake: &dyn Intake,
    rules: &EventRules,
    console: &mut Console,
) -> Result<(), Failure> {
    let mut tally = Tally::new(args.ids);
    match &args.file {
        None => publish_repeated(&args, intake, rules, &mut tally, console).await?,
        Some(path) => {
            let input: Box<dyn AsyncRead + Send + Unpin> = if path.as_os_str() == "-" {
                std::mem::replace(&mut console.input, Box::new(tokio::io::empty()))
            } else {
                Box::new(open(path).await?)
            };
            publish_lines(&args, input, intake, rules, &mut tally, console).await?;
        }
    }
    tally.finish(args.json, console)
}

/// The file of a `--file`.
pub async fn open(path: &Path) -> Result<tokio::fs::File, Failure> {
    let unreadable = |error| {
        Failure::new(
            ExitReason::Failed,
            format_args!("{} cannot be read: {error}", path.display()),
        )
    };
    tokio::fs::File::open(path).await.map_err(unreadable)
}

async fn publish_repeated(
    args: &PublishArgs,
    intake: &dyn Intake,
    rules: &EventRules,
    tally: &mut Tally,
    console: &mut Console,
) -> Result<(), Failure> {
    let event_type = args.event_type.clone().unwrap_or_default();
    let body = args
        .body
        .clone()
        .unwrap_or_else(|| json!({ "event": event_type }).to_string());
    let event = args.event(event_type, Bytes::from(body));
    if !args.unchecked {
        args.check(&event, rules)
            .map_err(|error| Failure::caused(ExitReason::Failed, &error))?;
    }
    let mut pipeline = FuturesUnordered::new();
    for _ in 0..args.count {
        let id = args.id.clone().unwrap_or_else(new_id);
        let event = RawEvent {
            message_id: Some(id),
            ..event.clone()
        };
        pipeline.push(publish(intake, event));
        if pipeline.len() >= PIPELINE {
            tally.take(pipeline.next().await, console)?;
        }
    }
    while let Some(one) = pipeline.next().await {
        tally.take(Some(one), console)?;
    }
    Ok(())
}

async fn publish_lines(
    args: &PublishArgs,
    input: impl AsyncRead + Unpin,
    intake: &dyn Intake,
    rules: &EventRules,
    tally: &mut Tally,
    console: &mut Console,
) -> Result<(), Failure> {
    let mut lines = BufReader::new(input).split(b'\n');
    let mut pipeline = FuturesUnordered::new();
    let mut number: u64 = 0;
    loop {
        let unreadable = |error: io::Error| {
            Failure::new(
                ExitReason::Failed,
                format_args!("{} cannot be read: {error}", args.input_name()),
            )
        };
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
                tally.refuse(number, &problem, console);
                continue;
            }
        };
        pipeline.push(publish(intake, event));
        if pipeline.len() >= PIPELINE {
            tally.take(pipeline.next().await, console)?;
        }
        // Take what is confirmed already, so that progress is shown while a slow input is read.
        while let Some(Some(one)) = pipeline.next().now_or_never() {
            tally.take(Some(one), console)?;
        }
    }
    while let Some(one) = pipeline.next().await {
        tally.take(Some(one), console)?;
    }
    Ok(())
}

async fn publish(intake: &dyn Intake, event: RawEvent) -> (String, Result<(), NotAccepted>) {
    let id = event.message_id.clone().unwrap_or_default();
    (id, intake.accept(vec![event]).await)
}

fn new_id() -> String {
    Uuid::now_v7().to_string()
}

impl PublishArgs {
    /// The file to read from, if it is one.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_deref().filter(|path| path.as_os_str() != "-")
    }

    fn input_name(&self) -> String {
        let input = || "standard input".to_owned();
        self.path()
            .map_or_else(input, |path| path.display().to_string())
    }

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
            ..RawEvent::default()
        }
    }

    /// Whether receivers would get the event as it is named here.
    fn check(&self, event: &RawEvent, rules: &EventRules) -> Result<(), InvalidEvent> {
        event::decode(event, rules)?;
        if let Some(id) = &self.id {
            EventId::new(id)?;
        }
        Ok(())
    }

    fn event_of_line(&self, mut line: Vec<u8>, rules: &EventRules) -> Result<RawEvent, String> {
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let line = Bytes::from(line);
        let read = event::line::read(&line).map_err(|error| error.to_string())?;
        let event = self.event(read.event_type, line.slice_ref(read.body));
        let event = RawEvent {
            message_id: Some(read.id.unwrap_or_else(new_id)),
            ..event
        };
        if !self.unchecked {
            event::decode(&event, rules).map_err(|error| error.to_string())?;
        }
        Ok(event)
    }
}

impl Tally {
    fn new(ids: bool) -> Self {
        Self {
            ids,
            started: Instant::now(),
            published: 0,
            refused: 0,
            last_id: None,
            shown: None,
        }
    }

    /// Takes the end of one publish; the first that fails ends the run, for the next would fail too.
    fn take(
        &mut self,
        one: Option<(String, Result<(), NotAccepted>)>,
        console: &mut Console,
    ) -> Result<(), Failure> {
        let Some((id, published)) = one else {
            return Ok(());
        };
        if let Err(error) = published {
            self.clear_progress(console);
            let published = self.published;
            console.say(format_args!(
                "{published} events were confirmed before this"
            ));
            return Err(Failure::caused(ExitReason::Unavailable, &error));
        }
        self.published += 1;
        if self.ids {
            writeln!(console.out, "{id}")?;
        }
        self.last_id = Some(id);
        self.show_progress(console);
        Ok(())
    }

    fn refuse(&mut self, line: u64, problem: &str, console: &mut Console) {
        self.refused += 1;
        if self.refused <= TOLD {
            self.clear_progress(console);
            console.say(format_args!("line {line} is not published: {problem}"));
        }
    }

    fn show_progress(&mut self, console: &mut Console) {
        let due = self.shown.unwrap_or(self.started).elapsed() >= Duration::from_secs(1);
        if due && console.shows.progress {
            self.shown = Some(Instant::now());
            let (published, rate) = (self.published, self.rate());
            console.progress(format_args!(
                "{published} events confirmed, {rate:.0} a second"
            ));
        }
    }

    fn clear_progress(&self, console: &mut Console) {
        if self.shown.is_some() {
            console.say("");
        }
    }

    fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let published = self.published as f64;
        published / self.started.elapsed().as_secs_f64().max(1e-6)
    }

    fn finish(self, json: bool, console: &mut Console) -> Result<(), Failure> {
        self.clear_progress(console);
        let out = if self.ids {
            &mut console.err
        } else {
            &mut console.out
        };
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
            let events = if published == 1 { "event" } else { "events" };
            writeln!(
                out,
                "{published} {events} confirmed in {seconds:.1} s ({rate:.0} a second)"
            )?;
        }
        if self.refused > 0 {
            let message = match self.refused {
                1 => "one line was not published: it is no event, which has a line of its own \
                      (--unchecked publishes it all the same)"
                    .to_owned(),
                many => format!(
                    "{many} lines were not published: they are no events, each of which has a line \
                     of its own (--unchecked publishes them all the same)"
                ),
            };
            return Err(Failure::new(ExitReason::Failed, message));
        }
        Ok(())
    }
}
