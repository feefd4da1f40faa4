//! What people are told of receivers whose deliveries are held back.

use std::time::Instant;

use super::{Deferral, Why};
use crate::domain::held_back::HeldBack;

/// What was put off for one receiver and is still to come back.
#[derive(Debug, Default)]
pub(super) struct Held {
    put_off: Option<HeldBack<Instant>>,
}

impl Held {
    /// One more delivery is put off.
    pub(super) fn put_off(&mut self, deferral: Deferral, now: Instant) {
        let until = now + deferral.delay;
        let before = self.put_off.filter(|before| before.until > now);
        let since = before.filter(|before| !before.is_over);
        self.put_off = Some(HeldBack {
            why: deferral.why,
            since: since.map_or(now, |before| before.since),
            until: before.map_or(until, |before| before.until.max(until)),
            is_over: false,
        });
    }

    /// One that was put off comes back later than it was put off to.
    pub(super) fn comes_back(&mut self, at: Instant) {
        if let Some(held) = &mut self.put_off {
            held.until = held.until.max(at);
        }
    }

    /// Until when something is still to come back.
    pub(super) fn until(&self) -> Option<Instant> {
        self.put_off.map(|put_off| put_off.until)
    }

    /// Nothing more is put off for this reason. What was comes back in its time.
    pub(super) fn over(&mut self) {
        if let Some(held) = &mut self.put_off {
            held.is_over = true;
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
        let lasts = |held: &HeldBack<Instant>| held.until > now;
        let put_off = self.put_off.filter(lasts);
        match shut {
            Some(shut) if lasts(&shut) => Some(shut),
            Some(shut) => put_off.map(|HeldBack { until, .. }| HeldBack { until, ..shut }),
            None => put_off,
        }
    }
}
