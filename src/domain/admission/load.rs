//! What a worker has open and holds back.

use std::time::Instant;

use super::receiver::Receiver;
use super::{Admission, Bounds, Why};
use crate::domain::held_back::{HeldBack, Phase};
use crate::domain::webhook::WebhookKey;

/// What a worker has open and holds back at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The worker's bounds.
    pub bounds: Bounds,
    /// The places taken in the quick lane.
    pub quick: usize,
    /// The places taken in the slow lane.
    pub slow: usize,
    /// The deliveries that wait in the worker for their turn.
    pub in_hand: usize,
    /// The webhooks whose receivers are left alone: after a run of failures, or as they asked.
    pub left_alone: usize,
    /// The webhooks whose deliveries are held back, for whatever reason.
    pub held_back: usize,
}

impl Admission {
    /// Of how many receivers something is known.
    pub fn receivers(&self) -> usize {
        self.receivers.len()
    }

    /// The places taken in the quick lane and in the slow lane.
    pub fn places(&self) -> (usize, usize) {
        (self.quick.used(), self.slow.used())
    }

    /// Until when a webhook is left alone and why, if it is.
    pub fn left_alone(&self, key: &WebhookKey, now: Instant) -> Option<(Instant, Why)> {
        let (until, why) = self.receivers[*self.by_key.get(key)?].shut()?;
        (until > now).then_some((until, why))
    }

    /// The load now.
    pub fn load(&mut self, now: Instant) -> Load {
        let held = self.held_back(now);
        let alone = held.iter().filter(|(_, held)| held.is_left_alone());
        Load {
            bounds: self.bounds,
            quick: self.quick.used(),
            slow: self.slow.used(),
            in_hand: self.waiting.iter().sum(),
            left_alone: alone.count(),
            held_back: held
                .iter()
                .filter(|(_, held)| held.phase != Phase::ComingBack)
                .count(),
        }
    }
}

impl Receiver {
    /// What people are told of the receiver, if its deliveries are held back or still come back.
    pub(super) fn held_back(&self, now: Instant) -> Option<HeldBack<Instant>> {
        let shut = self.breaker.shut().map(|shut| HeldBack {
            why: shut.why,
            since: self.breaker.down_since().unwrap_or(shut.since),
            until: shut.until,
            phase: Phase::Held,
        });
        self.held.told(shut, now)
    }
}

impl Admission {
    /// Whose deliveries are held back or still come back, and why.
    pub fn held_back(&mut self, now: Instant) -> Vec<(WebhookKey, HeldBack<Instant>)> {
        let mut told = Vec::new();
        self.held.retain(|index| {
            let receiver = self.receivers.get(*index);
            let held = receiver.and_then(|receiver| Some((receiver, receiver.held_back(now)?)));
            told.extend(held.map(|(receiver, held)| (receiver.key.clone(), held)));
            held.is_some()
        });
        told
    }
}
