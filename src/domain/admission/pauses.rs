//! Receivers that asked to be left alone: one worker hears it, and all of them heed it.

use std::time::{Duration, Instant};

use super::breaker::LONGEST_ASKED;
use super::receiver::{Receiver, why};
use super::{Admission, Notice, Pause};
use crate::domain::endpoint::fingerprint;

/// The other workers are told again when it asks to be left alone for so much longer.
const TOLD_AGAIN: Duration = Duration::from_secs(1);

/// So many other endpoints of one webhook are remembered.
const MOST_ELSEWHERE: usize = 4;

/// Until when endpoints that a webhook had, or is about to have, asked to be left alone: another
/// worker may know of a change sooner, and one that is changed back asked all the same.
#[derive(Debug, Default)]
pub(super) struct Elsewhere(Vec<(u64, Instant)>);

impl Elsewhere {
    fn note(&mut self, endpoint: u64, until: Instant) {
        let known = self.until(endpoint);
        self.forget(endpoint);
        if self.0.len() == MOST_ELSEWHERE {
            self.0.remove(0);
        }
        self.0
            .push((endpoint, known.max(Some(until)).unwrap_or(until)));
    }

    fn forget(&mut self, endpoint: u64) {
        self.0.retain(|(other, _)| *other != endpoint);
    }

    fn until(&self, endpoint: u64) -> Option<Instant> {
        let of_it = |(other, until): &(u64, Instant)| (*other == endpoint).then_some(*until);
        self.0.iter().find_map(of_it)
    }

    /// Whether all of it is past.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.0.iter().all(|(_, until)| *until <= now)
    }
}

impl Receiver {
    /// What is to be remembered of other endpoints once it moves.
    pub(super) fn elsewhere_from(&mut self) -> Elsewhere {
        let mut elsewhere = std::mem::take(&mut self.elsewhere);
        if let (Some(url), Some(until)) = (&self.endpoint, self.breaker.asked_until()) {
            elsewhere.note(fingerprint(url), until);
        }
        elsewhere
    }

    /// Heeds what its endpoint, which is new, asked for before.
    pub(super) fn remember_pause(&mut self, now: Instant) {
        let endpoint = self.endpoint.as_ref().map(fingerprint);
        let until = endpoint.and_then(|endpoint| self.elsewhere.until(endpoint));
        if let Some(until) = until.filter(|until| *until > now) {
            self.breaker.asked(until - now, now);
            self.pause_known = Some(until);
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
            true if is_elsewhere => self.elsewhere.forget(endpoint),
            true => return self.lifted(),
            false if is_elsewhere => self.elsewhere.note(endpoint, until),
            false => {}
        }
        if is_elsewhere {
            return None;
        }
        let before = self.breaker.shut();
        self.breaker.asked(wait, now);
        self.pause_known = self.pause_known.max(Some(until));
        let shut = self.breaker.shut()?;
        let notice = || Notice::LeftAlone(shut.until - now, why(shut.cause));
        before.is_none().then(notice)
    }

    fn lifted(&mut self) -> Option<Notice> {
        self.pause_known = None;
        self.breaker.asked_until()?;
        self.breaker.lift();
        Some(self.opened())
    }
}

impl Admission {
    /// Another worker tells that a receiver asked to be left alone, or need not be any more.
    pub fn paused(&mut self, pause: &Pause, now: Instant) {
        self.pass_moments(now);
        let receiver = match self.by_key.get(&pause.webhook) {
            Some(receiver) => *receiver,
            None if pause.wait.is_zero() => return,
            None => self.new_receiver(&pause.webhook, now),
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
