//! What must hold whenever something happens: checked with every step of a simulation.

use std::time::Duration;

use super::account::{Account, Broken};
use super::receivers::Receiver;

/// For so long a place may be left unused that a healthy webhook's delivery could have used.
const UNUSED: Duration = Duration::from_millis(250);

/// Of each promise that is broken so many times are told.
const TOLD: usize = 3;

/// A request holds a place of the quick lane for no longer.
pub const FIRST_MOMENT: Duration = Duration::from_secs(1);

/// The requests that a webhook of which nothing is known may have open.
pub const AT_FIRST: usize = 4;

/// The requests that may begin in the first second after a pause that the receiver asked for.
pub const HANDFUL: usize = 5;

const A_SECOND: Duration = Duration::from_secs(1);

/// A delivery that would wait for its own receiver for no longer than this is not put off.
const WORTH_WAITING: Duration = Duration::from_secs(5);

impl Account {
    pub(super) fn broke(
        &mut self,
        promise: &'static str,
        seen: String,
        delivery: Option<usize>,
        webhook: usize,
    ) {
        // One broken promise is usually the cause of the next: of each the first few tell enough.
        let before = self.times_broken.entry(promise).or_default();
        *before += 1;
        if *before <= TOLD {
            self.broken.push(Broken {
                at: self.now,
                promise,
                seen,
                delivery,
                webhook,
            });
        }
    }

    /// Before an attempt begins: its number, and whether it may be made.
    pub(super) fn check_beginning(&mut self, delivery: usize, attempt: u32) {
        let one = &self.deliveries[delivery];
        let (webhook, last) = (one.webhook, one.attempt);
        if one.delivered > 0 && !one.repeatable {
            let promise = "what was delivered is not sent again, but for a crash";
            let seen = format!("attempt {attempt} began");
            self.broke(promise, seen, Some(delivery), webhook);
        }
        let one = &self.deliveries[delivery];
        let expected = match one.copies {
            true => (1..=last + 1).contains(&attempt),
            false => attempt == last + 1,
        };
        if !expected {
            let seen = format!("after {last} came {attempt}");
            self.broke(
                "attempts are numbered 1, 2, 3",
                seen,
                Some(delivery),
                webhook,
            );
        }
        let receiver = &mut self.webhooks[webhook];
        let Some(until) = receiver.closed_until else {
            return;
        };
        if self.now == receiver.closed_at {
            return;
        }
        if self.now < until {
            let seen = format!("{:?} too early", until - self.now);
            let promise = "nothing begins while the receiver asks for patience";
            self.broke(promise, seen, Some(delivery), webhook);
        } else if self.now < until + Duration::from_secs(1) {
            receiver.begun_after_pause += 1;
            if receiver.begun_after_pause == HANDFUL + 1 {
                let promise = "after a pause no more than a handful begin in the first second";
                let seen = format!("more than {HANDFUL}");
                self.broke(promise, seen, Some(delivery), webhook);
            }
        }
    }

