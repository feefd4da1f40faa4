//! When what is put off comes back: a virtual schedule.
//!
//! Each deferral takes the next free time in the receiver's future at the rate that it can take, so
//! that a thousand deferrals come back spread out, once each, and not a thousand at the same second
//! over and over. If the receiver becomes quicker or slower, what is put off from then on is spread
//! as if all before it had been spread at that rate.

use std::time::{Duration, Instant};

/// No deferral is shorter: it is the shortest step of the delay queues.
pub const SHORTEST: Duration = Duration::from_secs(1);

/// No deferral is longer: a receiver that recovers is not left waiting.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// What is still to come back to one receiver.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    next: Option<Next>,
}

#[derive(Debug, Clone, Copy)]
struct Next {
    /// The next time that is free.
    free: Instant,
    /// How far apart what comes before it is.
    apart: Duration,
}

impl Schedule {
    /// Puts one more delivery off at `now`: for how long. It comes back `not_before`, and `apart`
    /// from the one before it.
    pub fn put_off(&mut self, now: Instant, not_before: Instant, apart: Duration) -> Duration {
        let first = not_before.max(now + SHORTEST);
        let slot = match self.next {
            Some(next) if next.free > first => first + scaled(next.free - first, next.apart, apart),
            _ => first,
        };
        let free = slot + apart;
        if slot > now + LONGEST {
            // Behind the horizon nothing is spread: what comes back there may be put off again.
            return LONGEST;
        }
        self.next = Some(Next { free, apart });
        slot - now
    }

    /// Until when something is still to come back.
    pub fn until(&self) -> Option<Instant> {
        self.next.map(|next| next.free)
    }
}

/// `span` as it would be at another distance.
fn scaled(span: Duration, from: Duration, to: Duration) -> Duration {
    let ratio = to.as_secs_f64() / from.as_secs_f64().max(1e-6);
    let longest = 2.0 * LONGEST.as_secs_f64();
    Duration::from_secs_f64((span.as_secs_f64() * ratio).clamp(0.0, longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const APART: Duration = Duration::from_millis(100);

    #[test]
    fn each_takes_a_time_of_its_own() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        for n in 0..1000 {
            assert_eq!(schedule.put_off(now, now, APART), SHORTEST + APART * n);
        }
        let later = now + Duration::from_secs(500);
        assert_eq!(schedule.put_off(later, later, APART), SHORTEST);
    }

    #[test]
    fn nothing_comes_back_before_it_may() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        let until = now + Duration::from_secs(20);
        assert_eq!(schedule.put_off(now, until, APART), Duration::from_secs(20));
        let second = schedule.put_off(now, until, APART);
        assert_eq!(second, Duration::from_secs(20) + APART);
        assert_eq!(schedule.put_off(now, now, APART), second + APART);
    }

    #[test]
    fn a_receiver_that_became_quicker_gets_its_deliveries_sooner() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        for _ in 0..100 {
            schedule.put_off(now, now, 10 * APART);
        }
        let delay = schedule.put_off(now, now, APART);
        assert_eq!(delay, SHORTEST + 100 * APART);
    }

    #[test]
    fn nothing_is_put_off_beyond_the_horizon() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        for _ in 0..100 {
            let delay = schedule.put_off(now, now, Duration::from_secs(600));
            assert!((SHORTEST..=LONGEST).contains(&delay));
        }
        assert!(schedule.until().unwrap() <= now + LONGEST + Duration::from_secs(600));
    }
}
