//! What happens to a delivery after an attempt.

use std::time::Duration;

use super::dead_letter::Reason;
use super::delay::{Steps, Wait};
use super::outcome::Outcome;
use super::retry::RetryPolicy;
use super::streak::Streak;

/// What happens to a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The event was delivered.
    Settle,
    /// The delivery is tried again after this wait.
    Retry(Wait),
    /// The delivery is given up.
    DeadLetter(Reason),
    /// The delivery is given up, and its webhook gets no more.
    Disable(DisableCause),
}

/// Why deliveries to a webhook have no point any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisableCause {
    /// The receiver answered `410 Gone`.
    Gone,
    /// Nothing but failures for this long.
    Failing(Duration),
}

impl DisableCause {
    /// A sentence for the webhook's owner.
    pub fn sentence(self) -> String {
        match self {
            Self::Gone => "the endpoint answered 410 Gone".to_owned(),
            Self::Failing(since) => {
                format!("every attempt has failed for {}", roughly(since))
            }
        }
    }
}

/// A span in whole numbers of the largest unit that there are two of.
fn roughly(span: Duration) -> String {
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    let seconds = span.as_secs();
    match units.into_iter().find(|(unit, _)| seconds >= 2 * unit) {
        Some((unit, name)) => format!("{} {name}", seconds / unit),
        None if seconds == 1 => "1 second".to_owned(),
        None => format!("{seconds} seconds"),
    }
}

/// When a webhook is disabled of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisablePolicy {
    /// After nothing but failures for this long, as far as attempts [show](Streak::shows) it.
    pub after: Duration,
    /// On `410 Gone`; otherwise that is a failure like others.
    pub on_gone: bool,
}

/// What a verdict weighs, apart from the outcome.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The number of the attempt just made, from 1.
    pub attempt: u32,
    /// The webhook's failures up to this one; `None` after a success.
    pub failing: Option<Streak>,
    /// The webhook's retry policy.
    pub retry: RetryPolicy,
    /// When webhooks are disabled.
    pub disable: DisablePolicy,
    /// The delay queues there are.
    pub steps: &'a Steps,
    /// A random number in `[0, 1)`.
    pub random: f64,
}

/// Decides what happens after an attempt that came to `outcome`.
pub fn decide(outcome: Outcome, now: &Circumstances<'_>) -> Verdict {
    let asked = match outcome {
        Outcome::Delivered => return Verdict::Settle,
        Outcome::Gone if now.disable.on_gone => return Verdict::Disable(DisableCause::Gone),
        Outcome::Throttled { wait } => wait,
        _ => None,
    };
    if let Some(streak) = now.failing.filter(|streak| streak.shows(now.disable.after)) {
        return Verdict::Disable(DisableCause::Failing(streak.length()));
    }
    match now
        .retry
        .next_wait(now.attempt, asked, now.steps, now.random)
    {
        Some(wait) => Verdict::Retry(wait),
        None => Verdict::DeadLetter(Reason::AttemptsExhausted),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::outcome::FailureKind;

    const DAY: Duration = Duration::from_secs(86_400);

    fn steps() -> Steps {
        Steps::up_to(3 * DAY)
    }

    fn streak(attempts: u64, length: Duration) -> Option<Streak> {
        let since = Timestamp::from_second(1_780_000_000).unwrap();
        Some(Streak {
            since,
            last: since + length,
            attempts,
        })
    }

    fn at(attempt: u32, failing_for: Duration, steps: &Steps) -> Circumstances<'_> {
        Circumstances {
            attempt,
            failing: streak(u64::from(attempt), failing_for),
            retry: RetryPolicy::default(),
            disable: DisablePolicy {
                after: 5 * DAY,
                on_gone: true,
            },
            steps,
            random: 0.5,
        }
    }

    #[test]
    fn success_settles_whatever_went_before() {
        assert_eq!(
            decide(Outcome::Delivered, &at(10, 9 * DAY, &steps())),
            Verdict::Settle
        );
    }

    #[test]
    fn gone_disables_unless_told_otherwise() {
        let steps = steps();
        let mut now = at(1, Duration::ZERO, &steps);
        assert_eq!(
            decide(Outcome::Gone, &now),
            Verdict::Disable(DisableCause::Gone)
        );
        now.disable.on_gone = false;
        assert!(matches!(decide(Outcome::Gone, &now), Verdict::Retry(_)));
    }

    #[test]
    fn days_of_failures_disable() {
        let steps = steps();
        let timeout = Outcome::Failed(FailureKind::Timeout);
        assert_eq!(
            decide(timeout, &at(5, 5 * DAY, &steps)),
            Verdict::Disable(DisableCause::Failing(5 * DAY))
        );
        for (attempt, failing_for) in [(5, DAY), (2, 6 * DAY)] {
            assert!(matches!(
                decide(timeout, &at(attempt, failing_for, &steps)),
                Verdict::Retry(_)
            ));
        }
    }

    #[test]
    fn retry_after_is_honoured_up_to_the_longest_delay() {
        let steps = steps();
        let throttled = |seconds| Outcome::Throttled {
            wait: Some(Duration::from_secs(seconds)),
        };
        let Verdict::Retry(wait) = decide(throttled(3600), &at(1, Duration::ZERO, &steps)) else {
            panic!("should be retried");
        };
        assert_eq!(wait.total(), Duration::from_secs(3600));
        let Verdict::Retry(wait) = decide(throttled(u64::MAX), &at(1, Duration::ZERO, &steps))
        else {
            panic!("should be retried");
        };
        assert_eq!(
            wait,
            Wait {
                step: steps.longest(),
                rest: None
            }
        );
    }

    #[test]
    fn the_sentence_says_for_how_long_in_a_unit_that_fits() {
        for (seconds, expected) in [
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7_199, "119 minutes"),
            (7_200, "2 hours"),
            (5 * 86_400 + 3_600, "5 days"),
        ] {
            let cause = DisableCause::Failing(Duration::from_secs(seconds));
            let expected = format!("every attempt has failed for {expected}");
            assert_eq!(cause.sentence(), expected);
        }
    }

    proptest! {
        #[test]
        fn every_failure_is_retried_until_the_attempts_are_used_up(
            status in prop_oneof![Just(Outcome::Rejected), Just(Outcome::Redirected),
                Just(Outcome::Throttled { wait: None }), Just(Outcome::Failed(FailureKind::Dns))],
            attempt in 1_u32..30,
        ) {
            let steps = steps();
            let verdict = decide(status, &at(attempt, Duration::ZERO, &steps));
            if attempt < 10 {
                prop_assert!(matches!(verdict, Verdict::Retry(_)));
            } else {
                prop_assert_eq!(verdict, Verdict::DeadLetter(Reason::AttemptsExhausted));
            }
        }
    }
}
