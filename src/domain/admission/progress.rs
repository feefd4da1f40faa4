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
}

impl Progress {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            ended: 0,
        }
    }

    /// A request has ended.
    pub(super) fn ended(&mut self) {
        self.ended = self.ended.saturating_add(1);
    }

    /// How far apart requests ended since this was called last, if any did.
    fn told(&mut self, now: Instant) -> Option<Duration> {
        let Self { since, ended } = std::mem::replace(self, Self::new(now));
        now.saturating_duration_since(since).checked_div(ended)
    }
}

impl Admission {
    /// How far apart requests ended since this was called last, of webhooks that have a line: other
    /// workers may have put deliveries off for these.
    pub fn progress(&mut self, now: Instant) -> Vec<(WebhookKey, Duration)> {
        let mut told = Vec::new();
        for (_, receiver) in &mut self.receivers {
            let apart = receiver.progress.told(now);
            // What has a rate limit comes back at that.
            if let Some(apart) = apart.filter(|_| receiver.pace.is_none())
                && !receiver.line.is_empty()
            {
                told.push((receiver.key.clone(), apart));
            }
        }
        told
    }
}
