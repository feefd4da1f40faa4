//! Whether an attempt may be made now: no one's trouble is anyone else's.
//!
//! The law: only a receiver's own limits put its deliveries off; the worker's own limits slow the
//! intake and put nothing off; a fault of our own is nobody's attempt.
//!
//! ```text
//!        ask ─▶ is the receiver left alone? ── yes ─▶ later      breaker: failures, Retry-After
//!                        │ no
//!               has it a request free? ────── no ──▶ its line    limit: adaptive concurrency
//!                        │ yes                         │ too long, or the hand is full: later
//!               is it slow? ─ yes ─▶ slow lane ─ full ─┴─▶ later
//!                        │ no
//!               a place in the quick lane? ── no ──▶ its organization's turn
//!                        │ yes
//!                        go ─ still open after a moment ─▶ slow lane
//! ```
//!
//! All of it is one state machine that is told what happens and when, and answers. Two things take
//! from the worker: a request that is open (a place in one of the lanes), and a delivery that waits
//! (it is *in hand*). When the hand is full, the organization that has most in it gives up the end
//! of its longest line, if the receiver is what makes that line long. If no receiver does, it is the
//! worker that is at its limit, and it takes nothing more from the queues meanwhile.

mod breaker;
mod hand;
mod limit;
mod places;
mod pulse;
mod receiver;
mod schedule;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use slab::Slab;
use url::Url;

use super::ids::Organization;
use super::webhook::WebhookKey;
use places::{Lane, Places};
use receiver::{May, Receiver};
use schedule::Schedule;
use turns::Turns;

pub use limit::FIRST as FIRST_LIMIT;

/// A request has a place in the quick lane for so long.
pub const MOMENT: Duration = Duration::from_millis(500);

/// How much of this worker's lag is remembered from one time to the next.
const LAG_KEPT: f64 = 0.9;

/// What one worker may have open and in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The requests that may be open to one webhook at once; at least 1.
    pub webhook_max_in_flight: u32,
    /// The places for the first moment of a request; at least 1.
    pub quick: usize,
    /// The places for requests that are open longer; at least 1.
    pub slow: usize,
    /// So many deliveries of each kind may wait in the worker; what is beyond stays in its queue.
    pub hand: usize,
    /// A receiver is left alone after a run of so many failures; 0: never.
    pub breaker_after: u32,
}

/// Where a delivery comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// From an event.
    Event = 0,
    /// As a message of its own.
    Message = 1,
}

/// Somebody's asking, from its begin to its end.
pub type Ticket = usize;

/// A delivery for which an attempt is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// To whom.
    pub key: &'a WebhookKey,
    /// Its endpoint.
    pub url: &'a Url,
    /// Where the delivery comes from.
    pub kind: Kind,
    /// Whether a person asks for it.
    pub by_hand: bool,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An attempt may be made now. It is under way until its [end](Admission::ended).
    Go,
    /// Not now: the delivery is to be put off. The ticket is no longer valid.
    Later(Deferral),
}

/// For how long a delivery is put off, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deferral {
    /// For how long.
    pub delay: Duration,
    /// Because of what.
    pub why: Why,
}

/// Why a delivery is put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// A run of failures: the receiver is left alone for a while.
    Failures,
    /// The receiver asked to be left alone, with `Retry-After`.
    Asked,
    /// More waits for it already than it takes soon.
    Line,
    /// It is slow, and its organization has as many slow requests open as it may.
    Slow,
    /// Not its receiver's: a fault of our own kept the attempt from being made.
    OwnFault,
}

impl Why {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::Failures,
        Self::Asked,
        Self::Line,
        Self::Slow,
        Self::OwnFault,
    ];

    /// The stable name in logs and counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Asked => "retry_after",
            Self::Line => "line",
            Self::Slow => "slow",
            Self::OwnFault => "own_fault",
        }
    }
}

/// What an attempt showed of the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It took the delivery.
    Delivered,
    /// It refused, or could not be reached.
    Failed,
    /// It did not answer in time.
    TimedOut,
    /// It asked to be left alone for so long.
    Asked(Duration),
    /// Nothing: the attempt was not made after all.
    Nothing,
}

