//! What is put into a simulation: webhooks and their receivers, traffic, the worker's limits, when
//! the worker dies.

use std::time::Duration;

use prism_webhooks::domain::retry::RetryPolicy;

use super::receivers::Receiver;

/// The bounds of the worker and of its broker.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The places for requests in their first moment.
    pub quick: usize,
    /// The places for requests that take longer.
    pub slow: usize,
    /// The requests that one webhook may have open.
    pub webhook: u32,
    /// The messages that the worker may hold at once.
    pub hand: usize,
    /// The messages that the broker hands out ahead of their settlement, of each queue.
    pub prefetch: usize,
    /// An event that more webhooks want is split.
    pub inline: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            quick: 256,
            slow: 1024,
            webhook: 64,
            hand: 1000,
            prefetch: 2280,
            inline: 128,
        }
    }
}

/// What the worker's own work takes; the rest takes no time at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Costs {
    /// One write to the log.
    pub write: Duration,
    /// One hand-over.
    pub hand_over: Duration,
}

impl Costs {
    /// What they can add to the time of one delivery.
    pub fn all(self) -> Duration {
        (self.write + self.hand_over) * 4
    }
}

/// A webhook: its organization and its receiver.
#[derive(Debug, Clone, Copy)]
pub struct Registered {
    pub organization: usize,
    pub receiver: Receiver,
}

/// Who is to receive an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Every webhook of the organization.
    All,
    /// One webhook, by its number.
    One(usize),
}

/// An event, and when it is published.
#[derive(Debug, Clone, Copy)]
pub struct Publication {
    pub at: Duration,
    pub organization: usize,
    pub to: To,
}

/// How a worker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It is killed.
    Crash,
    /// It is told to stop.
    Stop,
}

/// A worker's end, and for how long there is none afterwards.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    pub at: Duration,
    pub end: End,
    pub pause: Duration,
}

/// All that a simulation is made of.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub seed: u64,
    pub limits: Limits,
    pub costs: Costs,
    pub retry: RetryPolicy,
    pub webhooks: Vec<Registered>,
    pub traffic: Vec<Publication>,
    pub endings: Vec<Ending>,
    /// When everything must be settled.
    pub horizon: Duration,
}

impl Scenario {
    /// No webhooks, no traffic, the limits of a deployment that configures none.
    pub fn new() -> Self {
        Self {
            seed: 1,
            limits: Limits::default(),
            costs: Costs::default(),
            retry: RetryPolicy::default(),
            webhooks: Vec::new(),
            traffic: Vec::new(),
            endings: Vec::new(),
            horizon: Duration::from_secs(10 * 86_400),
        }
    }

    /// One more webhook. Tells its number.
    pub fn webhook(&mut self, organization: usize, receiver: Receiver) -> usize {
        self.webhooks.push(Registered {
            organization,
            receiver,
        });
        self.webhooks.len() - 1
    }

    /// `count` events for one webhook, the first at `from`, one every `every`.
    pub fn send(&mut self, webhook: usize, count: usize, from: Duration, every: Duration) {
        let organization = self.webhooks[webhook].organization;
        self.events(organization, To::One(webhook), count, from, every);
    }

    /// `count` events for all webhooks of an organization.
    pub fn send_all(&mut self, organization: usize, count: usize, from: Duration, every: Duration) {
        self.events(organization, To::All, count, from, every);
    }

    fn events(
        &mut self,
        organization: usize,
        to: To,
        count: usize,
        from: Duration,
        every: Duration,
    ) {
        let mut at = from;
        for _ in 0..count {
            self.traffic.push(Publication {
                at,
                organization,
                to,
            });
            at += every;
        }
        // Stable: what is published at the same moment keeps its order.
        self.traffic.sort_by_key(|one| one.at);
    }

    /// The webhooks that an event is for.
    pub fn wanting(&self, event: &Publication) -> impl Iterator<Item = usize> + use<'_> {
        let Publication {
            organization, to, ..
        } = *event;
        let all = self.webhooks.iter().enumerate();
        all.filter(move |(index, webhook)| match to {
            To::All => webhook.organization == organization,
            To::One(one) => *index == one,
        })
        .map(|(index, _)| index)
    }

    /// How many deliveries each webhook is to get.
    pub fn deliveries(&self) -> Vec<usize> {
        let mut counts = vec![0; self.webhooks.len()];
        for event in &self.traffic {
            for webhook in self.wanting(event) {
                counts[webhook] += 1;
            }
        }
        counts
    }
}
