//! When the next attempt is due: exponential backoff, and what a receiver asks for.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::delay::{Steps, Wait};

/// How often and how far apart a delivery is tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// The mean delay after the first attempt.
    pub initial: Duration,
    /// By how much the delay grows with each attempt; at least 1.
    pub factor: f64,
    /// The longest mean delay between attempts.
    pub max_delay: Duration,
    /// How many attempts there are in all; at least 1.
    pub max_attempts: u32,
}

impl Default for RetryPolicy {
    /// 10 s, 30 s, 90 s … up to 6 h: ten attempts in about fifteen hours.
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(10),
            factor: 3.0,
            max_delay: Duration::from_secs(6 * 3600),
            max_attempts: 10,
        }
    }
}

/// What one webhook changes of the deployment's retry policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryOverrides {
    /// The mean delay after the first attempt, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_seconds: Option<f64>,
    /// By how much the delay grows with each attempt: 1 to 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// The longest mean delay between attempts, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay_seconds: Option<f64>,
    /// How many attempts there are in all: 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
}

impl RetryOverrides {
    /// Says what is wrong, if anything is.
    pub fn check(&self) -> Result<(), String> {
        let seconds = |value: Option<f64>, name: &str| match value {
            Some(s) if !(0.0..=604_800.0).contains(&s) => {
                Err(format!("{name} is {s}; use 0 to 604800 (seven days)"))
            }
            _ => Ok(()),
        };
        seconds(self.initial_seconds, "initial_seconds")?;
        seconds(self.max_delay_seconds, "max_delay_seconds")?;
        match self.factor {
            Some(factor) if !(1.0..=10.0).contains(&factor) => {
                return Err(format!("factor is {factor}; use 1 to 10"));
            }
            _ => {}
        }
        match self.max_attempts {
            Some(attempts) if !(1..=100).contains(&attempts) => {
                Err(format!("max_attempts is {attempts}; use 1 to 100"))
            }
            _ => Ok(()),
        }
    }
}

impl RetryPolicy {
    /// This policy with a webhook's changes.
    pub fn with(self, overrides: &RetryOverrides) -> Self {
        let seconds = |value: Option<f64>| value.and_then(|s| Duration::try_from_secs_f64(s).ok());
        Self {
            initial: seconds(overrides.initial_seconds).unwrap_or(self.initial),
            factor: overrides.factor.unwrap_or(self.factor),
            max_delay: seconds(overrides.max_delay_seconds).unwrap_or(self.max_delay),
            max_attempts: overrides.max_attempts.unwrap_or(self.max_attempts),
        }
    }

    /// The mean delay after attempt number `attempt`, from 1: initial · factor^(attempt-1), capped.
    ///
    /// Computed in floating point: for any attempt number the power is finite or infinite, never a
    /// wrapped integer, and the cap applies to both.
    pub fn mean_delay(&self, attempt: u32) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.initial.as_secs_f64() * self.factor.powi(exponent);
        // An initial delay of zero times an infinite power is not a number: no delay, then.
        let seconds = if seconds.is_nan() { 0.0 } else { seconds };
        Duration::from_secs_f64(seconds.min(self.max_delay.as_secs_f64()))
    }

    /// The wait after attempt number `attempt` failed, or `None` if it was the last. The receiver
    /// may ask for a longer wait (`asked`), never for a shorter one; `random` in `[0, 1)` chooses
    /// the jitter.
    pub fn next_wait(
        &self,
        attempt: u32,
        asked: Option<Duration>,
        steps: &Steps,
        random: f64,
    ) -> Option<Wait> {
        if attempt >= self.max_attempts {
            return None;
        }
        let step = steps.around(self.mean_delay(attempt), random);
        Some(match asked {
            Some(asked) if asked > step => steps.at_least(asked),
            _ => Wait { step, rest: None },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps() -> Steps {
        Steps::up_to(Duration::from_secs(3 * 86_400))
    }

    #[test]
    fn the_default_policy_spans_fifteen_hours() {
        let policy = RetryPolicy::default();
        let delays: Vec<u64> = (1..10).map(|n| policy.mean_delay(n).as_secs()).collect();
        assert_eq!(delays, [10, 30, 90, 270, 810, 2430, 7290, 21_600, 21_600]);
        assert_eq!(policy.next_wait(10, None, &steps(), 0.5), None);
    }

    #[test]
    fn a_webhook_changes_only_what_it_names() {
        let overrides = RetryOverrides {
            max_attempts: Some(2),
            ..RetryOverrides::default()
        };
        let policy = RetryPolicy::default().with(&overrides);
        assert_eq!(
            policy,
            RetryPolicy {
                max_attempts: 2,
                ..RetryPolicy::default()
            }
        );
    }

    #[test]
    fn overrides_that_make_no_sense_are_named() {
        let overrides = RetryOverrides {
            factor: Some(0.5),
            ..RetryOverrides::default()
        };
        assert_eq!(
            overrides.check(),
            Err("factor is 0.5; use 1 to 10".to_owned())
        );
        let overrides = RetryOverrides {
            initial_seconds: Some(f64::NAN),
            ..Default::default()
        };
        assert!(overrides.check().is_err());
        let overrides = RetryOverrides {
            max_attempts: Some(0),
            ..Default::default()
        };
        assert!(overrides.check().is_err());
    }

    prop_compose! {
        fn policies()(
            initial in 0_u64..604_800_000,
            factor in 1.0_f64..10.0,
            max_delay in 0_u64..604_800_000,
            max_attempts in 1_u32..100,
        ) -> RetryPolicy {
            RetryPolicy {
                initial: Duration::from_millis(initial),
                factor,
                max_delay: Duration::from_millis(max_delay),
                max_attempts,
            }
        }
    }

    proptest! {
        #[test]
        fn delays_never_shrink_and_never_pass_the_cap(policy in policies(), attempt in 1_u32..=u32::MAX) {
            let delay = policy.mean_delay(attempt);
            prop_assert!(delay <= policy.max_delay);
            prop_assert!(policy.mean_delay(attempt.saturating_add(1)) >= delay);
        }

        #[test]
        fn there_is_a_next_attempt_exactly_until_the_last(
            policy in policies(), attempt in 1_u32..200, random in 0.0_f64..1.0
        ) {
            let next = policy.next_wait(attempt, None, &steps(), random);
            prop_assert_eq!(next.is_some(), attempt < policy.max_attempts);
        }

        #[test]
        fn a_receiver_can_lengthen_a_wait_and_never_shorten_it(
            policy in policies(), asked in 0_u64..259_200, random in 0.0_f64..1.0
        ) {
            let policy = RetryPolicy { max_attempts: 2, ..policy };
            let asked = Duration::from_secs(asked);
            let own = policy.next_wait(1, None, &steps(), random).unwrap();
            let wait = policy.next_wait(1, Some(asked), &steps(), random).unwrap();
            prop_assert!(wait.total() >= own.total());
            prop_assert!(wait.total() >= asked);
        }
    }
}
