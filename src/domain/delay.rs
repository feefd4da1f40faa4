//! Which delay queues hold a delivery until it is due.
//!
//! There is one delay queue for each step of 2^k and 3·2^k seconds. A delay that may vary is given
//! one of the two steps around it at random, weighted so that the mean is kept: that is the
//! policy's jitter. A delay that must be met waits in the largest step that does not overshoot,
//! and then, once back, in one more for the rest.

use std::time::Duration;

/// A wait: one stay in a delay queue, and what is left to wait after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// The delay queue to wait in, by its step.
    pub step: Duration,
    /// The wait that is left after that stay, if any.
    pub rest: Option<Duration>,
}

impl Wait {
    /// From now until the delivery is due, both stays together.
    pub fn total(&self) -> Duration {
        self.step + self.rest.unwrap_or_default()
    }
}

/// The steps of the delay queues that a deployment declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steps(Vec<Duration>);

impl Steps {
    /// The steps 1, 2, 3, 4, 6, 8, 12, 16, 24 … s up to the first that is not below `longest`.
    pub fn up_to(longest: Duration) -> Self {
        let mut steps = vec![Duration::from_secs(1)];
        let mut power = 2;
        while steps[steps.len() - 1] < longest {
            steps.push(Duration::from_secs(power));
            if steps[steps.len() - 1] < longest {
                steps.push(Duration::from_secs(power / 2 * 3));
            }
            power *= 2;
        }
        Self(steps)
    }

    /// All steps, shortest first.
    pub fn iter(&self) -> impl Iterator<Item = Duration> + '_ {
        self.0.iter().copied()
    }

    /// The longest step: no single wait is longer.
    pub fn longest(&self) -> Duration {
        self.0[self.0.len() - 1]
    }

    /// The step for a delay that may vary: one of its two neighbours, chosen by `random` in
    /// `[0, 1)` so that the mean over many choices is `delay`.
    pub fn around(&self, delay: Duration, random: f64) -> Duration {
        let above = self.0.partition_point(|step| *step <= delay);
        if above == 0 {
            return self.0[0];
        }
        let below = self.0[above - 1];
        let Some(&above) = self.0.get(above) else {
            return below;
        };
        let weight = (delay - below).as_secs_f64() / (above - below).as_secs_f64();
        if random < weight { above } else { below }
    }

    /// The wait for a delay that must be met: never shorter, and longer by a tenth or one second
    /// at most. A delay beyond the longest step is cut to it.
    pub fn at_least(&self, delay: Duration) -> Wait {
        let delay = delay.min(self.longest());
        let next = self.0.partition_point(|step| *step <= delay);
        if next == 0 {
            return Wait {
                step: self.0[0],
                rest: None,
            };
        }
        let step = self.0[next - 1];
        let rest = delay - step;
        Wait {
            step,
            rest: (!rest.is_zero()).then_some(rest),
        }
    }

    /// The step for the rest of a wait: the shortest that does not fall short.
    pub fn covering(&self, rest: Duration) -> Duration {
        let index = self.0.partition_point(|step| *step < rest);
        self.0.get(index).copied().unwrap_or_else(|| self.longest())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAYS_3: Duration = Duration::from_secs(3 * 86_400);

    fn seconds(steps: &Steps) -> Vec<u64> {
        steps.iter().map(|step| step.as_secs()).collect()
    }

    #[test]
    fn steps_are_powers_of_two_and_three_times_them() {
        let steps = Steps::up_to(Duration::from_secs(50));
        assert_eq!(seconds(&steps), [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64]);
        assert_eq!(seconds(&Steps::up_to(Duration::from_secs(1))), [1]);
        assert_eq!(
            seconds(&Steps::up_to(Duration::from_secs(5))),
            [1, 2, 3, 4, 6]
        );
        assert!(Steps::up_to(DAYS_3).longest() >= DAYS_3);
        assert_eq!(Steps::up_to(DAYS_3).iter().count(), 36);
    }

    proptest! {
        #[test]
        fn the_mean_of_the_jitter_is_the_delay(millis in 1_000_u64..259_200_000) {
            let steps = Steps::up_to(DAYS_3);
            let delay = Duration::from_millis(millis);
            let draws = 10_000;
            let sum: f64 = (0..draws)
                .map(|i| steps.around(delay, f64::from(i) / f64::from(draws)).as_secs_f64())
                .sum();
            let mean = sum / f64::from(draws);
            prop_assert!((mean / delay.as_secs_f64() - 1.0).abs() < 0.001, "{mean} for {delay:?}");
        }

        #[test]
        fn a_delay_that_must_be_met_is_met_and_hardly_exceeded(millis in 0_u64..259_200_000) {
            let steps = Steps::up_to(DAYS_3);
            let delay = Duration::from_millis(millis);
            let wait = steps.at_least(delay);
            let kept = wait.step + wait.rest.map(|rest| steps.covering(rest)).unwrap_or_default();
            prop_assert!(kept >= delay);
            prop_assert!(kept <= (delay + Duration::from_secs(1)).max(delay.mul_f64(1.1)), "{kept:?}");
            prop_assert!(wait.step <= delay.max(Duration::from_secs(1)));
        }
    }
}
