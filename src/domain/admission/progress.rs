//! How much of what several workers share of one receiver's work each gets done. They tell each other,
//! so that whichever puts deliveries off knows how soon those can come back.

use std::time::{Duration, Instant};

use super::Admission;
use crate::domain::webhook::WebhookKey;

/// What one receiver got done lately.
#[derive(Debug)]
pub(super) struct Progress {
    since: Instant,
    ended: u32,
    /// Something came back, so others may put deliveries of it off.
    came_back: bool,
}

impl Progress {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            ended: 0,
            came_back: false,
        }
    }

    /// A request has ended.
    pub(super) fn ended(&mut self) {
        self.ended = self.ended.saturating_add(1);
    }

    /// A delivery comes as a message of its own.
    pub(super) fn came_back(&mut self) {
        self.came_back = true;
    }

    /// How far apart requests ended since this was called last, if that matters to others.
    fn told(&mut self, has_line: bool, is_at_its_limit: bool, now: Instant) -> Option<Duration> {
        let before = std::mem::replace(self, Self::new(now));
        let apart = now
            .saturating_duration_since(before.since)
            .checked_div(before.ended)?;
        (has_line || (before.came_back && is_at_its_limit)).then_some(apart)
    }
}

impl Admission {
    /// How far apart requests ended since this was called last, of webhooks that other workers may
    /// have put deliveries off for.
    pub fn progress(&mut self, now: Instant) -> Vec<(WebhookKey, Duration)> {
        let mut told = Vec::new();
        for (_, receiver) in &mut self.receivers {
            let has_line = !receiver.line.is_empty();
            let is_at_its_limit = receiver.limit.is_found();
            let apart = receiver.progress.told(has_line, is_at_its_limit, now);
            // What has a rate limit comes back at that.
            let apart = apart.filter(|_| receiver.pace.is_none());
            told.extend(apart.map(|apart| (receiver.key.clone(), apart)));
        }
        told
    }
}
