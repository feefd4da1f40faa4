//! A scenario by seed: who is there, how they behave, what is published, when the worker dies.

use std::time::Duration;

use prism_webhooks::domain::retry::RetryPolicy;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::receivers::Receiver;
use super::scenario::{Costs, End, Ending, Limits, Publication, Scenario, To};

/// The scenario of `seed`: small, so that ten thousand of them take no more than a minute.
pub fn scenario(seed: u64) -> Scenario {
    let mut random = StdRng::seed_from_u64(seed);
    let mut scenario = Scenario {
        seed,
        limits: limits(&mut random),
        costs: costs(&mut random),
        retry: retry(&mut random),
        ..Scenario::new()
    };
    let organizations = random.random_range(1..=3);
    for organization in 0..organizations {
        // One in ten has nothing but trouble, and much of it.
        if random.random_ratio(1, 10) {
            let receiver = troubled(&mut random);
            for _ in 0..random.random_range(4..=12) {
                scenario.webhook(organization, receiver);
            }
        } else {
            for _ in 0..random.random_range(1..=3) {
                let receiver = match random.random_ratio(2, 5) {
                    true => healthy(&mut random),
                    false => troubled(&mut random),
                };
                scenario.webhook(organization, receiver);
            }
        }
    }
    // Somebody is always there who could be hurt.
    let receiver = healthy(&mut random);
    let witness = scenario.webhook(organizations, receiver);
    scenario.send(
        witness,
        random.random_range(2..=8),
        Duration::from_millis(random.random_range(0..3_000)),
        Duration::from_millis(*[0, 20, 300, 2_000].choose(&mut random).unwrap()),
    );
    let flooding = random.random_ratio(1, 8);
    for organization in 0..organizations {
        let most = if flooding && organization == 0 { 40 } else { 8 };
        let events = random.random_range(1..=most);
        publish(&mut scenario, &mut random, organization, events);
    }
    scenario.traffic.sort_by_key(|one| one.at);
    scenario.endings = endings(&mut random);
    scenario
}

fn healthy(random: &mut StdRng) -> Receiver {
    match random.random_range(0..4) {
        0 => Receiver::Steady { millis: 150 },
        1 => Receiver::Steady { millis: 300 },
        _ => Receiver::Quick { millis: 20 },
    }
}

fn troubled(random: &mut StdRng) -> Receiver {
    let hangs = random.random();
    match random.random_range(0..11) {
        0 => Receiver::Steady { millis: 2_000 },
        1 => Receiver::OneByOne { millis: 100 },
        2 | 3 => Receiver::Hanging,
        4 => Receiver::Dripping,
        5 => Receiver::Erring,
        6 => Receiver::Throttling {
            seconds: random.random_range(1..=30),
        },
        7 => Receiver::Flapping {
            seconds: random.random_range(2..=15),
            hangs,
        },
        8 => Receiver::Dead {
            until: Duration::from_secs(3_600),
            hangs,
        },
        9 => Receiver::Limited {
            a_second: *[1, 5, 20, 200].choose(random).unwrap(),
        },
        _ => Receiver::Gone,
    }
}

fn publish(scenario: &mut Scenario, random: &mut StdRng, organization: usize, events: usize) {
    let own: Vec<usize> = (0..scenario.webhooks.len())
        .filter(|index| scenario.webhooks[*index].organization == organization)
        .collect();
    // A backlog, a burst, a steady stream, a trickle.
    let (from, apart) = match random.random_range(0..4) {
        0 => (0, 0),
        1 => (random.random_range(0..20_000), 0),
        2 => (0, random.random_range(5..500)),
        _ => (0, random.random_range(2_000..30_000)),
    };
    let to_all = random.random_ratio(1, 3);
    for event in 0..events as u64 {
        let to = match to_all && own.len() <= 4 {
            true => To::All,
            false => To::One(*own.choose(random).unwrap()),
        };
        scenario.traffic.push(Publication {
            at: Duration::from_millis(from + apart * event),
            organization,
            to,
        });
    }
}

fn limits(random: &mut StdRng) -> Limits {
    Limits {
        quick: *[16, 64, 256, 256].choose(random).unwrap(),
        slow: *[128, 1024].choose(random).unwrap(),
        webhook: *[4, 16, 64].choose(random).unwrap(),
        inline: *[2, 128, 128].choose(random).unwrap(),
        ..Limits::default()
    }
}

fn costs(random: &mut StdRng) -> Costs {
    if random.random_ratio(3, 4) {
        return Costs::default();
    }
    Costs {
        write: Duration::from_millis(random.random_range(0..20)),
        hand_over: Duration::from_millis(random.random_range(0..20)),
    }
}

fn retry(random: &mut StdRng) -> RetryPolicy {
    RetryPolicy {
        initial: Duration::from_secs(random.random_range(1..=10)),
        factor: 3.0,
        max_delay: Duration::from_secs(600),
        max_attempts: random.random_range(2..=6),
    }
}

fn endings(random: &mut StdRng) -> Vec<Ending> {
    let count = if random.random_ratio(1, 5) {
        random.random_range(1..=2)
    } else {
        0
    };
    let mut at = 0;
    let ending = |_| {
        at += random.random_range(100..20_000);
        Ending {
            at: Duration::from_millis(at),
            end: match random.random() {
                true => End::Crash,
                false => End::Stop,
            },
            pause: Duration::from_millis(random.random_range(0..5_000)),
        }
    };
    (0..count).map(ending).collect()
}
