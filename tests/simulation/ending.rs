//! What must hold in the end: everything settled, nobody starved, healthy latencies as they ought
//! to be.

use std::time::Duration;

use super::account::{Account, DeliveryAccount};
use super::checks::{AT_FIRST, FIRST_MOMENT};
use super::receivers::Receiver;

/// What a user would not notice.
const UNNOTICED: Duration = Duration::from_secs(1);

/// Where a receiver fails every delivery is still attempted, or settled, within an hour and so much
/// for each that there is: probes are far apart.
const PROBE: Duration = Duration::from_secs(600);

impl Account {
    /// Checks what is left when everything should be settled.
    pub fn check_ending(&mut self) {
        let share = self.wait_for_places();
        for delivery in 0..self.deliveries.len() {
            self.check_settled(delivery);
            self.check_first_attempt(delivery, share);
        }
        for webhook in 0..self.webhooks.len() {
            self.check_returns(webhook);
        }
    }

    fn check_settled(&mut self, delivery: usize) {
        let one = &self.deliveries[delivery];
        let webhook = one.webhook;
        // An event that comes to nobody any more, for its webhook was disabled, leaves no trace.
        let over = self.scenario.webhooks[webhook].receiver == Receiver::Gone;
        if one.delivered == 0 && !one.dead && !over {
            let promise = "what was accepted is delivered or a dead letter";
            let seen = format!("it is neither at {:?}", self.now);
            self.broke(promise, seen, Some(delivery), webhook);
        }
    }

    /// From publication to the first request: what a user notices.
    fn check_first_attempt(&mut self, delivery: usize, share: Duration) {
        let one = &self.deliveries[delivery];
        let (webhook, first) = (one.webhook, one.first_began);
        let bound = self.patience(one, share);
        let Some(bound) = bound else { return };
        let waited = first.unwrap_or(self.now) - one.published;
        if waited > bound {
            let promise = match self.scenario.webhooks[webhook].receiver.is_healthy() {
                true => "the first request to a healthy webhook comes at once",
                false => "no delivery starves",
            };
            let seen = format!("{waited:?}, where {bound:?} is the most");
            self.broke(promise, seen, Some(delivery), webhook);
        }
    }

    /// How long a delivery may wait for its first request; `None` if it need not have one.
    fn patience(&self, one: &DeliveryAccount, share: Duration) -> Option<Duration> {
        let receiver = self.scenario.webhooks[one.webhook].receiver;
        let ahead = u32::try_from(one.ahead + 1).unwrap();
        let at_once = AT_FIRST.min(self.scenario.limits.webhook as usize);
        let at_once = u32::try_from(at_once).unwrap();
        let down: Duration = self.scenario.endings.iter().map(|end| end.pause).sum();
        // A worker that stops finishes what is open, and whatever was known is learnt anew.
        let ends = self.scenario.endings.len() as u32 * Duration::from_secs(20);
        let general = UNNOTICED + share + down + ends + self.scenario.costs.all() * ahead;
        let service = receiver.service();
        let all = u32::try_from(self.scenario.deliveries()[one.webhook]).unwrap();
        match receiver {
            Receiver::Gone => None,
            _ if receiver.is_healthy() => {
                Some(general + service.unwrap_or_default() * ahead / at_once)
            }
            // Put off, and back within a while, in whatever order: all of them take no longer than
            // twice what they take one after the other.
            Receiver::Steady { .. }
            | Receiver::OneByOne { .. }
            | Receiver::Dripping
            | Receiver::Limited { .. } => {
                Some(general + Duration::from_secs(60) + service.unwrap_or_default() * all * 2)
            }
            Receiver::Throttling { seconds } => {
                Some(general + Duration::from_secs(60 + 2 * seconds) + UNNOTICED * all)
            }
            _ => Some(Duration::from_secs(3_600) + PROBE * all),
        }
    }

    /// How long the worker's places can keep somebody waiting who is owed one: nothing if they
    /// suffice for all, else what all requests together take of them.
    fn wait_for_places(&self) -> Duration {
        let (counts, limits) = (self.scenario.deliveries(), self.scenario.limits);
        let all = self.scenario.webhooks.iter().zip(&counts);
        let demand: usize = all
            .clone()
            .map(|(_, count)| (*count).min(limits.webhook as usize))
            .sum();
        if demand <= limits.quick {
            return Duration::ZERO;
        }
        let attempts = self.scenario.retry.max_attempts;
        let held = all.map(|(webhook, count)| {
            let held = webhook.receiver.longest().min(FIRST_MOMENT);
            held * u32::try_from(*count).unwrap() * attempts
        });
        held.sum::<Duration>() / u32::try_from(limits.quick).unwrap() + FIRST_MOMENT
    }

    /// What is put off comes back about once, where the receiver answers at a rate that can be
    /// known.
    fn check_returns(&mut self, webhook: usize) {
        let receiver = self.scenario.webhooks[webhook].receiver;
        let deliveries = self.scenario.deliveries()[webhook];
        let account = &self.webhooks[webhook];
        let hand_overs = account.hand_overs as usize;
        if receiver.service().is_some() && hand_overs * 10 > deliveries * 13 + 100 {
            let promise = "what is put off comes back about once";
            let seen = format!("{deliveries} deliveries were handed over {hand_overs} times");
            self.broke(promise, seen, None, webhook);
        }
    }
}
