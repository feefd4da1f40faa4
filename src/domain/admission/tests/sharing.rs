//! Workers that share a webhook with a rate limit, and its backlog.

use std::collections::HashMap;
use std::time::Duration;

use super::super::{JobKind, Shown};
use super::world::{BOUNDS, MS, SECOND, World};
use crate::domain::rate_limit::Calendar;
use crate::domain::webhook::WebhookKey;

/// Workers that share the backlog of one webhook, and the broker between them.
struct Sharing<const N: usize> {
    name: &'static str,
    workers: [World; N],
    calendars: HashMap<WebhookKey, Calendar>,
    clock: Duration,
    coming_back: Vec<Duration>,
}

impl<const N: usize> Sharing<N> {
    fn new(name: &'static str, backlog: usize) -> Self {
        let mut sharing = Self {
            name,
            workers: [(); N].map(|()| World::new(BOUNDS)),
            calendars: HashMap::new(),
            clock: Duration::ZERO,
            coming_back: Vec::new(),
        };
        for number in 0..backlog {
            sharing.with(number % N, |world| world.ask(name, JobKind::Event));
        }
        sharing
    }

    fn with(&mut self, worker: usize, act: impl FnOnce(&mut World)) {
        let world = &mut self.workers[worker];
        std::mem::swap(&mut world.calendars, &mut self.calendars);
        act(world);
        std::mem::swap(&mut world.calendars, &mut self.calendars);
        let later = world.later.drain(..);
        let due = later.map(|(_, deferral)| self.clock + deferral.delay);
        self.coming_back.extend(due);
    }

    fn run(&mut self, time: Duration) {
        let until = self.clock + time;
        while self.clock < until {
            // Whoever comes first in a step is always the same.
            for worker in 0..N {
                self.with(worker, |world| {
                    world.run(5 * MS, |_| Some((MS, Shown::Delivered)));
                });
            }
            self.clock += 5 * MS;
            let clock = self.clock;
            let due = self.coming_back.extract_if(.., |due| *due <= clock);
            for number in 0..due.count() {
                let name = self.name;
                self.with(number % N, |world| world.ask(name, JobKind::Message));
            }
        }
    }

    fn begun(&self) -> [usize; N] {
        self.workers.each_ref().map(|world| world.begun)
    }
}

fn is_shared_without_a_gap<const N: usize>(name: &'static str, rate: f64, backlog: usize) {
    let mut sharing = Sharing::<N>::new(name, backlog);
    // Not to its very end, where one of them has nothing left.
    let seconds = (backlog as f64 / rate * 0.9).min(90.0);
    let mut before = 0;
    for second in 1..=seconds as u32 / 5 {
        sharing.run(5 * SECOND);
        let begun: usize = sharing.begun().iter().sum();
        let wanted = 5.0 * rate;
        let got = (begun - before) as f64;
        assert!(
            (wanted - 1.0..wanted * 1.1 + 2.0).contains(&got),
            "{got} of {wanted} within 5 s after {} s, {N} workers, {name}, {backlog}",
            5 * second
        );
        before = begun;
    }
    let each = sharing.begun();
    let fair = before / N;
    assert!(
        each.iter().all(|begun| *begun >= fair / 2),
        "{each:?} of {name}"
    );
}

#[test]
fn a_backlog_that_workers_share_keeps_the_pace_without_a_gap_and_each_has_its_part() {
    // About five a second is where the next time can be reserved the moment that one is used.
    for (name, rate) in [
        ("a/limited-1", 1.0),
        ("a/limited-4", 4.0),
        ("a/limited-290-a-minute", 290.0 / 60.0),
        ("a/limited-5", 5.0),
        ("a/limited-330-a-minute", 330.0 / 60.0),
        ("a/limited-10", 10.0),
        ("a/limited-20", 20.0),
    ] {
        // Less than lines may hold, as much as one line may, and far more.
        for seconds in [12.0, 45.0, 160.0] {
            let backlog = (seconds * rate) as usize;
            is_shared_without_a_gap::<2>(name, rate, backlog);
            is_shared_without_a_gap::<3>(name, rate, backlog);
        }
    }
}
