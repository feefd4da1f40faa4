//! Which receivers are known, and as what. Whoever [asks](Admission::ask) says where the webhook is
//! and what its rate limit is; if that changes while something waits or is under way, it has to be
//! [told](Admission::changed).

use std::time::Instant;

use url::Url;

use super::receiver::Receiver;
use super::{Admission, Asked, Request, State, Tenant};
use crate::domain::rate_limit::RateLimit;
use crate::domain::webhook::WebhookKey;

impl Admission {
    /// The receiver that is asked for.
    pub(super) fn receiver(&mut self, asked: Asked<'_>, now: Instant) -> usize {
        let index = match self.by_key.get(asked.key) {
            Some(index) => *index,
            None => self.new_receiver(asked.key, now),
        };
        self.meet(index, asked.url, asked.rate, now);
        index
    }

    /// One of which nothing is known yet.
    pub(super) fn new_receiver(&mut self, key: &WebhookKey, now: Instant) -> usize {
        let organization = &key.organization;
        let tenant = match self.by_organization.get(organization) {
            Some(tenant) => *tenant,
            None => {
                let tenant = self.tenants.insert(Tenant {
                    organization: organization.clone(),
                    ..Tenant::default()
                });
                self.by_organization.insert(organization.clone(), tenant);
                tenant
            }
        };
        self.tenants[tenant].receivers += 1;
        let receiver = Receiver::new(key.clone(), tenant, self.bounds, now);
        let index = self.receivers.insert(receiver);
        self.by_key.insert(key.clone(), index);
        index
    }

    /// The webhooks that have something waiting, open or put off: it matters to these at once if they
    /// [change](Self::changed).
    pub fn concerned(&self, now: Instant) -> Vec<WebhookKey> {
        let concerned = self
            .receivers
            .iter()
            .filter(|(_, receiver)| receiver.endpoint.is_some() && receiver.is_concerned(now));
        concerned
            .map(|(_, receiver)| receiver.key.clone())
            .collect()
    }

    /// This is what a webhook is now: its line goes by that.
    pub fn changed(
        &mut self,
        webhook: &WebhookKey,
        url: &Url,
        rate: Option<RateLimit>,
        now: Instant,
    ) {
        let Some(receiver) = self.by_key.get(webhook).copied() else {
            return;
        };
        if self.receivers[receiver].is_as(url, rate) {
            return;
        }
        self.pass_moments(now);
        self.meet(receiver, url, rate, now);
        self.shorten(receiver, now);
        self.pull(receiver, now);
    }

    /// Nobody wants anything to be sent to a webhook any more. What waits for it is let go, as quickly
    /// as it is settled: whoever asked finds out why.
    pub fn unwanted(&mut self, webhook: &WebhookKey, now: Instant) {
        let Some(receiver) = self.by_key.get(webhook).copied() else {
            return;
        };
        self.pass_moments(now);
        self.take_turns_back(receiver);
        self.receivers[receiver].leave(now);
        self.pull(receiver, now);
    }

    /// Takes note of what a webhook is now. If that is something else, what had its turn goes back to
    /// the head of the line: it had it for what the webhook was.
    fn meet(&mut self, receiver: usize, url: &Url, rate: Option<RateLimit>, now: Instant) {
        let known = &mut self.receivers[receiver];
        if known.is_as(url, rate) {
            known.seen(now);
        } else {
            self.take_turns_back(receiver);
            self.receivers[receiver].meet(url, rate, now);
        }
    }

    fn take_turns_back(&mut self, receiver: usize) {
        let had_turn = |request: &Request| {
            request.receiver == receiver && matches!(request.state, State::Ready)
        };
        let requests = self.requests.iter();
        let with_turn: Vec<_> = requests
            .filter(|(_, request)| had_turn(request))
            .map(|(ticket, request)| (ticket, request.kind))
            .collect();
        let tenant = self.receivers[receiver].tenant;
        for (ticket, kind) in with_turn {
            self.turns.remove(tenant, kind, ticket);
            self.waits(tenant, kind, -1);
            self.receivers[receiver].open -= 1;
            self.back_into_line(ticket);
        }
    }

    /// Forgets receivers of which nothing needs to be known, so that memory follows traffic.
    pub fn forget_idle(&mut self, now: Instant) {
        let tenants = &mut self.tenants;
        let (by_key, by_organization) = (&mut self.by_key, &mut self.by_organization);
        let requests = &self.requests;
        let in_use: std::collections::HashSet<usize> = requests
            .iter()
            .map(|(_, request)| request.receiver)
            .collect();
        self.receivers.retain(|index, receiver| {
            if !receiver.is_idle(now) || in_use.contains(&index) {
                return true;
            }
            by_key.remove(&receiver.key);
            tenants[receiver.tenant].receivers -= 1;
            if tenants[receiver.tenant].receivers == 0 {
                let tenant = tenants.remove(receiver.tenant);
                by_organization.remove(&tenant.organization);
            }
            false
        });
    }
}
