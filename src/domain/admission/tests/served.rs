//! Workers that share the backlog of a receiver that is slow under load: it serves a few at once, and
//! lets the others wait.

use std::time::Duration;

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
}

/// How long it takes until nearly everything is delivered, and until the last is.
fn takes<const N: usize>(backlog: usize, at_once: usize, time: Duration) -> [Duration; 2] {
    let mut sharing = Sharing::<N>::new("a/w", backlog);
    let mut receiver = Receiver {
        at_once,
        time,
        serving: Vec::new(),
    };
    let (mut done, mut nearly) = (0, None);
    while done < backlog {
        sharing.hand_out();
        for worker in 0..N {
            sharing.with(worker, |world| world.pass(STEP));
        }
        sharing.clock += STEP;
        sharing.tell();
        done += receiver.serve(&mut sharing);
        if done >= backlog / 20 * 19 {
            nearly.get_or_insert(sharing.clock);
        }
        assert!(sharing.clock < 3600 * SECOND, "{done} of {backlog}");
    }
    [nearly.unwrap(), sharing.clock]
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
        let taken = [
            takes::<1>(backlog, at_once, time),
            takes::<3>(backlog, at_once, time),
            takes::<5>(backlog, at_once, time),
        ];
        let [alone, alone_all] = taken[0];
        assert!(alone < at_best.mul_f64(1.15), "{taken:?} of {at_best:?}");
        for [nearly, all] in taken {
            assert!(nearly < alone.mul_f64(1.1), "{taken:?} of {at_best:?}");
            // Single ones may have been put off for long before anything was known.
            assert!(all < alone_all.mul_f64(1.4), "{taken:?} of {at_best:?}");
        }
    }
}
