//! Whether an attempt may be made now.
//!
//! One state machine for each webhook: so many requests may be open to it at once, a short line may
//! wait for one to end, and everything beyond is put off by a *virtual schedule*: each deferral
//! takes the next free time in the webhook's future at the rate that it can take, so that a
//! thousand deferrals come back spread out, once each.

use std::time::{Duration, Instant};

/// The bounds of one webhook in one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The requests that may be open at once; at least 1.
    pub max_in_flight: u32,
    /// The longest that a delivery may wait in line.
    pub line_wait: Duration,
    /// How long a request takes while nothing is known: the longest that one may take.
    pub attempt_timeout: Duration,
}

/// The answer to "may an attempt be made now?"
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes; it counts as open from now on.
    Go,
    /// In a moment: wait in line, until this time at the longest.
    Wait(Instant),
    /// No: put the delivery off for this long.
    Later(Duration),
}

/// No deferral is shorter: it is the shortest step of the delay queues.
const SHORTEST_DEFERRAL: Duration = Duration::from_secs(1);

/// No deferral reaches further into the future: a receiver that recovers is not left waiting.
const LONGEST_DEFERRAL: Duration = Duration::from_secs(600);

/// How much the newest request counts for in the estimate of how long one takes.
const NEWEST: f64 = 0.2;

/// What a worker knows of one webhook's capacity.
#[derive(Debug, Clone)]
pub struct Admission {
    bounds: Bounds,
    in_flight: u32,
    waiting: u32,
    /// How long a request takes, in seconds, smoothed; `None` before the first has ended.
    service: Option<f64>,
    /// The next free time of the virtual schedule.
    next_free: Option<Instant>,
}

