//! Workers that share a webhook and its backlog.

use std::collections::HashMap;
use std::time::Duration;

use super::super::{JobKind, Shown};
use super::world::{BOUNDS, MS, SECOND, World};
use crate::domain::rate_limit::Calendar;
use crate::domain::returns::Returns;
use crate::domain::webhook::WebhookKey;

const STEP: Duration = Duration::from_millis(5);

/// Workers that share the backlog of one webhook, and what is between them: a broker and a store.
pub(super) struct Sharing<const N: usize> {
    name: &'static str,
    pub(super) workers: [World; N],
    calendars: HashMap<WebhookKey, Calendar>,
    returns: HashMap<WebhookKey, Returns>,
    pub(super) clock: Duration,
    /// How many stand in the queues, by kind.
    queues: [usize; 2],
    coming_back: Vec<Duration>,
    put_off: usize,
    /// Whose turn it is to be given a message.
    turn: usize,
}

impl<const N: usize> Sharing<N> {
    pub(super) fn new(name: &'static str, backlog: usize) -> Self {
        Self {
            name,
            workers: [(); N].map(|()| World::new(BOUNDS)),
            calendars: HashMap::new(),
            returns: HashMap::new(),
            clock: Duration::ZERO,
            queues: [backlog, 0],
            coming_back: Vec::new(),
            put_off: 0,
            turn: 0,
        }
    }

    pub(super) fn with(&mut self, worker: usize, act: impl FnOnce(&mut World)) {
        let world = &mut self.workers[worker];
        world.number = worker as u128;
        world.workers = N as u32;
        std::mem::swap(&mut world.calendars, &mut self.calendars);
        std::mem::swap(&mut world.returns, &mut self.returns);
        act(world);
        std::mem::swap(&mut world.calendars, &mut self.calendars);
        std::mem::swap(&mut world.returns, &mut self.returns);
        let later = world.later.drain(..);
        let due = later.map(|(_, deferral)| self.clock + deferral.delay);
        let before = self.coming_back.len();
        self.coming_back.extend(due);
        self.put_off += self.coming_back.len() - before;
    }

    fn run(&mut self, time: Duration) {
        let until = self.clock + time;
        while self.clock < until {
            self.hand_out();
            // Whoever comes first in a step is always the same.
            for worker in 0..N {
                self.with(worker, |world| {
                    world.run(STEP, |_| Some((MS, Shown::Delivered)));
                });
            }
            self.clock += STEP;
        }
    }

    /// Gives what stands in the queues to those that have room for it, one after the other.
    pub(super) fn hand_out(&mut self) {
        let clock = self.clock;
        let due = self.coming_back.extract_if(.., |due| *due <= clock);
        self.queues[JobKind::Message as usize] += due.count();
        for kind in [JobKind::Event, JobKind::Message] {
            let mut full = 0;
            while self.queues[kind as usize] > 0 && full < N {
                let worker = &self.workers[self.turn];
                if worker.admission.has_room(kind, worker.now) {
                    let name = self.name;
                    self.queues[kind as usize] -= 1;
                    self.with(self.turn, |world| world.ask(name, kind));
                    full = 0;
                } else {
                    full += 1;
                }
                self.turn = (self.turn + 1) % N;
            }
        }
    }

    /// A delivery comes back after this time.
    pub(super) fn comes_back(&mut self, wait: Duration) {
        self.coming_back.push(self.clock + wait);
    }

    /// Each tells the others now and then what it gets done.
    pub(super) fn tell(&mut self) {
        if !self.clock.as_millis().is_multiple_of(5_000) {
            return;
        }
        let now = SECOND + self.clock;
        for (number, world) in self.workers.iter_mut().enumerate() {
            for (webhook, apart) in world.admission.progress(world.now) {
                let returns = self.returns.entry(webhook).or_default();
                returns.tell(number as u128, apart, now);
            }
        }
    }

    pub(super) fn begun(&self) -> [usize; N] {
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

/// How long it takes until a backlog is delivered, and how often one of it was put off.
fn takes<const N: usize>(name: &'static str, backlog: usize) -> (Duration, usize) {
    let mut sharing = Sharing::<N>::new(name, backlog);
    while sharing.begun().iter().sum::<usize>() < backlog {
        sharing.run(SECOND);
        assert!(sharing.clock < 3600 * SECOND);
    }
    (sharing.clock, sharing.put_off)
}

#[test]
fn a_backlog_is_delivered_no_later_by_more_workers() {
    for (name, rate, backlog) in [
        ("a/limited-50", 50.0, 8_000),
        ("a/limited-10", 10.0, 3_000),
        ("a/limited-1", 1.0, 400),
    ] {
        let at_best = Duration::from_secs_f64(f64::from(backlog) / rate);
        let backlog = backlog as usize;
        let taken = [
            takes::<1>(name, backlog),
            takes::<2>(name, backlog),
            takes::<3>(name, backlog),
            takes::<5>(name, backlog),
        ];
        for (time, put_off) in taken {
            assert!(
                time <= at_best.mul_f64(1.05),
                "{taken:?}, {name}, {backlog}"
            );
            assert!(put_off * 10 <= backlog * 13, "{taken:?}, {name}, {backlog}");
        }
    }
}
