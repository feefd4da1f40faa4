//! When the deliveries of one webhook come back that are put off because it cannot take them all at
//! once. All workers put off to one calendar, so that whichever of them puts off how many, they come
//! back one after the other, as quickly as the webhook takes them from all workers together.

use std::time::Duration;

use super::slots::Slots;

/// What a worker said it gets done counts for so long. It says so whenever it puts something off, and
/// now and then while more waits for the webhook than it takes at once.
pub const SAID_FOR: Duration = Duration::from_secs(60);

/// How one delivery that is put off comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InLine {
    /// How far apart from the one before it.
    pub apart: Apart,
    /// Whether it was put off before, or may have been.
    pub again: bool,
}

/// How far apart deliveries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// Those of all workers, as a rate limit has it.
    All(Duration),
    /// Those that one worker gets done, beside the others.
    Own(Duration),
}

/// The calendar of one webhook. For several workers Redis keeps one like it, by the same rule:
/// `redis/scripts/put_off.lua`.
#[derive(Debug, Clone, Default)]
pub struct Returns {
    slots: Slots,
    workers: Vec<Said>,
}

/// How far apart a worker gets deliveries done, and when it said so.
#[derive(Debug, Clone, Copy)]
struct Said {
    worker: u128,
    apart: Duration,
    at: Duration,
}

impl Returns {
    /// A worker, one of so many, puts one more delivery off at `now`, on whatever clock the calendar is
    /// kept by, for `soonest` at least: for how long.
    pub fn put_off(
        &mut self,
        worker: u128,
        workers: u32,
        in_line: InLine,
        soonest: Duration,
        now: Duration,
    ) -> Duration {
        let apart = match in_line.apart {
            Apart::All(apart) => apart,
            Apart::Own(apart) => {
                self.say(worker, apart, now);
                self.of_all(apart, workers)
            }
        };
        let slot = self.slots.take(now, now + soonest, apart, in_line.again);
        slot - now
    }

    /// A worker tells how far apart it gets deliveries done. That is of interest as long as something is
    /// put off.
    pub fn tell(&mut self, worker: u128, apart: Duration, now: Duration) {
        if self.slots.end > now {
            self.say(worker, apart, now);
        }
    }

    fn say(&mut self, worker: u128, apart: Duration, now: Duration) {
        let others = |said: &Said| said.worker != worker && now < said.at + SAID_FOR;
        self.workers.retain(others);
        self.workers.push(Said {
            worker,
            apart,
            at: now,
        });
    }

    /// How far apart deliveries are that all workers get done. Those that have said nothing are taken
    /// to get as much done as one that says this.
    fn of_all(&self, apart: Duration, workers: u32) -> Duration {
        let rate = |apart: Duration| apart.as_secs_f64().max(1e-6).recip();
        let said: f64 = self.workers.iter().map(|said| rate(said.apart)).sum();
        let count = u32::try_from(self.workers.len()).unwrap_or(u32::MAX);
        let silent = f64::from(workers.saturating_sub(count));
        Duration::from_secs_f64((said + silent * rate(apart)).recip())
    }

    /// Whether nothing is lost by forgetting it.
    pub fn is_over(&self, now: Duration) -> bool {
        self.slots.end <= now && self.workers.iter().all(|said| said.at + SAID_FOR <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TENTH: Duration = Duration::from_millis(100);

    fn line(apart: Apart) -> InLine {
        InLine {
            apart,
            again: false,
        }
    }

    fn own(apart: Duration) -> InLine {
        line(Apart::Own(apart))
    }

    #[test]
    fn what_workers_put_off_at_a_rate_limit_comes_back_at_it_however_many_they_are() {
        let mut returns = Returns::default();
        for n in 0..100 {
            let worker = u128::from(n % 3);
            let delay = returns.put_off(worker, 3, line(Apart::All(TENTH)), SECOND, SECOND);
            assert_eq!(delay, SECOND + TENTH * n);
        }
    }

    #[test]
    fn what_workers_get_done_adds_up() {
        let mut returns = Returns::default();
        // Ten a second, and twice as much by another worker.
        returns.put_off(1, 1, own(TENTH), SECOND, SECOND);
        returns.put_off(2, 1, own(TENTH / 2), SECOND, SECOND);
        let delays = [1, 2, 1].map(|worker| {
            let apart = TENTH / u32::try_from(worker).unwrap();
            returns.put_off(worker, 2, own(apart), SECOND, SECOND)
        });
        for two in delays.windows(2) {
            let apart = two[1] - two[0];
            assert!(apart.abs_diff(TENTH / 3) < TENTH / 100, "{apart:?}");
        }
    }

    #[test]
    fn who_puts_nothing_off_tells_what_it_gets_done_while_others_do() {
        let mut returns = Returns::default();
        returns.tell(2, TENTH, SECOND);
        assert!(returns.is_over(SECOND), "nothing is put off");
        returns.put_off(1, 1, own(TENTH), SECOND, SECOND);
        returns.tell(2, TENTH, SECOND);
        let delays = [(); 2].map(|()| returns.put_off(1, 1, own(TENTH), SECOND, SECOND));
        assert_eq!(delays[1] - delays[0], TENTH / 2);
    }

    #[test]
    fn who_has_said_nothing_yet_is_taken_to_get_as_much_done() {
        let mut returns = Returns::default();
        let delays = [(); 2].map(|()| returns.put_off(1, 4, own(TENTH), SECOND, SECOND));
        assert_eq!(delays[1] - delays[0], TENTH / 4);
    }

    #[test]
    fn a_worker_that_is_gone_counts_no_more() {
        let mut returns = Returns::default();
        returns.put_off(1, 1, own(TENTH), SECOND, SECOND);
        let later = SECOND + SAID_FOR;
        let first = returns.put_off(2, 1, own(TENTH), SECOND, later);
        let second = returns.put_off(2, 1, own(TENTH), SECOND, later);
        assert_eq!(second - first, TENTH);
        assert!(!returns.is_over(later) && returns.is_over(later + SAID_FOR));
    }
}
