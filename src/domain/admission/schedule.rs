//! When what this worker puts off by itself comes back: for an organization's turns in the slow lane,
//! and for a receiver that is down. All else comes back [in line](crate::domain::returns) with what
//! other workers put off.

use std::time::{Duration, Instant};

use crate::domain::slots::{LONGEST, Slots};

/// No deferral is shorter: it is the shortest step of the delay queues.
pub const SHORTEST: Duration = Duration::from_secs(1);

/// The times at which an organization's slow deliveries come back, once each and spread out.
#[derive(Debug, Clone, Default)]
pub struct Schedule {
    /// When the first was put off: the clock of what follows begins then.
    began: Option<Instant>,
    slots: Slots,
}

impl Schedule {
    /// Puts one more delivery off at `now`, which was put off before if it is `again`: for how long.
    /// It comes back `not_before`, and `apart` from the one before it.
    pub fn put_off(
        &mut self,
        now: Instant,
        not_before: Instant,
        apart: Duration,
        again: bool,
    ) -> Duration {
        let began = *self.began.get_or_insert(now);
        let first = not_before.max(now + SHORTEST) - began;
        let now = now - began;
        self.slots.take(now, first, apart, again) - now
    }
}

/// When what is put off comes back to a receiver that is down: nobody knows when it will be up. So
/// it comes back evenly over as long a time as the receiver has been down, and the longer that is,
/// the seldomer; once the receiver is up, everything is back within that time. The first comes back
/// in time for the next probe.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    /// The probe that it is for.
    probe: Option<Instant>,
    count: u32,
}

/// Multiples of it fill the space between 0 and 1 evenly, however many there are.
const GOLDEN: f64 = 0.618_033_988_749_895;

impl Spread {
    /// Puts one more delivery off at `now`, until `probe` or later, for a receiver that has been
    /// down for this long.
    pub fn put_off(&mut self, now: Instant, probe: Instant, down_for: Duration) -> Duration {
        if self.probe != Some(probe) {
            *self = Self {
                probe: Some(probe),
                count: 0,
            };
        }
        let part = (f64::from(self.count) * GOLDEN).fract();
        self.count = self.count.saturating_add(1);
        let until_probe = probe.saturating_duration_since(now);
        (until_probe + down_for.mul_f64(part)).clamp(SHORTEST, LONGEST)
    }
}

/// `span` so many times, within what can be put off.
pub fn times(span: Duration, count: usize) -> Duration {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    span.checked_mul(count).unwrap_or(LONGEST).min(LONGEST)
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
            assert_eq!(
                schedule.put_off(now, now, APART, false),
                SHORTEST + APART * n
            );
        }
        let later = now + Duration::from_secs(500);
        assert_eq!(schedule.put_off(later, later, APART, false), SHORTEST);
    }

    #[test]
    fn nothing_comes_back_before_it_may() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        let until = now + Duration::from_secs(20);
        assert_eq!(
            schedule.put_off(now, until, APART, false),
            Duration::from_secs(20)
        );
        let second = schedule.put_off(now, until, APART, false);
        assert_eq!(second, Duration::from_secs(20) + APART);
        assert_eq!(schedule.put_off(now, now, APART, false), second + APART);
    }

    #[test]
    fn a_receiver_that_became_quicker_gets_its_deliveries_sooner() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        for _ in 0..100 {
            schedule.put_off(now, now, 10 * APART, false);
        }
        let delay = schedule.put_off(now, now, APART, false);
        assert_eq!(delay, SHORTEST + 100 * APART);
    }

    #[test]
    fn what_comes_back_too_soon_to_one_that_became_slower_finds_room_before_the_others() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        for _ in 0..100 {
            schedule.put_off(now, now, APART, false);
        }
        let slower = 10 * APART;
        let after_all = SHORTEST + 100 * slower;
        assert_eq!(schedule.put_off(now, now, slower, false), after_all);
        let dense = SHORTEST + 100 * APART;
        for n in 0..90 {
            let delay = schedule.put_off(now, now, slower, true);
            assert_eq!(delay, dense + slower * n);
        }
        // Then there is no room left, and it comes after all that was put off.
        schedule.put_off(now, now, slower, true);
        for n in 1..10 {
            let delay = schedule.put_off(now, now, slower, true);
            assert_eq!(delay, after_all + slower * n);
        }
    }

    #[test]
    fn what_comes_back_to_a_receiver_that_is_down_is_spread_over_as_long_as_it_is_down() {
        let now = Instant::now();
        let mut spread = Spread::default();
        let minute = Duration::from_secs(60);
        let mut delays: Vec<_> = (0..100)
            .map(|_| spread.put_off(now, now + minute, 10 * minute))
            .collect();
        assert_eq!(delays[0], minute, "in time for the probe");
        delays.sort();
        for (n, delay) in (0..).zip(&delays) {
            let even = minute + 10 * minute * n / 100;
            assert!(delay.abs_diff(even) < Duration::from_secs(15), "{delays:?}");
        }
        assert_eq!(spread.put_off(now, now + 2 * minute, minute), 2 * minute);
    }

    #[test]
    fn nothing_is_put_off_beyond_the_horizon() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        for _ in 0..100 {
            let delay = schedule.put_off(now, now, Duration::from_secs(600), false);
            assert!((SHORTEST..=LONGEST).contains(&delay));
        }
    }
}
