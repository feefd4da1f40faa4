//! The wall clock, as a value that tests can replace.
//!
//! Durations are measured on tokio's clock, which tests pause; the wall clock only dates things.

use jiff::Timestamp;
use tokio::time::Instant;

/// Where the engine reads the time of day.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    simulated: Option<(Timestamp, Instant)>,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that shows `start` now and goes on with tokio's clock.
    pub fn simulated(start: Timestamp) -> Self {
        Self {
            simulated: Some((start, Instant::now())),
        }
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        match self.simulated {
            None => Timestamp::now(),
            Some((start, since)) => start.checked_add(since.elapsed()).unwrap_or(Timestamp::MAX),
        }
    }
}
