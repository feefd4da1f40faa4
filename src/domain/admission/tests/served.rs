//! Workers that share the backlog of a receiver that is slow under load: it serves a few at once, and
//! lets the others wait.

use std::time::Duration;

use super::super::{Shown, Ticket};
use super::sharing::{STEP, Sharing};
use super::world::{MS, SECOND};

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
}

/// How long it takes until everything is delivered.
fn takes<const N: usize>(backlog: usize, at_once: usize, time: Duration) -> Duration {
    let mut sharing = Sharing::<N>::new("a/w", backlog);
    let mut receiver = Receiver {
        at_once,
        time,
        serving: Vec::new(),
    };
    let mut done = 0;
    while done < backlog {
        sharing.hand_out();
        for worker in 0..N {
            sharing.with(worker, |world| world.pass(STEP));
        }
        sharing.clock += STEP;
        done += receiver.serve(&mut sharing);
        assert!(sharing.clock < 3600 * SECOND, "{done} of {backlog}");
    }
    sharing.clock
}

#[test]
fn a_backlog_for_a_slow_receiver_is_delivered_about_as_soon_by_more_workers() {
    for (backlog, at_once, time) in [
        (3_000, 8, 400 * MS),
        (3_000, 1, 50 * MS),
        (9_000, 4, 40 * MS),
    ] {
        let at_best = time * u32::try_from(backlog / at_once).unwrap();
        let taken = [
            takes::<1>(backlog, at_once, time),
            takes::<2>(backlog, at_once, time),
            takes::<3>(backlog, at_once, time),
        ];
        for time in taken {
            assert!(time < at_best.mul_f64(1.4), "{taken:?} of {at_best:?}");
        }
    }
}