impl Admission {
    /// A webhook of which nothing is known yet.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            in_flight: 0,
            waiting: 0,
            service: None,
            next_free: None,
        }
    }

    /// Asks for one more attempt.
    pub fn admit(&mut self, now: Instant) -> Decision {
        if self.in_flight < self.bounds.max_in_flight {
            self.in_flight += 1;
            return Decision::Go;
        }
        let expected = match self.service {
            Some(seconds) => seconds * f64::from(self.waiting + 1) / self.capacity(),
            None => 0.0,
        };
        if expected <= self.bounds.line_wait.as_secs_f64() && !self.bounds.line_wait.is_zero() {
            self.waiting += 1;
            return Decision::Wait(now + self.bounds.line_wait);
        }
        Decision::Later(self.put_off(now))
    }

    /// A request ended after `took`, or was given up before it was made. `true` if its place goes
    /// to the first in line, who then counts as open.
    pub fn ended(&mut self, took: Option<Duration>) -> bool {
        if let Some(took) = took.map(|took| took.as_secs_f64()) {
            let known = self.service.unwrap_or(took);
            self.service = Some(known + (took - known) * NEWEST);
        }
        if self.waiting > 0 {
            self.waiting -= 1;
            return true;
        }
        self.in_flight -= 1;
        false
    }

    /// One who was in line waited for too long: the estimate was too good. Nobody else waits until
    /// requests have ended sooner.
    pub fn line_expired(&mut self, now: Instant) -> Duration {
        self.waiting -= 1;
        let too_slow = self.bounds.line_wait.as_secs_f64() * self.capacity() * 2.0;
        let slow = too_slow.min(self.bounds.attempt_timeout.as_secs_f64());
        self.service = Some(self.service.unwrap_or(slow).max(slow));
        self.put_off(now)
    }

    /// Whether nothing would be lost by forgetting the webhook.
    pub fn is_idle(&self, now: Instant) -> bool {
        self.in_flight == 0 && self.waiting == 0 && self.next_free.is_none_or(|at| at <= now)
    }

    /// How many requests are open.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// How many wait in line.
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    fn capacity(&self) -> f64 {
        f64::from(self.bounds.max_in_flight)
    }

    fn put_off(&mut self, now: Instant) -> Duration {
        let service = self
            .service
            .unwrap_or(self.bounds.attempt_timeout.as_secs_f64());
        let apart = Duration::try_from_secs_f64(service / self.capacity()).unwrap_or_default();
        let earliest = now + SHORTEST_DEFERRAL;
        let slot = self.next_free.map_or(earliest, |at| at.max(earliest));
        let slot = slot.min(now + LONGEST_DEFERRAL);
        self.next_free = Some(slot + apart);
        slot - now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        max_in_flight: 2,
        line_wait: Duration::from_millis(100),
        attempt_timeout: Duration::from_secs(10),
    };

    fn full(now: Instant) -> Admission {
        let mut admission = Admission::new(BOUNDS);
        assert_eq!(admission.admit(now), Decision::Go);
        assert_eq!(admission.admit(now), Decision::Go);
        admission
    }

    #[test]
    fn over_the_bound_a_delivery_waits_while_the_receiver_is_quick() {
        let now = Instant::now();
        let mut admission = full(now);
        assert_eq!(admission.admit(now), Decision::Wait(now + BOUNDS.line_wait));
        assert!(
            admission.ended(Some(Duration::from_millis(5))),
            "the place goes to the line"
        );
        assert_eq!(admission.in_flight(), 2);
        assert!(!admission.ended(None));
        assert_eq!(admission.in_flight(), 1);
    }

    #[test]
    fn nobody_waits_for_a_receiver_that_hangs() {
        let now = Instant::now();
        let mut admission = full(now);
        assert!(matches!(admission.admit(now), Decision::Wait(_)));
        let later = now + BOUNDS.line_wait;
        assert!(admission.line_expired(later) >= SHORTEST_DEFERRAL);
        assert!(matches!(admission.admit(later), Decision::Later(_)));
    }

    #[test]
    fn the_line_opens_again_once_requests_end_sooner() {
        let now = Instant::now();
        let mut admission = full(now);
        assert!(matches!(admission.admit(now), Decision::Wait(_)));
        admission.line_expired(now);
        for _ in 0..40 {
            admission.ended(Some(Duration::from_millis(1)));
            assert_eq!(admission.admit(now), Decision::Go);
        }
        assert!(matches!(admission.admit(now), Decision::Wait(_)));
    }

    #[test]
    fn deferrals_take_one_slot_each_at_the_rate_that_the_receiver_can_take() {
        let now = Instant::now();
        let mut admission = full(now);
        for _ in 0..60 {
            admission.ended(Some(Duration::from_secs(10)));
            admission.admit(now);
        }
        let delays: Vec<f64> = (0..10)
            .map(|_| match admission.admit(now) {
                Decision::Later(delay) => delay.as_secs_f64(),
                other => panic!("{other:?}"),
            })
            .collect();
        for (index, delay) in (0_u32..).zip(&delays) {
            // Two at a time for ten seconds each: one every five seconds.
            assert!(
                (delay - (1.0 + 5.0 * f64::from(index))).abs() < 0.01,
                "{delays:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_more_than_the_bound_are_ever_open(
            bound in 1_u32..5, steps in proptest::collection::vec((0_u8..3, 0_u64..500), 1..200)
        ) {
            let mut admission = Admission::new(Bounds { max_in_flight: bound, ..BOUNDS });
            let (mut now, mut open, mut line) = (Instant::now(), 0_u32, 0_u32);
            for (what, millis) in steps {
                now += Duration::from_millis(millis);
                match what {
                    0 => match admission.admit(now) {
                        Decision::Go => open += 1,
                        Decision::Wait(until) => {
                            prop_assert!(until <= now + BOUNDS.line_wait);
                            line += 1;
                        }
                        Decision::Later(delay) => {
                            prop_assert!((SHORTEST_DEFERRAL..=LONGEST_DEFERRAL).contains(&delay));
                        }
                    },
                    1 if open > 0 => {
                        if admission.ended(Some(Duration::from_millis(millis))) {
                            line -= 1;
                        } else {
                            open -= 1;
                        }
                    }
                    2 if line > 0 => {
                        admission.line_expired(now);
                        line -= 1;
                    }
                    _ => {}
                }
                prop_assert!(open <= bound);
                prop_assert_eq!(admission.in_flight(), open);
                prop_assert!(line == 0 || open == bound, "nobody waits while there is room");
            }
        }
    }
}
