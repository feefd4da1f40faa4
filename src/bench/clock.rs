//! The clock that all processes of a measurement share: a time taken in one can be taken from a
//! time in another.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since some moment that is the same for every process of this machine, and that no
/// change of the wall clock moves.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds * 1_000_000_000 + nanos
}

/// The milliseconds from one time to another; 0 if they are the other way round.
pub fn millis(from: u64, to: u64) -> f64 {
    seconds(from, to) * 1000.0
}

/// The seconds from one time to another; 0 if they are the other way round.
pub fn seconds(from: u64, to: u64) -> f64 {
    std::time::Duration::from_nanos(to.saturating_sub(from)).as_secs_f64()
}
