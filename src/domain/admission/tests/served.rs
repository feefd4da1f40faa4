//! Workers that share the backlog of a receiver that is slow under load: it serves a few at once, and
//! lets the others wait.

use std::time::{Duration, Instant};

use super::super::{Shown, Ticket};
use super::sharing::Sharing;
use super::world::{MS, SECOND};

const STEP: Duration = Duration::from_millis(10);

/// A receiver that serves so many at once, in the order in which they came, each for so long.
struct Receiver {
    at_once: usize,
    time: Duration,
    /// By which worker, and until when.
    serving: Vec<(usize, Ticket, Duration)>,
}

impl Receiver {
    fn serve<const N: usize>(&mut self, sharing: &mut Sharing<N>) -> usize {
        let clock = sharing.clock;
        let served: Vec<_> = self
            .serving
            .extract_if(.., |(.., until)| *until <= clock)
            .collect();
        for (worker, ticket, _) in &served {
            sharing.with(*worker, |world| {
                let index = world.open.iter().position(|(open, ..)| open == ticket);
                world.end(index.unwrap(), Shown::Delivered);
            });
        }
        let mut waiting = Vec::new();
        for (number, world) in sharing.workers.iter().enumerate() {
            for (ticket, began, _) in &world.open {
                let is_it = |one: &(usize, Ticket, Duration)| (one.0, one.1) == (number, *ticket);
                if !self.serving.iter().any(is_it) {
                    waiting.push((*began - world.start, number, *ticket));
                }
            }
        }
        waiting.sort_unstable();
        let free = self.at_once - self.serving.len();
        let begun = waiting.into_iter().take(free);
        self.serving
            .extend(begun.map(|(_, worker, ticket)| (worker, ticket, clock + self.time)));
        served.len()
    }

    /// Ends what is open for too long. It comes again a while later.
    fn time_out<const N: usize>(&mut self, sharing: &mut Sharing<N>) -> usize {
        let mut count = 0;
        for worker in 0..N {
            let now = sharing.workers[worker].now;
            let is_over = |(_, began, _): &(Ticket, Instant, String)| now - *began >= TIMEOUT;
            while let Some(index) = sharing.workers[worker].open.iter().position(&is_over) {
                let ticket = sharing.workers[worker].open[index].0;
                self.serving
                    .retain(|one| (one.0, one.1) != (worker, ticket));
                sharing.with(worker, |world| world.end(index, Shown::TimedOut));
                sharing.comes_back(5 * SECOND);
                count += 1;
            }
        }
        count
    }
}

/// How long it took.
#[derive(Debug, Clone, Copy)]
struct Took {
    /// Until nearly everything was delivered.
    nearly: Duration,
    all: Duration,
    /// How many requests were open for longer than they may be.
    timed_out: usize,
}

const TIMEOUT: Duration = Duration::from_secs(10);

/// Delivers a backlog to a receiver that takes `time` for each, by the clock.
fn deliver<const N: usize>(
    backlog: usize,
    at_once: usize,
    time: impl Fn(Duration) -> Duration,
) -> Took {
    let mut sharing = Sharing::<N>::new("a/w", backlog);
    let mut receiver = Receiver {
        at_once,
        time: Duration::ZERO,
        serving: Vec::new(),
    };
    let (mut done, mut nearly, mut timed_out) = (0, None, 0);
    while done < backlog {
        sharing.hand_out();
        for worker in 0..N {
            sharing.with(worker, |world| world.pass(STEP));
        }
        sharing.clock += STEP;
        sharing.tell();
        receiver.time = time(sharing.clock);
        done += receiver.serve(&mut sharing);
        timed_out += receiver.time_out(&mut sharing);
        if done >= backlog / 20 * 19 {
            nearly.get_or_insert(sharing.clock);
        }
        assert!(sharing.clock < 3600 * SECOND, "{done} of {backlog}");
    }
    Took {
        nearly: nearly.unwrap(),
        all: sharing.clock,
        timed_out,
    }
}

#[test]
fn a_backlog_for_a_slow_receiver_is_delivered_as_soon_by_more_workers() {
    for (backlog, at_once, time) in [
        (3_000, 8, 400 * MS),
        (8_000, 8, 400 * MS),
        (3_000, 1, 50 * MS),
        (9_000, 4, 40 * MS),
        (800, 2, 1_000 * MS),
    ] {
        let at_best = time * u32::try_from(backlog / at_once).unwrap();
        let took = [
            deliver::<1>(backlog, at_once, |_| time),
            deliver::<3>(backlog, at_once, |_| time),
            deliver::<5>(backlog, at_once, |_| time),
        ];
        let alone = took[0];
        assert!(
            alone.nearly < at_best.mul_f64(1.15),
            "{took:?} of {at_best:?}"
        );
        for one in took {
            assert!(one.nearly < alone.nearly.mul_f64(1.1), "{took:?}");
            // Single ones may have been put off for long before anything was known.
            assert!(one.all < alone.all.mul_f64(1.4), "{took:?}");
        }
    }
}

#[test]
fn a_receiver_that_is_slower_for_a_while_times_nothing_out_and_is_as_soon_done_by_more_workers() {
    let time = |clock| match (30 * SECOND..60 * SECOND).contains(&clock) {
        true => 800 * MS,
        false => 400 * MS,
    };
    let took = [
        deliver::<1>(1_500, 8, time),
        deliver::<2>(1_500, 8, time),
        deliver::<3>(1_500, 8, time),
    ];
    for one in took {
        assert_eq!(one.timed_out, 0, "{took:?}");
        assert!(one.all < 100 * SECOND, "{took:?}, it could be 90 s");
    }
}

/// What they find out before the first answers come is in vain; after that nothing is.
#[test]
fn several_workers_keep_no_more_open_than_is_answered_in_time() {
    for (backlog, at_once, time, in_vain) in [
        (600, 16, 2_000 * MS, 0),
        (120, 2, 1_000 * MS, 20),
        (90, 1, 1_000 * MS, 20),
    ] {
        let at_best = time * u32::try_from(backlog / at_once).unwrap();
        let took = [
            deliver::<1>(backlog, at_once, |_| time),
            deliver::<2>(backlog, at_once, |_| time),
            deliver::<3>(backlog, at_once, |_| time),
        ];
        for one in took {
            assert!(one.all < at_best.mul_f64(1.35), "{took:?} of {at_best:?}");
            assert!(one.timed_out <= in_vain, "{took:?}");
        }
    }
}

#[test]
fn a_receiver_that_is_slower_from_now_on_is_given_as_much_as_it_takes() {
    let slower = |at, from, to| move |clock| if clock < at { from } else { to };
    let wide = slower(SECOND, 50 * MS, SECOND);
    let took = deliver::<1>(3_000, 64, wide);
    assert!(took.all < 100 * SECOND, "{took:?}, it could be 28 s");
    let narrow = slower(5 * SECOND, 100 * MS, 800 * MS);
    for took in [
        deliver::<1>(1_000, 8, narrow),
        deliver::<3>(1_000, 8, narrow),
    ] {
        assert!(took.all < 75 * SECOND, "{took:?}, it could be 65 s");
    }
}
