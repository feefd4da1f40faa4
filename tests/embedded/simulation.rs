//! The real engine on a database in memory, a paused clock and receivers that fail by a seed,
//! killed between any two steps of its work. After each run the promises are checked: nothing
//! accepted is lost, nothing is repeated but what a crash could repeat, every attempt is on record.
//!
//! `PRISM_SIMULATION_SEED=n` runs one seed alone, `PRISM_SIMULATION_SEEDS=n` so many of them. The
//! script and the jitter of retries are the seed's; the order of tasks is not.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use prism_webhooks::domain::event::RawEvent;
use prism_webhooks::embedded::Embedded;
use prism_webhooks::embedded::database::Database;
use prism_webhooks::engine::Engine;
use prism_webhooks::engine::clock::Clock;
use prism_webhooks::engine::random::RandomSource;
use prism_webhooks::store::dead_letters::Filter;
use prism_webhooks::store::delivery_log::AttemptFilter;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use super::chaos::{Chaotic, Fuse, Receivers};
use super::world::{IN_FLIGHT, WEBHOOKS, embedded, engine_settings, event, put_webhooks};

/// How many seeds are run if nobody says otherwise.
const SEEDS: u64 = 32;

/// How a body begins that is no event's.
const INVALID: &[u8] = br#"{"event":"something.else""#;

/// Simulated time after which everything must be settled: all attempts take about a day.
const LONGEST: Duration = Duration::from_secs(10 * 86_400);