/// The state machine of one worker.
#[derive(Debug)]
pub struct Admission {
    bounds: Bounds,
    receivers: Slab<Receiver>,
    by_key: HashMap<WebhookKey, usize>,
    tenants: Slab<Tenant>,
    by_organization: HashMap<Organization, usize>,
    requests: Slab<Request>,
    quick: Places,
    slow: Places,
    turns: Turns,
    /// How many wait, by kind.
    waiting: [usize; 2],
    /// The receivers that have a line.
    lines: BTreeSet<usize>,
    /// When the first moment of open requests is over, in this order.
    moments: VecDeque<(Instant, Ticket, u64)>,
    /// Those that are over it and found no place in the slow lane.
    stuck: Vec<(Ticket, u64)>,
    /// Tells the uses of a ticket apart.
    serial: u64,
    answers: Vec<(Ticket, Answer)>,
    /// How far behind this worker itself is.
    lag: Duration,
}

#[derive(Debug, Default)]
struct Tenant {
    organization: Organization,
    /// Its places in the quick lane and in the slow lane.
    quick: usize,
    slow: usize,
    /// When those come back that found no place in the slow lane.
    slow_turns: Schedule,
    /// How many of its deliveries wait, by kind.
    waiting: [usize; 2],
    receivers: usize,
}

#[derive(Debug)]
struct Request {
    receiver: usize,
    kind: Kind,
    by_hand: bool,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Its receiver has no request free.
    InLine,
    /// It may have a request, and waits for a place of the worker's.
    Ready,
    /// The request is open.
    Open {
        began: Instant,
        serial: u64,
        lane: Lane,
    },
    /// It has ended, and is being settled.
    Settling(Lane),
}

