//! The pace of a webhook that has a rate limit: the times at which this worker may send to it, as
//! reserved among all workers, and when more of them are to be asked for.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::schedule::times;
use crate::domain::rate_limit::{AHEAD, RateLimit, Reserved};

/// A time that was missed by less than this, or by less than the distance of two, is still good: the
/// clock of those who wait has a grain, and the worker may be behind.
const LATE: Duration = Duration::from_millis(100);

/// Whoever is refused does not ask again sooner.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// How much of what was seen before counts each time that more is seen.
const SEEN_KEPT: f64 = 0.9;

/// The least share that is reckoned with: that of one of fifty workers.
const LEAST_SHARE: f64 = 0.02;

/// How much of the time in which the next can be reserved a worker leaves to others before it asks
/// again, if it has had all of those before: the smaller its share, the less. Or whoever happens to
/// ask first would get every time.
const COURTESY: f64 = 0.5;

/// One webhook's pace.
#[derive(Debug)]
pub(super) struct Pace {
    limit: RateLimit,
    /// The times that are reserved and not used, in order.
    times: VecDeque<Instant>,
    /// Somebody asks for more.
    asking: bool,
    /// Asking before this is of no use.
    not_before: Option<Instant>,
    /// When the next time is that is not reserved, as far as is known.
    next: Option<Instant>,
    /// How many times were reserved lately: by this worker, and by all.
    own: f64,
    all: f64,
    /// How many were reserved by all workers when it was told last.
    in_all: Option<u64>,
}

impl Pace {
    pub(super) fn new(limit: RateLimit) -> Self {
        // It is believed to be alone until others have been seen for as long as it takes to forget
        // that it was.
        let alone = batch(limit) as f64 / (1.0 - SEEN_KEPT);
        Self {
            limit,
            times: VecDeque::new(),
            asking: false,
            not_before: None,
            next: None,
            own: alone,
            all: alone,
            in_all: None,
        }
    }

    pub(super) fn limit(&self) -> RateLimit {
        self.limit
    }

    /// How far apart this worker may send, as it has shared with others lately.
    pub(super) fn apart(&self) -> Duration {
        self.limit.apart().div_f64(self.share())
    }

    /// When the last of so many may begin, one [apart](Self::apart) each: how long from now.
    pub(super) fn wait_for(&self, count: usize, now: Instant) -> Duration {
        self.wait(count, self.apart(), now)
    }

    /// The same if no other worker wanted any.
    pub(super) fn wait_at_best(&self, count: usize, now: Instant) -> Duration {
        self.wait(count, self.limit.apart(), now)
    }

    fn wait(&self, count: usize, apart: Duration, now: Instant) -> Duration {
        let held = self.times.iter().filter(|at| !self.is_missed(**at, now));
        let Some(behind) = count.saturating_sub(held.count()).checked_sub(1) else {
            return Duration::ZERO;
        };
        let next = self
            .next
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        next + times(apart, behind)
    }

    fn share(&self) -> f64 {
        (self.own / self.all).clamp(LEAST_SHARE, 1.0)
    }

    /// Whether a request may begin.
    pub(super) fn has_time(&self, now: Instant) -> bool {
        self.times
            .iter()
            .any(|at| *at <= now && !self.is_missed(*at, now))
    }

    /// A request begins: its time is used.
    pub(super) fn take(&mut self, now: Instant) {
        while let Some(at) = self.times.pop_front() {
            if !self.is_missed(at, now) {
                break;
            }
        }
        // Where times are closer, one would be missed, and nobody gets more than half of those that
        // can be reserved anyway.
        if self.times.is_empty() && self.limit.apart() >= AHEAD / 2 {
            let next_can_be_reserved = now + self.limit.apart().saturating_sub(AHEAD);
            self.not_before = Some(next_can_be_reserved + self.courtesy());
        }
    }

    fn courtesy(&self) -> Duration {
        let time = self.limit.apart().min(AHEAD);
        time.mul_f64(COURTESY * self.share())
    }

    /// How many times are to be asked for, if any, for so many that wait. Whoever asks
    /// [tells](Self::reserved) what came of it.
    pub(super) fn wants(&mut self, waiting: usize, now: Instant) -> Option<u32> {
        if self.asking || self.not_before.is_some_and(|at| now < at) {
            return None;
        }
        let held = self.times.iter().any(|at| !self.is_missed(*at, now));
        let wanted = usize::try_from(batch(self.limit))
            .unwrap_or(waiting)
            .min(waiting);
        // While it has some it leaves the rest to others.
        if held || wanted == 0 {
            return None;
        }
        self.asking = true;
        Some(u32::try_from(wanted).unwrap_or(u32::MAX))
    }

