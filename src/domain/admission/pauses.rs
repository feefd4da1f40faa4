//! Receivers that asked to be left alone: one worker hears it, and all of them heed it.

use std::time::{Duration, Instant};

use super::breaker::{Asked, LONGEST_ASKED};
use super::elsewhere::Elsewhere;
use super::receiver::Receiver;
use super::{Admission, Heard, Notice, Pause};
use crate::domain::endpoint::fingerprint;

/// The other workers are told again when it asks to be left alone for so much longer.
const TOLD_AGAIN: Duration = Duration::from_secs(1);

impl Receiver {
    /// The pauses to remember of other endpoints once the webhook moves.
    pub(super) fn elsewhere_from(&mut self) -> Elsewhere {
        let mut elsewhere = std::mem::take(&mut self.elsewhere);
        if let (Some(url), Some(asked)) = (&self.endpoint, self.breaker.has_asked()) {
            elsewhere.note(fingerprint(url), asked);
        }
        elsewhere
    }

    /// Heeds what its endpoint, which is new, asked for before.
    pub(super) fn remember_pause(&mut self, now: Instant) {
        let endpoint = self.endpoint.as_ref().map(fingerprint);
        let asked = endpoint.and_then(|endpoint| self.elsewhere.take(endpoint));
        if let Some(asked) = asked.filter(|asked| asked.until > now) {
            self.breaker.remember(asked);
            self.pause_known = Some(asked.until);
        }
    }

    /// What the other workers do not know yet of when it asked to be left alone.
    pub(super) fn pause(&mut self, now: Instant) -> Option<Pause> {
        let until = self.breaker.asked_until().filter(|until| *until > now);
        let news = match (self.pause_known, until) {
            (None, until) => until.is_some(),
            (Some(known), Some(until)) => until > known + TOLD_AGAIN,
            (Some(known), None) => known > now,
        };
        if !news {
            return None;
        }
        self.pause_known = until;
        Some(Pause {
            webhook: self.key.clone(),
            endpoint: self.endpoint.as_ref().map(fingerprint)?,
            wait: until.map_or(Duration::ZERO, |until| until - now),
        })
    }

    /// Another worker tells that an endpoint of its webhook asked to be left alone, or need not be any
    /// more. Tells when that changes whether it is.
    fn paused(&mut self, endpoint: u64, wait: Duration, now: Instant) -> Option<Notice> {
        let until = now + wait.min(LONGEST_ASKED);
        let is_elsewhere = self.endpoint.as_ref().map(fingerprint) != Some(endpoint);
        match wait.is_zero() {
            true if is_elsewhere => drop(self.elsewhere.take(endpoint)),
            true => return self.lifted(),
            false if is_elsewhere => self.elsewhere.note(endpoint, Asked { since: now, until }),
            false => return self.told(until, now),
        }
        None
    }

    /// The receiver asked another worker to be left alone.
    fn told(&mut self, until: Instant, now: Instant) -> Option<Notice> {
        self.pause_known = self.pause_known.max(Some(until));
        let asked = self.breaker.asked_until();
        if asked.is_some_and(|asked| until <= asked + TOLD_AGAIN) {
            // The same: what began since then knew of it.
            return None;
        }
        let before = self.breaker.shut();
        self.note_before_pause(now);
        self.breaker.remember(Asked { since: now, until });
        let shut = self.breaker.shut()?;
        let notice = || Notice::LeftAlone(shut.until - now, shut.why);
        before.is_none().then(notice)
    }

    /// The same is on record. What was lifted here meanwhile may be so for a moment longer.
    fn recalled(&mut self, endpoint: u64, wait: Duration, now: Instant) -> Option<Notice> {
        let is_lifted = |lifted| now + wait.min(LONGEST_ASKED) <= lifted + TOLD_AGAIN;
        let is_here = self.endpoint.as_ref().map(fingerprint) == Some(endpoint);
        if is_here && self.lifted.is_some_and(is_lifted) {
            return None;
        }
        self.paused(endpoint, wait, now)
    }

    fn lifted(&mut self) -> Option<Notice> {
        self.pause_known = None;
        self.lifted = Some(self.breaker.asked_until()?);
        self.breaker.lift();
        Some(self.opened())
    }
}

impl Admission {
    /// Another worker tells that a receiver asked to be left alone, or need not be any more.
    pub fn paused(&mut self, heard: &Heard, now: Instant) {
        self.pass_moments(now);
        let (Heard::Told(pause) | Heard::Recalled(pause)) = heard;
        let receiver = match self.by_key.get(&pause.webhook) {
            Some(receiver) => *receiver,
            None if pause.wait.is_zero() => return,
            None => self.new_receiver(&pause.webhook, now),
        };
        let known = &mut self.receivers[receiver];
        let (endpoint, wait) = (pause.endpoint, pause.wait);
        let notice = match heard {
            Heard::Told(_) => known.paused(endpoint, wait, now),
            Heard::Recalled(_) => known.recalled(endpoint, wait, now),
        };
        if let Some(notice) = notice {
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