/// One run: what was put in, what the receivers saw.
struct Run {
    script: StdRng,
    random: RandomSource,
    database: Arc<Database>,
    receivers: Arc<Receivers>,
    /// Events still to be published.
    coming: Vec<RawEvent>,
    /// The events that were accepted, by id and body, each as often as it was.
    accepted: BTreeMap<(String, Vec<u8>), usize>,
    crashes: u32,
    crashes_left: u32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut script = StdRng::seed_from_u64(seed);
        let events = script.random_range(1..30);
        let mut coming: Vec<RawEvent> = Vec::new();
        for n in 0..events {
            let fresh = event(&format!("e{n}"), script.random_ratio(1, 20));
            let before = (!coming.is_empty()).then(|| script.random_range(0..coming.len()));
            coming.push(match (before, script.random_range(0..10)) {
                // The same once more, byte for byte.
                (Some(before), 0 | 1) => coming[before].clone(),
                // Another body under the same id.
                (Some(before), 2) => RawEvent {
                    message_id: coming[before].message_id.clone(),
                    ..fresh
                },
                _ => fresh,
            });
        }
        Self {
            crashes_left: script.random_range(0..8),
            coming,
            random: RandomSource::seeded(seed),
            script,
            database: Arc::new(Database::in_memory().unwrap()),
            receivers: Arc::new(Receivers::new(seed)),
            accepted: BTreeMap::new(),
            crashes: 0,
        }
    }

    /// Lives one life after the other until everything is settled.
    fn live(&mut self) {
        let mut now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let deadline = now + LONGEST;
        loop {
            // A runtime of its own: dropping it kills everything, wherever it is.
            let runtime = Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .unwrap();
            let (end, settled) = runtime.block_on(self.life(now, deadline));
            drop(runtime);
            if settled {
                return;
            }
            self.crashes += 1;
            now = end + Duration::from_millis(self.script.random_range(0..20_000));
        }
    }

    /// One life of the process. Tells when it ended, and whether everything was settled.
    async fn life(&mut self, now: Timestamp, deadline: Timestamp) -> (Timestamp, bool) {
        let clock = Clock::simulated(now);
        let embedded = embedded(self.database.clone(), clock);
        put_webhooks(&embedded).await;
        let steps = match self.crashes_left.checked_sub(1) {
            Some(left) => {
                self.crashes_left = left;
                self.script.random_range(1..120)
            }
            None => u32::MAX,
        };
        let fuse = Fuse::of(steps);
        let ports = Chaotic::wrap(
            embedded.ports(self.receivers.clone(), Arc::default()),
            &fuse,
        );
        let engine = Engine::new(
            engine_settings(clock, self.random),
            ports,
            CancellationToken::new(),
        );
        let (source, handle) = embedded.source();
        let working = tokio::spawn(async move {
            engine.run(source).await;
        });
        let settled = tokio::select! {
            () = fuse.burnt() => false,
            () = self.publish_and_wait(&embedded, clock, deadline) => true,
        };
        working.abort();
        drop(handle);
        (clock.now(), settled)
    }

    /// Publishes what is still to come, and returns once everything is settled.
    async fn publish_and_wait(&mut self, embedded: &Embedded, clock: Clock, deadline: Timestamp) {
        while let Some(event) = self.coming.pop() {
            let pause = self.script.random_range(0..5_000);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            // A crash on the way leaves it open whether it was taken: nobody was told so.
            let body = event.body.to_vec();
            let ids = embedded.intake().accept(vec![event]).await.unwrap();
            for id in ids {
                *self.accepted.entry((id, body.clone())).or_default() += 1;
            }
        }
        while embedded.unsettled().await.unwrap() > 0 {
            assert!(clock.now() < deadline, "not settled within {LONGEST:?}");
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
    }

    fn check(&self) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (dead, invalid, on_record) = runtime.block_on(self.what_is_left());
        let requests = self.receivers.requests();
        let valid = |body: &[u8]| !body.starts_with(INVALID);
        for ((event, body), times) in &self.accepted {
            if !valid(body) {
                continue;
            }
            for webhook in WEBHOOKS.into_iter().filter(|id| *id != "gone") {
                let ended = requests.iter().filter(|(id, seen)| {
                    let this = (&seen.event, seen.webhook.as_str(), &seen.body);
                    let is_over = seen.delivered > 0 || dead.contains(*id);
                    this == (event, webhook, body) && is_over
                });
                let ended = ended.count();
                assert!(
                    ended >= *times,
                    "{event} to {webhook}: {times} accepted, {ended} delivered or given up"
                );
            }
        }
        let refused = self.accepted.iter().filter(|((_, body), _)| !valid(body));
        let refused: usize = refused.map(|(_, times)| times).sum();
        assert!(invalid >= refused, "{invalid} of {refused} are no events");
        let repeatable = self.crashes * IN_FLIGHT;
        let repeats: u32 = requests.values().map(|seen| seen.after_delivery).sum();
        assert!(
            repeats <= repeatable,
            "{repeats} repeats, {} crashes",
            self.crashes
        );
        let made: u32 = requests.values().map(|seen| seen.made).sum();
        assert!(on_record <= made, "{made} made, {on_record} on record");
        // What a crash cut off is not on record, and nobody can tell what came of it.
        assert!(
            made <= on_record + repeatable,
            "{made} made, {on_record} on record"
        );
    }

    /// The deliveries among the dead letters, how many others there are, and how many attempts are on
    /// record.
    async fn what_is_left(&self) -> (BTreeSet<String>, usize, u32) {
        let embedded = embedded(self.database.clone(), Clock::system());
        let letters = embedded.dead_letters();
        let letters = letters
            .list(&Filter::default(), None, 100_000)
            .await
            .unwrap();
        let all = letters.letters.len();
        let dead: BTreeSet<String> = letters
            .letters
            .into_iter()
            .filter_map(|one| one.delivery)
            .collect();
        let no_events = all - dead.len();
        let attempts = embedded.attempts();
        let everything = AttemptFilter::default();
        let all = attempts.list(&everything, usize::MAX, None).await.unwrap();
        (dead, no_events, u32::try_from(all.attempts.len()).unwrap())
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn nothing_is_lost_whenever_the_process_dies() {
    let seeds = match number("PRISM_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PRISM_SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    let totals = Mutex::new((0, 0_u64, 0, 0));
    for seed in seeds {
        let run = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            run.live();
            run.check();
            let mut totals = totals.lock().unwrap();
            totals.0 += run.crashes;
            totals.1 += u64::from(run.receivers.made());
            totals.2 += run.accepted.values().sum::<usize>();
            let seen = run.receivers.requests();
            totals.3 += seen.values().map(|seen| seen.after_delivery).sum::<u32>();
        });
        if let Err(panic) = run {
            eprintln!("seed {seed} failed; replay it with PRISM_SIMULATION_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
    let (crashes, requests, events, repeats) = totals.into_inner().unwrap();
    println!("{events} events, {requests} requests, {crashes} crashes, {repeats} repeats");
}

/// A number that is the same for the same seed and words.
pub fn mixed(seed: u64, words: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    words.hash(&mut hasher);
    hasher.finish()
}
