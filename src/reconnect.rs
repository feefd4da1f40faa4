//! How long to wait before trying a server again.
//!
//! The one place that uses the `backoff` crate. Waiting is for the caller: this only says how long.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// The waits between tries to reach a server: 100 ms at first, half as much again each time, at
/// most 5 s, each spread by half, for ever.
#[derive(Debug)]
pub struct Reconnect(ExponentialBackoff);

/// The longest mean wait: an operator who restarts a server sees the workers back within seconds.
const LONGEST: Duration = Duration::from_secs(5);

impl Reconnect {
    /// Starts with the shortest wait.
    pub fn new() -> Self {
        Self(ExponentialBackoff {
            initial_interval: Duration::from_millis(100),
            current_interval: Duration::from_millis(100),
            max_interval: LONGEST,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// The wait before the next try.
    pub fn next_wait(&mut self) -> Duration {
        self.0.next_backoff().unwrap_or(LONGEST)
    }

    /// A try worked: the next failure starts with the shortest wait again.
    pub fn succeeded(&mut self) {
        self.0.reset();
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_start_again_after_success() {
        let mut reconnect = Reconnect::new();
        assert!(reconnect.next_wait() <= Duration::from_millis(150));
        let late = (0..100).map(|_| reconnect.next_wait()).min().unwrap();
        let last = reconnect.next_wait();
        assert!(late > Duration::ZERO);
        assert!(last >= LONGEST / 2 && last <= LONGEST * 3 / 2, "{last:?}");
        reconnect.succeeded();
        assert!(reconnect.next_wait() <= Duration::from_millis(150));
    }
}
