//! The delivery engine: takes messages, makes attempts, settles.
//!
//! ```text
//! source ─▶ intake ─┬─ event ────▶ event_job: decode, match ─▶ one attempt each ─▶ ack
//!                   └─ delivery ─▶ delivery_job: still wanted? ─▶ one attempt ───▶ ack
//!
//! attempt: admit ─▶ sign ─▶ send ─▶ classify ─▶ decide ─▶ settlement
//! settlement: record a failure ─▶ hand over what is next and await the confirm ─▶ record the rest ─▶ (then) ack
//! ```
//!
//! The engine knows the domain and its ports, and no server. Its invariants:
//!
//! - A message is acknowledged only when everything that had to come of it is confirmed and on
//!   record. Dropping a message's receipt, for whatever reason, returns it to its queue.
//! - The requests that a crash could repeat are at most those that the worker may have in flight:
//!   a place in the worker's budget is given back only with the acknowledgement, or once the
//!   delivery is marked as settled.
//! - Nothing waits in memory for a slow receiver, but for a short line.

pub mod admission;
mod attempt;
pub mod chance;
pub mod clock;
pub mod counters;
mod delivery_job;
mod disabling;
mod event_job;
mod intake;
mod origin;
pub mod ports;
mod settlement;
mod telling_apart;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::admission::Bounds;
use crate::domain::delay::Steps;
use crate::domain::event::EventRules;
use crate::domain::retry::RetryPolicy;
use crate::domain::verdict::DisablePolicy;

use admission::Gatekeeper;
use chance::Chance;
use clock::Clock;
use counters::Counters;
use ports::{Handover, Log, Sender, Source, Subscriptions};

/// What the engine is told about how to work.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What counts as an event.
    pub events: EventRules,
    /// How deliveries are retried, where a webhook says nothing else.
    pub retry: RetryPolicy,
    /// When webhooks are disabled.
    pub disable: DisablePolicy,
    /// The delay queues there are.
    pub steps: Steps,
    /// The bounds of one webhook in this worker.
    pub bounds: Bounds,
    /// The requests that this worker may have open at once.
    pub max_in_flight: usize,
    /// An event that more webhooks want than this is split into messages of their own.
    pub fanout_inline_max: usize,
    /// Keep the body of every delivery on record, not only of those that failed.
    pub keep_all_bodies: bool,
    /// The worker's name in the records.
    pub worker: String,
    /// How long requests in flight may take to end once the worker is told to stop.
    pub grace: Duration,
    /// Where the time of day comes from.
    pub clock: Clock,
    /// Where jitter comes from.
    pub chance: Chance,
}

/// The world that the engine works in.
#[derive(Clone)]
pub struct Ports {
    /// Takes what comes next.
    pub handover: Arc<dyn Handover>,
    /// Knows the webhooks.
    pub subscriptions: Arc<dyn Subscriptions>,
    /// Keeps the record.
    pub log: Arc<dyn Log>,
    /// Makes the requests.
    pub sender: Arc<dyn Sender>,
}

/// A delivery engine.
pub struct Engine {
    settings: Settings,
    ports: Ports,
    gatekeeper: Gatekeeper,
    budget: Arc<Semaphore>,
    /// The part of the budget that single deliveries may take: a storm of retries leaves the rest
    /// to fresh events.
    deliveries_share: Semaphore,
    /// Held while a webhook is being disabled.
    disabling: Mutex<()>,
    counters: Counters,
    /// Cancelled once nothing new is to be begun.
    stopping: CancellationToken,
    /// Cancelled once the grace period is over: what is unfinished is dropped, and so returned.
    abandoned: CancellationToken,
}

/// How long the last marks may take to be written once everything else is done.
const MARKS_LIMIT: Duration = Duration::from_secs(1);

/// How often webhooks without traffic are forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(30);

impl Engine {
    /// An engine that stops when `stopping` is cancelled.
    pub fn new(settings: Settings, ports: Ports, stopping: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            gatekeeper: Gatekeeper::new(settings.bounds),
            budget: Arc::new(Semaphore::new(settings.max_in_flight)),
            deliveries_share: Semaphore::new(settings.max_in_flight.div_ceil(2)),
            disabling: Mutex::default(),
            counters: Counters::default(),
            settings,
            ports,
            stopping,
            abandoned: CancellationToken::new(),
        })
    }

    /// Works until the source has ended, which it does when it is told to stop. Then waits for what
    /// is in flight, at most for the grace period; what is left unsettled is returned.
    pub async fn run(self: &Arc<Self>, source: Source) -> &Counters {
        let jobs = TaskTracker::new();
        let tidy = tokio::spawn({
            let engine = self.clone();
            async move {
                loop {
                    tokio::time::sleep(TIDY_EVERY).await;
                    engine.gatekeeper.forget_idle();
                }
            }
        });
        let done = CancellationToken::new();
        let keep = |marks, entry| tokio::spawn(self.clone().keep(marks, entry, done.clone()));
        let lost_acks = keep(source.lost_acks, intake::lost);
        let proven_acks = keep(source.proven_acks, intake::proven);
        // Beyond what may be in flight, some jobs may wait in line, match or settle. Not many: were
        // the whole prefetch worked on at once, the line of a quick receiver would be so long that
        // its deliveries had to be put off.
        let events_at_once = self.settings.max_in_flight.div_ceil(2) * 3;
        tokio::join!(
            self.take_all(source.events, events_at_once, &jobs),
            self.take_all(source.deliveries, self.settings.max_in_flight, &jobs),
        );
        jobs.close();
        if tokio::time::timeout(self.settings.grace, jobs.wait())
            .await
            .is_err()
        {
            let left = jobs.len();
            tracing::warn!(
                left,
                "the grace period is over: what is unfinished is returned"
            );
            self.abandoned.cancel();
            jobs.wait().await;
        }
        tidy.abort();
        done.cancel();
        // Without the marks more is repeated, which is no reason to wait for a store that is away.
        let marks = futures::future::join(lost_acks, proven_acks);
        if tokio::time::timeout(MARKS_LIMIT, marks).await.is_err() {
            tracing::warn!("the last marks of what is settled could not be written");
        }
        &self.counters
    }

    /// What the engine has done so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