impl Admission {
    /// A worker that has done nothing yet.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            receivers: Slab::new(),
            by_key: HashMap::new(),
            tenants: Slab::new(),
            by_organization: HashMap::new(),
            requests: Slab::new(),
            quick: Places::new(Lane::Quick, bounds.quick),
            slow: Places::new(Lane::Slow, bounds.slow),
            turns: Turns::default(),
            waiting: [0; 2],
            lines: BTreeSet::new(),
            moments: VecDeque::new(),
            stuck: Vec::new(),
            serial: 0,
            answers: Vec::new(),
            lag: Duration::ZERO,
            bounds,
        }
    }

    /// Asks for one attempt. What it comes to is among the [answers](Self::answers), now or later.
    pub fn ask(&mut self, asked: Asked<'_>, now: Instant) -> Ticket {
        self.pass_moments(now);
        let receiver = self.receiver(asked.key, asked.url, now);
        let ticket = self.requests.insert(Request {
            receiver,
            kind: asked.kind,
            by_hand: asked.by_hand,
            state: State::InLine,
        });
        let known = &self.receivers[receiver];
        match known.may_begin(asked.by_hand, now) {
            May::NotBefore(until, why) => self.put_off(ticket, Some(until), why, now),
            May::Begin if known.line.is_empty() => self.begin(ticket, now),
            May::Begin | May::Wait => self.join_line(ticket, now),
        }
        ticket
    }

    /// The attempt has ended, after `took`: its receiver may have the next. The place of the worker's
    /// is kept until it is [settled](Self::settled).
    pub fn ended(&mut self, ticket: Ticket, took: Duration, shown: Shown, now: Instant) {
        self.pass_moments(now);
        let request = &mut self.requests[ticket];
        let State::Open { began, lane, .. } = request.state else {
            return;
        };
        request.state = State::Settling(lane);
        let receiver = request.receiver;
        self.receivers[receiver].ended(ticket, began, took, shown, self.lag);
        self.pull(receiver, now);
    }

    /// Nothing is left to be done: the ticket is no longer valid. Whoever asked and does not want an
    /// answer any more, or does not use it, gives it up with this too.
    pub fn settled(&mut self, ticket: Ticket, now: Instant) {
        let Some(request) = self.requests.try_remove(ticket) else {
            return;
        };
        let (receiver, tenant) = (request.receiver, self.receivers[request.receiver].tenant);
        match request.state {
            State::InLine => {
                self.receivers[receiver].line.retain(|one| *one != ticket);
                self.waits(tenant, request.kind, -1);
            }
            State::Ready => {
                self.turns.remove(tenant, request.kind, ticket);
                self.waits(tenant, request.kind, -1);
                self.receivers[receiver].open -= 1;
            }
            State::Open { began, lane, .. } => {
                self.give_back(lane, tenant);
                let (took, shown) = (Duration::ZERO, Shown::Nothing);
                self.receivers[receiver].ended(ticket, began, took, shown, self.lag);
            }
            State::Settling(lane) => self.give_back(lane, tenant),
        }
        self.pull(receiver, now);
        self.take_turns(now);
    }

    /// What came of those who asked, since this was called last.
    pub fn answers(&mut self) -> impl Iterator<Item = (Ticket, Answer)> + '_ {
        self.answers.drain(..)
    }

    /// Does what time alone brings about. To be called every now and then while somebody
    /// [waits](Self::waits_for_time). `lag` is by how much this call came late: so long, at least,
    /// does an answer lie here before this worker notices it.
    pub fn pass_time(&mut self, now: Instant, lag: Duration) {
        self.lag = lag.max(self.lag.mul_f64(LAG_KEPT));
        self.pass_moments(now);
        for receiver in self.lines.iter().copied().collect::<Vec<_>>() {
            self.shorten(receiver, now);
            self.pull(receiver, now);
        }
        self.take_turns(now);
    }

    /// Whether time alone may bring something about.
    pub fn waits_for_time(&self) -> bool {
        self.waiting != [0; 2]
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

    /// Of how many receivers something is known.
    pub fn receivers(&self) -> usize {
        self.receivers.len()
    }

    /// The places taken in the quick lane and in the slow lane.
    pub fn places(&self) -> (usize, usize) {
        (self.quick.used(), self.slow.used())
    }

    /// The requests that are open to a webhook, and how many may be.
    pub fn open(&self, key: &WebhookKey) -> (u32, u32) {
        let receiver = self.by_key.get(key).map(|index| &self.receivers[*index]);
        receiver.map_or((0, FIRST_LIMIT), |known| (known.open, known.limit()))
    }

    /// Until when a webhook is left alone and why, if it is.
    pub fn left_alone(&self, key: &WebhookKey, now: Instant) -> Option<(Instant, Why)> {
        let (until, why) = self.receivers[*self.by_key.get(key)?].shut()?;
        (until > now).then_some((until, why))
    }

    fn receiver(&mut self, key: &WebhookKey, url: &Url, now: Instant) -> usize {
        if let Some(index) = self.by_key.get(key) {
            self.receivers[*index].meet(url, now);
            return *index;
        }
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
        let receiver = Receiver::new(key.clone(), tenant, url, self.bounds, now);
        let index = self.receivers.insert(receiver);
        self.by_key.insert(key.clone(), index);
        index
    }

    /// Its receiver may have one more request: gives it a place, or a turn.
    fn begin(&mut self, ticket: Ticket, now: Instant) {
        let Request { receiver, kind, .. } = self.requests[ticket];
        let known = &mut self.receivers[receiver];
        let (tenant, slow) = (known.tenant, known.is_slow());
        if slow && !self.slow.has_room_for(self.tenants[tenant].slow) {
            return self.wait_for_slow_lane(ticket, now);
        }
        known.open += 1;
        if slow {
            return self.go(ticket, Lane::Slow, now);
        }
        let free = self.quick.has_room_for(self.tenants[tenant].quick);
        if free && !self.turns.has(tenant) {
            return self.go(ticket, Lane::Quick, now);
        }
        self.requests[ticket].state = State::Ready;
        self.waits(tenant, kind, 1);
        self.turns.push(tenant, kind, ticket);
    }

    fn go(&mut self, ticket: Ticket, lane: Lane, now: Instant) {
        let request = &mut self.requests[ticket];
        let receiver = &mut self.receivers[request.receiver];
        let tenant = &mut self.tenants[receiver.tenant];
        match lane {
            Lane::Quick => (self.quick.take(), tenant.quick += 1),
            Lane::Slow => (self.slow.take(), tenant.slow += 1),
        };
        receiver.began(now);
        self.serial += 1;
        let serial = self.serial;
        let began = now;
        request.state = State::Open {
            began,
            serial,
            lane,
        };
        self.moments.push_back((now + MOMENT, ticket, serial));
        self.answers.push((ticket, Answer::Go));
    }

    fn give_back(&mut self, lane: Lane, tenant: usize) {
        match lane {
            Lane::Quick => {
                self.quick.give_back();
                self.tenants[tenant].quick -= 1;
            }
            Lane::Slow => {
                self.slow.give_back();
                self.tenants[tenant].slow -= 1;
                for (ticket, serial) in std::mem::take(&mut self.stuck) {
                    self.move_over(ticket, serial);
                }
            }
        }
    }

    /// Gives places in the quick lane to those whose turn it is.
    fn take_turns(&mut self, now: Instant) {
        loop {
            let (quick, tenants) = (&self.quick, &self.tenants);
            let may = |tenant: usize| quick.has_room_for(tenants[tenant].quick);
            let Some(ticket) = self.turns.next(may) else {
                return;
            };
            let Request {
                receiver,
                kind,
                by_hand,
                ..
            } = self.requests[ticket];
            let known = &mut self.receivers[receiver];
            self.tenants[known.tenant].waiting[kind as usize] -= 1;
            self.waiting[kind as usize] -= 1;
            // It may have been shut meanwhile. What is open then counts this one too.
            known.open -= 1;
            match known.may_begin(by_hand, now) {
                May::Begin => {
                    known.open += 1;
                    self.go(ticket, Lane::Quick, now);
                }
                May::Wait => self.back_into_line(ticket),
                May::NotBefore(until, why) => self.put_off(ticket, Some(until), why, now),
            }
        }
    }

    /// Moves on what is open for longer than a moment.
    fn pass_moments(&mut self, now: Instant) {
        let mut moved = false;
        while let Some((due, ticket, serial)) = self.moments.front().copied() {
            if due > now {
                break;
            }
            self.moments.pop_front();
            let Some(request) = self.requests.get(ticket) else {
                continue;
            };
            if let State::Open {
                began,
                serial: open,
                ..
            } = request.state
                && open == serial
            {
                self.receivers[request.receiver].overdue(began, ticket);
                self.move_over(ticket, serial);
                moved = true;
            }
        }
        if moved {
            self.take_turns(now);
        }
    }

    /// Moves an open request to the slow lane, if there is room for it.
    fn move_over(&mut self, ticket: Ticket, serial: u64) {
        let Some(request) = self.requests.get_mut(ticket) else {
            return;
        };
        let State::Open {
            began,
            serial: open,
            lane: Lane::Quick,
        } = request.state
        else {
            return;
        };
        if open != serial {
            return;
        }
        let tenant = &mut self.tenants[self.receivers[request.receiver].tenant];
        if !self.slow.has_room_for(tenant.slow) {
            return self.stuck.push((ticket, serial));
        }
        self.slow.take();
        self.quick.give_back();
        tenant.slow += 1;
        tenant.quick -= 1;
        let lane = Lane::Slow;
        request.state = State::Open {
            began,
            serial,
            lane,
        };
    }

    fn put_off(&mut self, ticket: Ticket, until: Option<Instant>, why: Why, now: Instant) {
        let request = self.requests.remove(ticket);
        let deferral = self.receivers[request.receiver].put_off(now, until, why);
        self.answers.push((ticket, Answer::Later(deferral)));
    }

    /// Puts off what is slow until, by its turn among all of its organization that is, one of the
    /// slow requests should have ended.
    fn wait_for_slow_lane(&mut self, ticket: Ticket, now: Instant) {
        let request = self.requests.remove(ticket);
        let receiver = &self.receivers[request.receiver];
        let tenant = &mut self.tenants[receiver.tenant];
        let open = u32::try_from(tenant.slow.max(1)).unwrap_or(u32::MAX);
        let apart = receiver.time(now) / open;
        let (delay, why) = (tenant.slow_turns.put_off(now, now, apart), Why::Slow);
        self.answers
            .push((ticket, Answer::Later(Deferral { delay, why })));
    }

    /// One more or one less waits.
    fn waits(&mut self, tenant: usize, kind: Kind, change: isize) {
        let kind = kind as usize;
        let tenant = &mut self.tenants[tenant].waiting[kind];
        *tenant = tenant.saturating_add_signed(change);
        self.waiting[kind] = self.waiting[kind].saturating_add_signed(change);
    }
}
