//! Starts everything, publishes, and tells what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::receivers::ReceiverKind;
use super::summary::{Line, Made, Tally};
use super::traffic::{self, Sample};
use crate::app::{Run, StartError};
use crate::config::Config;
use crate::domain::attempt::Attempt;
use crate::domain::event::RawEvent;
use crate::domain::ids::Organization;
use crate::domain::matching::EventSubscription;
use crate::domain::outcome::Outcome;
use crate::domain::secret::Secret;
use crate::operations::deployment::Deployment;
use crate::receiver::{BindError, Received, Verification};
use crate::registry::webhooks::{NewWebhook, WebhooksError};
use crate::store::Unavailable;
use crate::store::dead_letters::Filter;
use crate::store::delivery_log::AttemptFilter;
use crate::store::entry::EntryId;
use crate::store::intake::NotAccepted;

/// How long to wait, after the last event, for everything to end.
const PATIENCE: Duration = Duration::from_secs(45);

/// How often the dead letters are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often an event is published once the story is over.
const TRICKLE: Duration = Duration::from_secs(3);

/// Why the story could not be told.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// The deployment could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A receiver could not be started.
    #[error(transparent)]
    Receiver(#[from] BindError),
    /// A webhook could not be registered.
    #[error(transparent)]
    Webhook(#[from] WebhooksError),
    /// An event was not taken.
    #[error(transparent)]
    NotAccepted(#[from] NotAccepted),
    /// The record cannot be read.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Nobody listens to the story.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// The settings of the demonstration: nothing of a real deployment is touched, whatever is set.
pub fn config(directory: &Path, listen: SocketAddr) -> Config {
    let mut config = Config {
        data_dir: directory.to_owned(),
        listen,
        allow_http: true,
        allow_networks: vec![std::net::IpAddr::from(Ipv4Addr::LOCALHOST).into()],
        ..Config::default()
    };
    config.retry.initial = Duration::from_secs(3);
    config.retry.factor = 2.0;
    config.retry.max_attempts = 5;
    config.worker.name = Some("demo".to_owned());
    config
}

/// A deployment with its receivers and webhooks, ready for traffic.
pub struct Stage {
    deployment: Deployment,
    webhooks: BTreeMap<String, ReceiverKind>,
    arrivals: mpsc::UnboundedReceiver<(ReceiverKind, Received)>,
    receivers: CancellationToken,
    tally: Tally,
    verified: BTreeSet<String>,
    told_dead: BTreeSet<Option<String>>,
    started: Instant,
}

impl Stage {
    /// Starts the receivers and registers their webhooks with `run`, which is not running yet.
    pub async fn set(run: &Run, out: &mut impl Write) -> Result<Self, StoryError> {
        let deployment = run.deployment().clone();
        let receivers = CancellationToken::new();
        let (reports, arrivals) = mpsc::unbounded_channel();
        let mut webhooks = BTreeMap::new();
        writeln!(
            out,
            "Three webhooks, each with a receiver on this machine:\n"
        )?;
        for kind in ReceiverKind::ALL {
            let secret =
                (kind == ReceiverKind::Healthy).then(|| Secret::generate(&mut rand::rng()));
            let starting = kind.start(secret.clone(), reports.clone(), receivers.clone());
            let url = format!("http://{}/{}", starting.await?, kind.name());
            let events = kind.event_types().iter();
            let events = events.filter_map(|name| EventSubscription::parse(name).ok());
            let new = NewWebhook {
                name: kind.name().to_owned(),
                url: url.clone(),
                secret,
                description: Some(kind.described().to_owned()),
                events: events.collect(),
                headers: BTreeMap::new(),
                retry: None,
                rate_limit: None,
            };
            let organization = Organization::default();
            let creating = deployment
                .webhooks
                .create(&organization, new, Timestamp::now());
            webhooks.insert(creating.await?.document.id, kind);
            let (name, described) = (kind.name(), kind.described());
            let wants = match kind.event_types() {
                [one] => (*one).to_owned(),
                all => format!("all {} event types", all.len()),
            };
            writeln!(out, "  {name:<8} {wants:<17} {described}")?;
        }
        Ok(Self {
            deployment,
            webhooks,
            arrivals,
            receivers,
            tally: Tally::default(),
            verified: BTreeSet::new(),
            told_dead: BTreeSet::new(),
            started: Instant::now(),
        })
    }

    /// Publishes the story's events and tells what comes of them, until everything has ended.
    pub async fn play(&mut self, out: &mut impl Write) -> Result<(), StoryError> {
        writeln!(
            out,
            "\nSample traffic of the gateway, and what comes of it:\n"
        )?;
        let everything = AttemptFilter::default();
        let from_the_first = Some(EntryId::BEGINNING);
        let mut attempts = self
            .deployment
            .delivery_log
            .follow(everything, from_the_first)
            .await?;
        self.started = Instant::now();
        let mut samples = traffic::story().into_iter().peekable();
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut deadline = None;
        loop {
            let next = samples.peek().map(|sample| self.started + sample.at);
            if next.is_none() && deadline.is_none() {
                deadline = Some(Instant::now() + PATIENCE);
            }
            let over = next.is_none() && self.tally.lines().iter().all(Line::adds_up);
            if over || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(());
            }
            tokio::select! {
                biased;
                Some((to, received)) = self.arrivals.recv() => self.note(to, &received),
                () = until(next), if next.is_some() => {
                    if let Some(sample) = samples.next() {
                        self.publish(sample, out).await?;
                    }
                }
                Some(one) = attempts.next() => self.tell(&one.attempt, out)?,
                _ = look.tick() => self.tell_dead_letters(out).await?,
            }
            out.flush()?;
        }
    }

    /// Tells how it adds up, and whether it does.
    pub fn sum_up(&self, out: &mut impl Write) -> io::Result<bool> {
        let lines = self.tally.lines();
        let events = self.tally.published.len();
        writeln!(
            out,
            "\n{events} events were published. What became of them:\n"
        )?;
        writeln!(
            out,
            "  webhook   to get  delivered  dead letters  attempts  requests received"
        )?;
        for line in &lines {
            let Line {
                of,
                wanted,
                delivered,
                dead,
                attempts,
                received,
            } = line;
            let name = of.name();
            writeln!(
                out,
                "  {name:<8} {wanted:>7} {delivered:>10} {dead:>13} {attempts:>9} {received:>18}"
            )?;
        }
        let adds_up = lines.iter().all(Line::adds_up);
        if adds_up {
            writeln!(
                out,
                "\nIt adds up: every delivery arrived or is a dead letter that can be requeued, and\n\
                 every request is on record."
            )?;
        }
        Ok(adds_up)
    }

    /// Publishes an event now and then, for ever.
    pub async fn go_on(&mut self) -> Result<(), StoryError> {
        let mut every = tokio::time::interval(TRICKLE);
        for number in 100.. {
            every.tick().await;
            let body = traffic::trickle(number);
            let event_type = body["event"].as_str().unwrap_or_default().to_owned();
            self.accept(event_type, body.to_string()).await?;
            while self.arrivals.try_recv().is_ok() {}
        }
        Ok(())
    }

    /// Ends the receivers.
    pub fn clear(self) {
        self.receivers.cancel();
    }

    async fn accept(&self, event_type: String, body: String) -> Result<(), StoryError> {
        let event = RawEvent {
            routing_key: event_type,
            message_id: Some(Uuid::now_v7().to_string()),
            body: Bytes::from(body),
            ..RawEvent::default()
        };
        Ok(self.deployment.intake.accept(vec![event]).await?)
    }

    async fn publish(&mut self, sample: Sample, out: &mut impl Write) -> Result<(), StoryError> {
        let event_type = sample.event_type;
        writeln!(out, "{} {event_type} is published", self.clock())?;
        self.accept(event_type.to_owned(), sample.body.to_string())
            .await?;
        self.tally.published.push(event_type);
        Ok(())
    }

    fn note(&mut self, to: ReceiverKind, received: &Received) {
        self.tally.received.push(to);
        let delivery = received.headers.get("x-prism-delivery");
        if let (Verification::Valid, Some(delivery)) = (&received.verified, delivery) {
            let delivery = String::from_utf8_lossy(delivery.as_bytes());
            self.verified.insert(delivery.into_owned());
        }
    }

    fn tell(&mut self, attempt: &Attempt, out: &mut impl Write) -> io::Result<()> {
        let Some(to) = self.webhooks.get(attempt.webhook_id.as_str()).copied() else {
            return Ok(());
        };
        let delivery = attempt.delivery_id.to_string();
        let delivered = attempt.outcome == Outcome::Delivered.name();
        let next = match attempt.next_attempt_at {
            Some(at) => {
                let wait = at.duration_since(Timestamp::now()).as_secs_f64().max(0.0);
                format!("retry in {wait:.0} s")
            }
            None if delivered && attempt.attempt > 1 => "delivered: recovered".to_owned(),
            None if self.verified.contains(&delivery) => "delivered, signature valid".to_owned(),
            None if delivered => "delivered".to_owned(),
            None => "given up".to_owned(),
        };
        let status = attempt.status_code;
        let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        writeln!(
            out,
            "{}   -> {:<8} attempt {}  status {status}  {:>4.0} ms  {next}",
            self.clock(),
            to.name(),
            attempt.attempt,
            attempt.duration_ms(),
        )?;
        self.tally.made.push(Made {
            to,
            delivery,
            delivered,
        });
        Ok(())
    }

    async fn tell_dead_letters(&mut self, out: &mut impl Write) -> Result<(), StoryError> {
        let found = self
            .deployment
            .dead_letters
            .list(&Filter::default(), None, 100)
            .await?;
        for letter in found.letters {
            if !self.told_dead.insert(letter.delivery.clone()) {
                continue;
            }
            let to = letter.webhook.as_ref().and_then(|id| self.webhooks.get(id));
            let (Some(to), Some(delivery)) = (to.copied(), letter.delivery) else {
                continue;
            };
            let reason = letter.reason.map_or("unknown", |reason| reason.name());
            let (clock, name) = (self.clock(), to.name());
            writeln!(out, "{clock}   -> {name:<8} a dead letter: {reason}")?;
            self.tally.dead.push((to, delivery));
        }
        Ok(())
    }

    fn clock(&self) -> String {
        format!("{:>5.1} s ", self.started.elapsed().as_secs_f64())
    }
}

async fn until(time: Option<Instant>) {
    if let Some(time) = time {
        tokio::time::sleep_until(time).await;
    }
}
