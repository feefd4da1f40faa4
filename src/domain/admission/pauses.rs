//! Receivers that asked to be left alone: one worker hears it, and all of them heed it.

use std::time::Instant;

use url::Url;

use super::{Admission, Pause};
use crate::domain::endpoint::fingerprint;

/// Where a receiver is.
#[derive(Debug)]
pub(super) enum Endpoint {
    Known(Url),
    /// Only another worker told of it: its fingerprint.
    Told(u64),
}

impl Endpoint {
    /// Whether it is this one, which it then knows.
    pub(super) fn meet(&mut self, url: &Url) -> bool {
        match self {
            Self::Known(known) => known == url,
            Self::Told(told) => {
                let met = *told == fingerprint(url);
                if met {
                    *self = Self::Known(url.clone());
                }
                met
            }
        }
    }

    pub(super) fn fingerprint(&self) -> u64 {
        match self {
            Self::Known(url) => fingerprint(url),
            Self::Told(told) => *told,
        }
    }
}

impl Admission {
    /// Another worker tells that a receiver asked to be left alone.
    pub fn paused(&mut self, pause: &Pause, now: Instant) {
        self.pass_moments(now);
        let receiver = match self.by_key.get(&pause.webhook) {
            Some(receiver) => *receiver,
            None => self.new_receiver(&pause.webhook, Endpoint::Told(pause.endpoint), now),
        };
        let known = &mut self.receivers[receiver];
        if let Some(notice) = known.paused(pause.endpoint, pause.wait, now) {
            self.notices.push((pause.webhook.clone(), notice));
            self.held.insert(receiver);
        }
        self.pull(receiver, now);
    }

    /// Which receivers asked to be left alone, for the other workers, since this was called last.
    pub fn pauses(&mut self) -> impl Iterator<Item = Pause> + '_ {
        self.pauses.drain(..)
    }

    /// Whether there are any.
    pub fn has_pauses(&self) -> bool {
        !self.pauses.is_empty()
    }
}
