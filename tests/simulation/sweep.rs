//! The sweep over seeds: any mixture of receivers, organizations and traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::generate::scenario;
use super::run::run;
use super::story;

/// How many seeds are run if nobody says otherwise.
const SEEDS: u64 = 10_000;

/// What a sweep has seen.
#[derive(Default)]
struct Seen {
    deliveries: usize,
    requests: usize,
    workers_ended: u32,
    /// The seeds that broke each promise.
    broken: BTreeMap<&'static str, BTreeSet<u64>>,
}

#[test]
fn nobodys_trouble_is_anyone_elses_in_any_mixture() {
    let (seeds, start) = (seeds(), Instant::now());
    let seen = Mutex::new(Seen::default());
    side_by_side(seeds.clone(), |seed| {
        let account = run(&scenario(seed));
        let mut seen = seen.lock().unwrap();
        seen.deliveries += account.deliveries.len();
        seen.requests += account.webhooks.iter().map(|one| one.began).sum::<usize>();
        seen.workers_ended += account.worker_ends;
        for broken in &account.broken {
            seen.broken.entry(broken.promise).or_default().insert(seed);
        }
    });
    let seen = seen.into_inner().unwrap();
    println!(
        "{} seeds in {:?}: {} deliveries, {} requests, {} workers ended",
        seeds.end - seeds.start,
        start.elapsed(),
        seen.deliveries,
        seen.requests,
        seen.workers_ended
    );
    for (promise, seeds) in &seen.broken {
        let some: Vec<_> = seeds.iter().take(5).collect();
        println!("broken by {} seeds, as {some:?}: {promise}", seeds.len());
    }
    if let Some(seed) = seen.broken.values().flatten().min() {
        panic!(
            "replay seed {seed} with\n\
             PRISM_SIMULATION_SEED={seed} cargo test --locked --test integration simulation::\n{}",
            story::of(&run(&scenario(*seed)))
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_twice() {
    side_by_side(0..200, |seed| {
        let (one, other) = (run(&scenario(seed)), run(&scenario(seed)));
        for (first, second) in one.trace.iter().zip(&other.trace) {
            let (first, second) = (story::line(&one, first), story::line(&other, second));
            assert_eq!(first, second, "seed {seed}");
        }
        assert_eq!(one.trace.len(), other.trace.len(), "seed {seed}");
    });
}

/// The seeds to run.
fn seeds() -> Range<u64> {
    let number = |variable: &str| std::env::var(variable).ok()?.parse().ok();
    match number("PRISM_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("PRISM_SIMULATION_SEEDS").unwrap_or(SEEDS),
    }
}

/// Runs `one` for each seed, on every core.
fn side_by_side(seeds: Range<u64>, one: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < seeds.end)
                {
                    one(seed);
                }
            });
        }
    });
}
