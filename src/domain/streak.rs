//! A webhook's streak of failures: whether it has had nothing else for long enough to be disabled.
//!
//! That a webhook has failed for days is only known if it was tried all the while. A failure long
//! ago, silence and a failure today are two streaks of one failure each.

use std::time::Duration;

use jiff::Timestamp;

/// Fewer failed attempts than this are never a streak that disables, however far apart they are.
pub const FEWEST_ATTEMPTS: u64 = 5;

/// Failures of one webhook with no success between them and no long silence either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streak {
    /// When the first of them was.
    pub since: Timestamp,
    /// When the last of them was.
    pub last: Timestamp,
    /// How many there are, the first and the last included.
    pub attempts: u64,
}

impl Streak {
    /// The streak once an attempt has failed at `now`, after `before` and the last success there
    /// was, if any: it goes on unless there was a success or more than `silence` since the last
    /// failure. Workers' clocks differ a little, so `now` may be before what is known.
    pub fn after_failure(
        before: Option<Self>,
        succeeded: Option<Timestamp>,
        now: Timestamp,
        silence: Duration,
    ) -> Self {
        let goes_on = before.filter(|streak| {
            let ended = succeeded.is_some_and(|at| at >= streak.since);
            let silent = Duration::try_from(now.duration_since(streak.last)).unwrap_or_default();
            !ended && silent <= silence
        });
        match goes_on {
            Some(streak) => Self {
                since: streak.since,
                last: streak.last.max(now),
                attempts: streak.attempts.saturating_add(1),
            },
            None => Self {
                since: now,
                last: now,
                attempts: 1,
            },
        }
    }

    /// From the first failure to the last.
    pub fn length(&self) -> Duration {
        Duration::try_from(self.last.duration_since(self.since)).unwrap_or_default()
    }

    /// Whether these failures show that there was nothing else for as long as `after`.
    pub fn shows(&self, after: Duration) -> bool {
        self.attempts >= FEWEST_ATTEMPTS && self.length() >= after
    }
}

/// The longest time without a failure after which a delivery's attempt number `attempt` still goes
/// on with the streak. Webhooks are disabled `after` so long, and a delivery waits for its next
/// attempt up to `longest`.
///
/// Half of `after`: one event a day is enough to show days of failures, and two days far apart are
/// not. Before a retry the silence may be of our own making, for it is as long as the delivery had to
/// wait.
pub fn silence(attempt: u32, after: Duration, longest: Duration) -> Duration {
    let half = after / 2;
    if attempt > 1 { half.max(longest) } else { half }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3_600;
    const DAY: u64 = 24 * HOUR;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn at(second: u64) -> Timestamp {
        Timestamp::from_second(1_780_000_000).unwrap() + seconds(second)
    }

    /// The streak after first attempts that failed at these seconds, without any success.
    fn failed(times: impl IntoIterator<Item = u64>, after: Duration) -> Option<Streak> {
        let silence = silence(1, after, seconds(3 * DAY));
        times.into_iter().fold(None, |before, second| {
            Some(Streak::after_failure(before, None, at(second), silence))
        })
    }

    fn disables(times: impl IntoIterator<Item = u64>) -> bool {
        let after = seconds(5 * DAY);
        failed(times, after).unwrap().shows(after)
    }

    #[test]
    fn a_failure_long_ago_and_one_today_are_no_days_of_failures() {
        assert!(!disables([0, 6 * DAY]));
        // Nor are they if each was an event with all its attempts, spread over most of a day.
        let hours = [0, 1, 3, 9, 15].map(|hour| hour * HOUR);
        assert!(!disables(
            hours.into_iter().chain(hours.map(|at| 6 * DAY + at))
        ));
    }

    #[test]
    fn an_event_a_day_that_fails_disables_after_the_days_asked_for() {
        assert!(!disables((0..=4).map(|day| day * DAY)));
        assert!(disables((0..=5).map(|day| day * DAY)));
        // The weekend brings none.
        assert!(!disables([0, DAY, 3 * DAY, 4 * DAY]));
        assert!(disables([0, DAY, 3 * DAY, 4 * DAY, 5 * DAY]));
    }

    #[test]
    fn few_attempts_never_disable_however_long_they_wait_for_each_other() {
        let after = seconds(1);
        let mut streak = None;
        for attempt in 1..10_u32 {
            let silence = silence(attempt, after, seconds(3 * DAY));
            let now = at(u64::from(attempt) * 2 * DAY);
            let next = Streak::after_failure(streak, None, now, silence);
            assert_eq!(next.attempts, u64::from(attempt), "a retry goes on");
            assert_eq!(next.shows(after), next.attempts >= FEWEST_ATTEMPTS);
            streak = Some(next);
        }
    }

    /// A webhook's attempts: how long each comes after the one before, and whether it succeeds.
    fn histories() -> impl Strategy<Value = Vec<(u64, bool)>> {
        proptest::collection::vec((0..4 * DAY, proptest::bool::weighted(0.15)), 1..40)
    }

    proptest! {
        #[test]
        fn whoever_is_disabled_was_tried_all_the_while_and_only_failed(
            history in histories(), after in 1..6 * DAY,
        ) {
            let (after, mut now) = (seconds(after), 0);
            let (mut streak, mut succeeded) = (None, None);
            let mut failures: Vec<u64> = Vec::new();
            for (later, success) in history {
                now += later;
                if success {
                    succeeded = Some(at(now));
                    failures.clear();
                    continue;
                }
                // A success at the same instant ends what went before it, and not this.
                now += 1;
                failures.push(now);
                let silence = silence(1, after, seconds(3 * DAY));
                let next = Streak::after_failure(streak, succeeded, at(now), silence);
                streak = Some(next);
                prop_assert!(next.since >= at(failures[0]) && next.last == at(now));
                prop_assert!(next.attempts <= failures.len() as u64);
                if next.shows(after) {
                    // The failures since then alone show it: enough, long enough, no long gap.
                    let part: Vec<u64> =
                        failures.iter().copied().filter(|&t| at(t) >= next.since).collect();
                    prop_assert!(part.len() as u64 >= FEWEST_ATTEMPTS);
                    prop_assert!(seconds(part[part.len() - 1] - part[0]) >= after);
                    prop_assert!(part.windows(2).all(|two| seconds(two[1] - two[0]) <= after / 2));
                }
            }
        }

        #[test]
        fn failures_that_go_on_disable_in_the_end(
            every in 1..3 * DAY, after in 1..30 * DAY,
        ) {
            prop_assume!(every <= after / 2);
            let needed = after.div_ceil(every).max(FEWEST_ATTEMPTS - 1);
            let after = seconds(after);
            let streak = failed((0..=needed).map(|n| n * every), after).unwrap();
            prop_assert!(streak.shows(after));
            let before = failed((0..needed).map(|n| n * every), after).unwrap();
            prop_assert!(!before.shows(after), "and not before");
        }

        #[test]
        fn a_clock_that_is_behind_changes_nothing_but_the_count(behind in 0..10 * DAY) {
            let after = seconds(5 * DAY);
            let streak = failed([10 * DAY, 11 * DAY], after);
            let late = at(11 * DAY) - seconds(behind);
            let next = Streak::after_failure(streak, None, late, after / 2);
            prop_assert_eq!((next.since, next.last), (at(10 * DAY), at(11 * DAY)));
            prop_assert_eq!(next.attempts, 3);
        }
    }
}