    /// After an attempt began: how many are open.
    pub(super) fn check_open(&mut self, webhook: usize) {
        let limits = self.scenario.limits;
        let (open, all) = (self.webhooks[webhook].open.len(), self.open);
        let mut check = |open: usize, most: usize, promise: &'static str| {
            // Told once, when the bound is passed.
            if open == most + 1 {
                self.broke(promise, format!("{open} of {most}"), None, webhook);
            }
        };
        let most = limits.webhook as usize;
        check(open, most, "no webhook has more open than it may");
        let places = limits.quick + limits.slow;
        check(all, places, "no more are open than there are places");
        if self.hangs_from_the_start(webhook) {
            let most = AT_FIRST.min(limits.webhook as usize);
            if open == most + 1 {
                let promise = "few are open to a receiver that never answered";
                self.broke(promise, format!("{open} of {most}"), None, webhook);
            }
        }
    }

    /// After an attempt began: how many have within a second. A request may begin late by a tenth of
    /// a second, or by the distance of two, and those behind it are not late for that.
    pub(super) fn check_rate(&mut self, webhook: usize) {
        let Receiver::Limited { a_second } = self.scenario.webhooks[webhook].receiver else {
            return;
        };
        let lately = &mut self.webhooks[webhook].begun_lately;
        lately.push_back(self.now);
        while lately.front().is_some_and(|at| *at + A_SECOND <= self.now) {
            lately.pop_front();
        }
        let most = (a_second + a_second.div_ceil(10) + 1) as usize;
        if lately.len() == most + 1 {
            let promise = "no more requests begin in a second than the rate limit allows";
            self.broke(
                promise,
                format!("{} of {a_second}", most + 1),
                None,
                webhook,
            );
        }
    }

    fn hangs_from_the_start(&self, webhook: usize) -> bool {
        let hangs = match self.scenario.webhooks[webhook].receiver {
            Receiver::Hanging => true,
            Receiver::Dead { hangs, .. } | Receiver::Flapping { hangs, .. } => hangs,
            _ => false,
        };
        hangs && !self.webhooks[webhook].answered
    }

    /// After a delivery was put off: whether its own receiver's limits are the reason.
    pub(super) fn check_deferral(&mut self, delivery: usize) {
        let webhook = self.deliveries[delivery].webhook;
        let receiver = self.scenario.webhooks[webhook].receiver;
        let steady = receiver.is_healthy() || receiver.rate_limit().is_some();
        if steady && self.own_wait(webhook) <= WORTH_WAITING {
            let promise = "no delivery to a healthy webhook is put off";
            let seen = format!("one was, with {:?} of work waiting", self.own_wait(webhook));
            self.broke(promise, seen, Some(delivery), webhook);
        }
    }

    /// How long what is not done at a webhook takes it, if its receiver answers.
    fn own_wait(&self, webhook: usize) -> Duration {
        let receiver = self.scenario.webhooks[webhook].receiver;
        let at_once = match receiver.rate_limit() {
            Some(_) => 1,
            None => self.scenario.limits.webhook,
        };
        let undone = u32::try_from(self.webhooks[webhook].undone).unwrap();
        receiver.service().unwrap_or_default() * undone / at_once
    }

    /// At a crash: what it has repeated is no more than what could be in flight.
    pub(super) fn check_crash(&mut self) {
        let limits = self.scenario.limits;
        let unsettled = self.deliveries.iter().filter(|one| one.unsettled).count();
        if unsettled > limits.quick + limits.slow {
            let promise = "a crash repeats no more than could be in flight";
            self.broke(promise, format!("it repeats {unsettled}"), None, 0);
        }
    }

    /// Whether a place is left unused that a healthy webhook's delivery could have used: it has
    /// fewer open than a webhook of which nothing is known may have.
    pub(super) fn check_places(&mut self) {
        let at_first = AT_FIRST.min(self.scenario.limits.webhook as usize);
        let grace = UNUSED + self.scenario.costs.all();
        for webhook in 0..self.webhooks.len() {
            if !self.scenario.webhooks[webhook].receiver.is_healthy() {
                continue;
            }
            let receiver = &self.webhooks[webhook];
            let (since, now) = (receiver.idle_since, self.now);
            if since.is_some_and(|since| now > since + grace) && self.worker_up {
                let idle = now - since.unwrap_or_default();
                let promise = "a delivery to a healthy webhook takes a free place at once";
                self.broke(promise, format!("one was free for {idle:?}"), None, webhook);
                self.webhooks[webhook].idle_since = None;
                continue;
            }
            let receiver = &self.webhooks[webhook];
            let could_go = self.worker_up
                && receiver.waiting > 0
                && receiver.open.len() < at_first
                && self.undone() <= self.scenario.limits.hand
                && self.has_free_place();
            let receiver = &mut self.webhooks[webhook];
            receiver.idle_since = could_go.then(|| receiver.idle_since.unwrap_or(now));
        }
    }

    /// What is not done, of all webhooks.
    fn undone(&self) -> usize {
        self.webhooks.iter().map(|receiver| receiver.undone).sum()
    }

    fn has_free_place(&self) -> bool {
        let limits = self.scenario.limits;
        if self.open < limits.quick {
            return true;
        }
        let all = self.webhooks.iter().flat_map(|receiver| &receiver.open);
        let old = all
            .filter(|began| **began + FIRST_MOMENT < self.now)
            .count();
        self.open - old.min(limits.slow) < limits.quick
    }
}
