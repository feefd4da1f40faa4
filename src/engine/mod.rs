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
//!   the place of a request is given back only with the acknowledgement, or once the delivery is
//!   marked as settled.
//! - What waits in memory is bounded, and nobody waits behind it but for the same receiver.

pub mod admission;
pub mod asking;
mod attempt;
mod changing;
pub mod clock;
pub mod counters;
mod delivery_job;
mod disabling;
mod eligibility;
mod event_job;
pub mod faults;
mod held_back;
mod intake;
mod origin;
mod pacing;
mod pausing;
pub mod ports;
pub mod random;
mod settlement;
mod telling_apart;
mod under_way;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::admission::{Bounds, JobKind};
use crate::domain::delay::Steps;
use crate::domain::event::EventRules;
use crate::domain::retry::RetryPolicy;
use crate::domain::verdict::DisablePolicy;

use admission::WebhookLimiter;
use clock::Clock;
use counters::Counters;
use faults::Faults;
use ports::{Board, Calendars, Handover, LogWriter, Pauses, Sender, Source, Subscriptions};
use random::RandomSource;
use under_way::UnderWay;

/// The engine's settings.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// What counts as an event.
    pub events: EventRules,
    /// How deliveries are retried, where a webhook says nothing else.
    pub retry: RetryPolicy,
    /// When webhooks are disabled.
    pub disable: DisablePolicy,
    /// The delay queues there are.
    pub steps: Steps,
    /// How much this worker may have open and in hand.
    pub bounds: Bounds,
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
    pub random: RandomSource,
}

/// The world that the engine works in.
#[derive(Clone)]
pub struct Ports {
    /// Takes what comes next.
    pub handover: Arc<dyn Handover>,
    /// Knows the webhooks.
    pub subscriptions: Arc<dyn Subscriptions>,
    /// Keeps the record.
    pub log: Arc<dyn LogWriter>,
    /// Shares rate limits with other workers.
    pub calendars: Arc<dyn Calendars>,
    /// Tells everybody whose deliveries are held back.
    pub board: Arc<dyn Board>,
    /// Tells other workers which receivers asked to be left alone.
    pub pauses: Arc<dyn Pauses>,
    /// Makes the requests.
    pub sender: Arc<dyn Sender>,
    /// Where it is kept that requests cannot be made.
    pub faults: Arc<Faults>,
}

/// A delivery engine.
pub struct Engine {
    settings: EngineSettings,
    ports: Ports,
    limiter: WebhookLimiter,
    /// Permits for events that are arriving: decoded, and not yet in hand.
    arriving: Arc<Semaphore>,
    /// Permits for events that are being split into parts.
    splits: Semaphore,
    /// Held while a webhook is being disabled.
    disabling: Mutex<()>,
    under_way: UnderWay,
    counters: Counters,
    /// Cancelled once nothing new is to be begun.
    stopping: CancellationToken,
    /// Cancelled once the grace period is over: what is unfinished is dropped, and so returned.
    abandoned: CancellationToken,
}

/// How long the last marks and pauses may take to be written once everything else is done.
const LAST_LIMIT: Duration = Duration::from_secs(1);

/// How often webhooks without traffic are forgotten, and the log tells what is held back.
const TIDY_EVERY: Duration = Duration::from_secs(30);

impl Engine {
    /// An engine that stops when `stopping` is cancelled.
    pub fn new(settings: EngineSettings, ports: Ports, stopping: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            limiter: WebhookLimiter::new(settings.bounds),
            arriving: Arc::new(Semaphore::new(intake::ARRIVING)),
            splits: Semaphore::new(event_job::SPLITS),
            disabling: Mutex::default(),
            under_way: UnderWay::default(),
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
        self.limiter.heed_pauses(&*self.ports.pauses);
        let beside = self.work_beside();
        let done = CancellationToken::new();
        let keep = |marks, entry| tokio::spawn(self.clone().keep(marks, entry, done.clone()));
        let lost_acks = keep(source.lost_acks, intake::lost);
        let proven_acks = keep(source.proven_acks, intake::proven);
        let (engine, told) = (self.clone(), done.clone());
        let pauses = tokio::spawn(async move {
            let (limiter, pauses) = (&engine.limiter, &*engine.ports.pauses);
            limiter.tell_pauses(pauses, told).await;
        });
        tokio::join!(
            self.take_all(source.events, JobKind::Event, &jobs),
            self.take_all(source.deliveries, JobKind::Message, &jobs),
            self.take_all(source.parts, JobKind::Message, &jobs),
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
        drop(beside);
        done.cancel();
        // Without them more is repeated, which is no reason to wait for a store that is away.
        let last = futures::future::join3(lost_acks, proven_acks, pauses);
        if tokio::time::timeout(LAST_LIMIT, last).await.is_err() {
            tracing::warn!("the last marks of what is settled, and pauses, could not be written");
        }
        &self.counters
    }

    /// Starts the tasks that go on beside the messages, until they are dropped.
    fn work_beside(self: &Arc<Self>) -> JoinSet<()> {
        let mut beside = JoinSet::new();
        let engine = self.clone();
        beside.spawn(async move { engine.limiter.keep_time().await });
        let engine = self.clone();
        beside.spawn(async move { engine.limiter.keep_pace(&*engine.ports.calendars).await });
        let engine = self.clone();
        beside.spawn(async move { engine.limiter.tell_progress(&*engine.ports.calendars).await });
        let engine = self.clone();
        beside.spawn(async move { engine.limiter.keep_up(&*engine.ports.subscriptions).await });
        let engine = self.clone();
        beside.spawn(async move {
            let (board, clock) = (&*engine.ports.board, &engine.settings.clock);
            engine.limiter.keep_board(board, clock).await;
        });
        let engine = self.clone();
        beside.spawn(async move {
            let mut deferred = 0;
            loop {
                tokio::time::sleep(TIDY_EVERY).await;
                deferred = engine.log_load(deferred);
                engine.limiter.forget_idle();
                engine.ports.faults.passed();
            }
        });
        beside
    }

    /// Counts what the engine has done so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