    /// Times were reserved, or refused.
    pub(super) fn reserved(&mut self, reserved: Reserved, now: Instant) {
        self.asking = false;
        self.see_share(reserved);
        if reserved.count == 0 {
            let wait = (reserved.first + self.courtesy()).max(ASK_AGAIN);
            self.not_before = Some(now + wait);
            self.next = Some(now + reserved.first + AHEAD);
            return;
        }
        self.not_before = None;
        let first = now + reserved.first;
        let apart = self.limit.apart();
        self.next = Some(first + apart * reserved.count);
        self.times
            .extend((0..reserved.count).map(|n| first + apart * n));
    }

    fn see_share(&mut self, reserved: Reserved) {
        let before = self.in_all.replace(reserved.in_all);
        let all = before.and_then(|before| reserved.in_all.checked_sub(before));
        if let Some(all) = all.filter(|all| *all > 0) {
            self.own = SEEN_KEPT * self.own + f64::from(reserved.count);
            self.all = SEEN_KEPT * self.all + all as f64;
        }
    }

    fn is_missed(&self, at: Instant, now: Instant) -> bool {
        now > at + self.limit.apart().max(LATE)
    }
}

/// How many times are reserved at once at most.
fn batch(limit: RateLimit) -> u64 {
    let batch = AHEAD.as_nanos() / limit.apart().as_nanos();
    u64::try_from(batch).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENTH: Duration = Duration::from_millis(100);

    fn pace(limit: &str) -> Pace {
        Pace::new(limit.parse().unwrap())
    }

    fn given(count: u32, first: Duration, in_all: u64) -> Reserved {
        Reserved {
            count,
            first,
            in_all,
        }
    }

    #[test]
    fn a_request_begins_when_its_time_has_come() {
        let now = Instant::now();
        let mut pace = pace("10/s");
        assert!(!pace.has_time(now));
        assert_eq!(pace.wants(50, now), Some(2));
        assert_eq!(pace.wants(50, now), None, "it is being asked for");
        pace.reserved(given(2, TENTH, 2), now);
        assert!(!pace.has_time(now));
        assert!(pace.has_time(now + TENTH));
        pace.take(now + TENTH);
        assert!(!pace.has_time(now + TENTH));
        assert!(pace.has_time(now + 2 * TENTH));
    }

    #[test]
    fn a_time_that_was_missed_is_not_made_up_for() {
        let now = Instant::now();
        let mut pace = pace("10/s");
        pace.reserved(given(3, Duration::ZERO, 3), now);
        let late = now + 3 * TENTH;
        assert!(pace.has_time(late), "the last two are still good");
        pace.take(late);
        pace.take(late);
        assert!(!pace.has_time(late));
    }

    #[test]
    fn more_is_asked_for_when_the_last_is_used_and_no_more_than_wait() {
        let now = Instant::now();
        let mut pace = pace("100/s");
        assert_eq!(pace.wants(0, now), None);
        assert_eq!(pace.wants(1000, now), Some(20));
        pace.reserved(given(2, Duration::ZERO, 2), now);
        pace.take(now);
        assert_eq!(pace.wants(1000, now), None);
        pace.take(now + TENTH);
        assert_eq!(pace.wants(3, now + TENTH), Some(3));
        pace.reserved(given(0, Duration::ZERO, 20), now + TENTH);
        assert_eq!(pace.wants(10, now + TENTH), None, "refused a moment ago");
        let later = now + TENTH + pace.courtesy().max(ASK_AGAIN);
        assert_eq!(
            pace.wants(10, later),
            Some(10),
            "it is not for this worker alone"
        );
    }

    #[test]
    fn a_line_takes_as_long_as_the_share_that_others_leave_makes_it() {
        let now = Instant::now();
        let mut pace = pace("10/s");
        assert_eq!(pace.apart(), TENTH);
        for n in 1..60 {
            pace.reserved(given(1, Duration::ZERO, 3 * n), now);
        }
        let third = pace.apart().as_secs_f64() / TENTH.as_secs_f64();
        assert!((2.9..3.1).contains(&third), "{third}");
        // The count of all begins anew after a pause: it says nothing then.
        pace.reserved(given(1, Duration::ZERO, 1), now);
        let same = pace.apart().as_secs_f64() / TENTH.as_secs_f64();
        assert!((2.9..3.1).contains(&same), "{same}");
    }
}
