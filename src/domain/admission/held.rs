//! What people are told of receivers whose deliveries are held back.

use std::time::{Duration, Instant};

use super::{Deferral, Why};
use crate::domain::held_back::{HeldBack, Phase};

/// What was put off for one receiver and is still to come back.
#[derive(Debug, Default)]
pub(super) struct Held {
    put_off: Option<HeldBack<Instant>>,
    /// When the last was put off.
    last: Option<Instant>,
}

/// If nothing was put off behind a line for so long, nothing is any more.
const STILL: Duration = Duration::from_secs(10);

impl Held {
    /// One more delivery is put off.
    pub(super) fn put_off(&mut self, deferral: Deferral, now: Instant) {
        let until = now + deferral.delay;
        let before = self.current(now);
        let since = before.filter(|before| before.phase != Phase::ComingBack);
        self.last = Some(now);
        self.put_off = Some(HeldBack {
            why: deferral.why,
            since: since.map_or(now, |before| before.since),
            until: before.map_or(until, |before| before.until.max(until)),
            phase: Phase::Held,
        });
    }

    /// One that was put off comes back later than it was put off to.
    pub(super) fn comes_back(&mut self, at: Instant) {
        if let Some(held) = &mut self.put_off {
            held.until = held.until.max(at);
        }
    }

    /// What was put off and is still to come back at `now`. A line behind which nothing more is put off is
    /// over; a rate limit holds whether anything is or not.
    fn current(&self, now: Instant) -> Option<HeldBack<Instant>> {
        let held = self.put_off.filter(|held| held.until > now)?;
        let still = self.last.is_none_or(|last| now > last + STILL);
        Some(match held.why {
            Why::Line if still => HeldBack {
                phase: Phase::ComingBack,
                ..held
            },
            _ => held,
        })
    }

    /// Until when something is still to come back.
    pub(super) fn until(&self) -> Option<Instant> {
        self.put_off.map(|put_off| put_off.until)
    }

    /// Nothing more is put off for this reason. What was comes back in its time.
    pub(super) fn over(&mut self) {
        if let Some(held) = &mut self.put_off {
            held.phase = Phase::ComingBack;
        }
    }

    /// The same, if it was put off because of `why`.
    pub(super) fn over_for(&mut self, why: Why) {
        if self.put_off.is_some_and(|held| held.why == why) {
            self.over();
        }
    }

    /// What there is to tell at `now` of a receiver that is left alone as `shut` says. While it is
    /// tried, what was put off tells until when.
    pub(super) fn told(
        &self,
        shut: Option<HeldBack<Instant>>,
        now: Instant,
    ) -> Option<HeldBack<Instant>> {
        let put_off = self.current(now);
        match shut {
            Some(shut) if shut.until > now => Some(shut),
            Some(shut) => put_off.map(|HeldBack { until, .. }| HeldBack {
                until,
                phase: Phase::Tried,
                ..shut
            }),
            None => put_off,
        }
    }
}
