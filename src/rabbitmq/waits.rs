//! Which delay queue keeps what is put off, so that nobody's wait is prolonged by another's.
//!
//! A queue ends the waits of its messages in the order they stand in it. The wait of a message put
//! off ends at a time of its own, so it must not come to stand behind one that ends later. Behind
//! that it would be late by up to half of its length, and the two may be different
//! organizations'. So it stays in the next shorter queue for that one's full step, which nothing in
//! it can prolong. Then it is put off again for the rest, which is too short to be late by much.
//!
//! Of a line, each of which ends after the one before, there may be tens of thousands. These are one
//! message each, in the queue that covers the wait, unless this worker knows of one there that ends
//! later. What other workers have put there it does not know; but messages are shared out evenly, and
//! of a line each worker has its part. A worker that has just started takes it that the longest wait
//! there may be has just begun.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::delay::{Steps, Wait};

/// No wait is split that would end too late by less.
const LATE: Duration = Duration::from_secs(1);

/// When the last wait in each delay queue ends, as far as this worker knows.
#[derive(Debug)]
pub(super) struct Waits {
    /// Of those that it has put there.
    own: HashMap<Duration, Instant>,
    started: Instant,
}

impl Waits {
    /// Those of a worker that starts now.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            own: HashMap::new(),
            started: now,
        }
    }

    /// Takes note of a message that stays in the queue of this step for all of it.
    pub(super) fn full_step(&mut self, step: Duration, now: Instant) {
        self.note(step, now + step);
    }

    /// Where to wait for `delay`: first in the queue of the longest step that is no longer.
    pub(super) fn place(&mut self, delay: Duration, steps: &Steps, now: Instant) -> Place {
        let Wait { step, rest } = steps.at_least(delay);
        self.full_step(step, now);
        rest.map_or(Place::UntilItsEnd, |rest| Place::First { step, rest })
    }

    /// Where one of a line waits for `delay`: until its end in the queue that covers it, as one
    /// message all in all. If a longer wait is in the way there, first in the next shorter queue.
    pub(super) fn place_in_line(&mut self, delay: Duration, steps: &Steps, now: Instant) -> Place {
        let covering = steps.covering(delay);
        let others = self.started + covering;
        let last = self
            .own
            .get(&covering)
            .map_or(others, |own| others.max(*own));
        let late = last.saturating_duration_since(now + delay);
        let Wait { step, rest } = steps.at_least(delay);
        match rest {
            Some(rest) if late > LATE => {
                self.full_step(step, now);
                Place::First { step, rest }
            }
            _ => {
                self.note(covering, now + delay);
                Place::UntilItsEnd
            }
        }
    }

    fn note(&mut self, step: Duration, end: Instant) {
        let last = self.own.entry(step).or_insert(end);
        *last = end.max(*last);
    }
}

/// Where a message that is put off waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the queue that covers its wait, until that ends.
    UntilItsEnd,
    /// In the queue of this step for all of it, and then for the rest.
    First {
        /// The queue's step.
        step: Duration,
        /// The wait that is left after the queue's step.
        rest: Duration,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn steps() -> Steps {
        Steps::up_to(HOUR)
    }

    /// Those of a worker that has run for long.
    fn waits() -> (Waits, Instant) {
        let started = Instant::now();
        (Waits::new(started), started + HOUR)
    }

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_line_of_waits_each_ending_after_the_one_before_is_one_message_each() {
        let (mut waits, now) = waits();
        for tenth in 10..10_000 {
            let place = waits.place_in_line(secs(f64::from(tenth) / 10.0), &steps(), now);
            assert_eq!(place, Place::UntilItsEnd, "number {tenth}");
        }
    }

    #[test]
    fn what_would_stand_behind_a_longer_wait_goes_by_way_of_a_shorter_queue() {
        let (mut waits, now) = waits();
        assert_eq!(
            waits.place_in_line(secs(95.0), &steps(), now),
            Place::UntilItsEnd
        );
        let first = Place::First {
            step: secs(64.0),
            rest: secs(2.0),
        };
        assert_eq!(waits.place_in_line(secs(66.0), &steps(), now), first);
        // Hardly later is not worth a message.
        assert_eq!(
            waits.place_in_line(secs(94.5), &steps(), now),
            Place::UntilItsEnd
        );
        // Once the long one is nearly over, it is in nobody's way.
        let later = now + secs(29.0);
        assert_eq!(
            waits.place_in_line(secs(66.0), &steps(), later),
            Place::UntilItsEnd
        );
    }

    #[test]
    fn a_worker_that_has_just_started_does_not_know_what_is_in_the_way() {
        let now = Instant::now();
        let mut waits = Waits::new(now);
        let first = Place::First {
            step: secs(64.0),
            rest: secs(2.0),
        };
        assert_eq!(waits.place_in_line(secs(66.0), &steps(), now), first);
        // Waits that another worker put there before are over by then.
        let later = now + secs(29.0);
        assert_eq!(
            waits.place_in_line(secs(66.0), &steps(), later),
            Place::UntilItsEnd
        );
    }

    #[test]
    fn what_is_of_no_line_waits_behind_nothing_that_any_worker_may_have_put_anywhere() {
        let (mut waits, now) = waits();
        let first = Place::First {
            step: secs(32.0),
            rest: secs(2.0),
        };
        assert_eq!(waits.place(secs(34.0), &steps(), now), first);
        assert_eq!(waits.place(secs(32.0), &steps(), now), Place::UntilItsEnd);
        assert_eq!(waits.place(secs(0.2), &steps(), now), Place::UntilItsEnd);
        // The wait is noted all the same, for those of a line.
        let split = Place::First {
            step: secs(24.0),
            rest: secs(6.0),
        };
        assert_eq!(waits.place_in_line(secs(30.0), &steps(), now), split);
    }

    #[test]
    fn retries_stand_in_the_way_as_well() {
        let (mut waits, now) = waits();
        waits.full_step(secs(64.0), now);
        let first = Place::First {
            step: secs(48.0),
            rest: secs(2.0),
        };
        assert_eq!(waits.place_in_line(secs(50.0), &steps(), now), first);
    }

    #[test]
    fn the_shortest_queue_keeps_what_is_shorter_still() {
        let (mut waits, now) = waits();
        waits.full_step(secs(1.0), now);
        assert_eq!(
            waits.place_in_line(secs(0.2), &steps(), now),
            Place::UntilItsEnd
        );
    }

    proptest! {
        /// Every wait that this worker alone hands over, with the queues ending theirs in order.
        #[test]
        fn no_stay_is_ended_early_or_late_by_more_than_a_second(
            delays in prop::collection::vec((0.0..200.0_f64, 0.0..5.0_f64), 1..60),
        ) {
            let (mut waits, start) = waits();
            let steps = steps();
            let mut ends: HashMap<Duration, Instant> = HashMap::new();
            let mut now = start;
            for (delay, apart) in delays {
                now += secs(apart);
                let delay = secs(delay);
                let (queue, end, wanted) = match waits.place_in_line(delay, &steps, now) {
                    Place::UntilItsEnd => (steps.covering(delay), now + delay, delay),
                    Place::First { step, rest } => {
                        prop_assert_eq!(step + rest, delay);
                        (step, now + step, step)
                    }
                };
                let last = ends.entry(queue).or_insert(end);
                *last = end.max(*last);
                let stayed = last.duration_since(now);
                prop_assert!(stayed >= wanted);
                prop_assert!(stayed <= wanted + LATE, "{stayed:?} for {wanted:?}");
            }
        }
    }
}
