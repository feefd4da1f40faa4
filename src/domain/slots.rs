//! When each of many comes back that are put off: at the next time that is free, one distance from the
//! one before it.
//!
//! If the distance changes, what is put off from then on is spread as if all before it had been
//! spread at the new one. That cannot be changed any more: where it was too dense, some of it is put
//! off once more, and finds the room that was left for it.
//!
//! ```text
//!    first          taken              end
//!      │▪▪▪▪▪▪▪▪▪▪▪▪▪▪▪│                │
//!                      ▲ what comes     ▲ what is put off
//!                        back again       for the first time
//! ```

use std::time::Duration;

/// Nothing is put off for longer: a receiver that recovers is not left waiting.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// Which times are taken, on whatever clock they are kept by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slots {
    /// Up to here there is no room.
    taken: Duration,
    /// From here on comes what comes back for the first time.
    pub(super) end: Duration,
    /// How far apart what comes before that is.
    apart: Duration,
}

impl Slots {
    /// Takes the next time that is free for something that comes back `first` at the soonest, `apart`
    /// from the one before it; `again` if it was put off before. It gives [`LONGEST`] from `now` if
    /// there is none before: beyond that nothing is spread, and what comes back then may be put off
    /// again.
    pub fn take(
        &mut self,
        now: Duration,
        first: Duration,
        apart: Duration,
        again: bool,
    ) -> Duration {
        let taken = self.taken.max(first);
        let end = match self.end.checked_sub(first) {
            Some(span) => first + scaled(span, self.apart, apart),
            None => first,
        };
        let slot = if again { taken.min(end) } else { end };
        let horizon = now + LONGEST;
        if slot > horizon {
            return horizon;
        }
        let next = slot + apart;
        // Less than two is no room for one more.
        let adjoins = slot < taken + 2 * apart;
        *self = Self {
            taken: if adjoins { taken.max(next) } else { taken },
            end: end.max(next),
            apart,
        };
        slot
    }
}

/// `span` as it would be at another distance.
fn scaled(span: Duration, from: Duration, to: Duration) -> Duration {
    let ratio = to.as_secs_f64() / from.as_secs_f64().max(1e-6);
    let longest = 2.0 * LONGEST.as_secs_f64();
    Duration::from_secs_f64((span.as_secs_f64() * ratio).clamp(0.0, longest))
}
