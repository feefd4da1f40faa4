//! Whether an attempt may be made now: no one's trouble is anyone else's.
//!
//! The law: only a receiver's own limits put its deliveries off; the worker's own limits slow the
//! intake and put nothing off; a fault of our own is nobody's attempt.
//!
//! ```text
//!        ask ─▶ is the receiver left alone? ── yes ─▶ later      breaker: failures, Retry-After
//!                        │ no
//!               has it a request free? ────── no ──▶ its line    limit: adaptive concurrency
//!                        │ yes                         ▲ too long, or the hand is full: later
//!               may it be sent one now? ───── no ─────┤          pace: its rate limit
//!                        │ yes                         │
//!               is it slow? ─ yes ─▶ slow lane ─ full ─┘
//!                        │ no, or not known
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
mod deferring;
mod elsewhere;
mod hand;
mod held;
mod known;
mod lanes;
mod limit;
mod load;
mod pace;
mod pauses;
mod places;
mod progress;
mod pulse;
mod question;
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
use super::rate_limit::{RateLimit, Reserved};
use super::webhook::WebhookKey;
use hand::PUT_OFF_AT_ONCE;
use places::{Lane, Places};
use receiver::{May, Receiver};
use schedule::Schedule;
use turns::Turns;

pub use crate::domain::held_back::Why;
pub use load::Load;
pub use question::{
    Answer, Asked, Bounds, Deferral, Heard, JobKind, Notice, Pause, Shown, Ticket, WantedTimes,
};

/// A request has a place in the quick lane for so long.
pub const MOMENT: Duration = Duration::from_millis(500);

/// How much of this worker's lag is remembered from one time to the next.
const LAG_KEPT: f64 = 0.9;

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
    /// How many requests in the quick lane are to receivers that have never answered.
    trials: usize,
    /// How many wait, by kind.
    waiting: [usize; 2],
    /// The receivers that have a line.
    lines: BTreeSet<usize>,
    /// How many of those in line may be put off before time passes.
    to_put_off: usize,
    /// The receivers whose deliveries are held back, and some for which that is over.
    held: BTreeSet<usize>,
    /// When the first moment of open requests is over, in this order.
    moments: VecDeque<(Instant, Ticket, u64)>,
    /// Those that are over it and found no place in the slow lane.
    stuck: Vec<(Ticket, u64)>,
    /// Tells the uses of a ticket apart.
    serial: u64,
    answers: Vec<(Ticket, Answer)>,
    wanted: Vec<WantedTimes>,
    pauses: Vec<Pause>,
    notices: Vec<(WebhookKey, Notice)>,
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
    kind: JobKind,
    by_hand: bool,
    /// The request has a place in the quick lane, and its receiver has never answered.
    trial: bool,
    /// How often its receiver had moved when it began.
    moves: u32,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Its receiver has no request free.
    InLine,
    /// The receiver lets it begin; it waits for a place of the worker's.
    Ready,
    /// The request is open.
    Open {
        began: Instant,
        serial: u64,
        lane: Lane,
    },
    /// The request has ended, and is being settled.
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
            trials: 0,
            waiting: [0; 2],
            lines: BTreeSet::new(),
            to_put_off: PUT_OFF_AT_ONCE,
            held: BTreeSet::new(),
            moments: VecDeque::new(),
            stuck: Vec::new(),
            serial: 0,
            answers: Vec::new(),
            wanted: Vec::new(),
            pauses: Vec::new(),
            notices: Vec::new(),
            lag: Duration::ZERO,
            bounds,
        }
    }

    /// Asks for one attempt. What it comes to is among the [answers](Self::answers), now or later.
    pub fn ask(&mut self, asked: Asked<'_>, now: Instant) -> Ticket {
        self.pass_moments(now);
        let receiver = self.receiver(asked, now);
        let ticket = self.requests.insert(Request {
            receiver,
            kind: asked.kind,
            by_hand: asked.by_hand,
            trial: false,
            moves: 0,
            state: State::InLine,
        });
        let known = &self.receivers[receiver];
        match known.may_begin(asked.by_hand, now) {
            May::NotBefore(until, why) => self.put_off(ticket, Some(until), why, now),
            May::Begin if known.line.is_empty() && self.has_lane_for(receiver) => {
                self.begin(ticket, now);
            }
            May::WaitAlone(until, why) if !known.line.is_empty() => {
                self.put_off(ticket, Some(until), why, now);
            }
            May::Paced => {
                self.join_line(ticket, now);
                self.want(receiver, now);
            }
            May::Begin | May::Wait | May::WaitAlone(..) => self.join_line(ticket, now),
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
        let Request {
            receiver, moves, ..
        } = *request;
        let known = &mut self.receivers[receiver];
        if moves != known.moves {
            // It went to where its webhook was before.
            return;
        }
        if let Some(notice) = known.ended(ticket, began, took, shown, self.lag, now) {
            self.notices.push((known.key.clone(), notice));
            self.held.insert(receiver);
        }
        self.pauses.extend(known.pause(now));
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
                self.give_back(lane, tenant, request.trial);
                if request.moves == self.receivers[receiver].moves {
                    self.receivers[receiver].withdrawn(began, ticket);
                }
            }
            State::Settling(lane) => self.give_back(lane, tenant, request.trial),
        }
        self.pull(receiver, now);
        self.take_turns(now);
    }

    /// Whether the request that `ticket` may have is one to this endpoint: its webhook may have moved
    /// since it was asked for.
    pub fn is_for(&self, ticket: Ticket, url: &Url) -> bool {
        let Request {
            receiver, moves, ..
        } = self.requests[ticket];
        let known = &self.receivers[receiver];
        moves == known.moves && known.endpoint.as_ref() == Some(url)
    }

    /// The answers to those who asked, new since this was called last.
    pub fn answers(&mut self) -> impl Iterator<Item = (Ticket, Answer)> + '_ {
        self.answers.drain(..)
    }

    /// The times that are to be reserved for webhooks with a rate limit, since this was called last.
    pub fn wanted(&mut self) -> impl Iterator<Item = WantedTimes> + '_ {
        self.wanted.drain(..)
    }

    /// Whether there are any.
    pub fn wants(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Times were reserved at `rate` for a webhook, or refused.
    pub fn reserved(
        &mut self,
        webhook: &WebhookKey,
        rate: RateLimit,
        reserved: Reserved,
        now: Instant,
    ) {
        self.pass_moments(now);
        if let Some(receiver) = self.by_key.get(webhook).copied() {
            self.receivers[receiver].reserved(rate, reserved, now);
            self.pull(receiver, now);
        }
    }

    /// Changes that people should know of, new since this was called last.
    pub fn notices(&mut self) -> impl Iterator<Item = (WebhookKey, Notice)> + '_ {
        self.notices.drain(..)
    }

    /// Does what time alone brings about. To be called every now and then while somebody
    /// [waits](Self::waits_for_time). `lag` is by how much this call came late: so long, at least,
    /// does an answer lie here before this worker notices it.
    pub fn pass_time(&mut self, now: Instant, lag: Duration) {
        self.lag = lag.max(self.lag.mul_f64(LAG_KEPT));
        self.to_put_off = PUT_OFF_AT_ONCE;
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

    fn put_off(&mut self, ticket: Ticket, until: Option<Instant>, why: Why, now: Instant) {
        let request = self.requests.remove(ticket);
        let has_lane = self.has_lane_for(request.receiver);
        let receiver = &mut self.receivers[request.receiver];
        let tenant = &mut self.tenants[receiver.tenant];
        let again = request.kind == JobKind::Message;
        let deferral = if until.is_none() && !has_lane {
            // By its turn among all of its organization that is slow.
            let open = u32::try_from(tenant.slow.max(1)).unwrap_or(u32::MAX);
            let apart = receiver.time(now).max(MOMENT) / open;
            Deferral {
                delay: tenant.slow_turns.put_off(now, now, apart, again),
                why: Why::Slow,
                in_line: None,
            }
        } else {
            receiver.put_off(now, until, why, again)
        };
        receiver.held.put_off(deferral, now);
        self.held.insert(request.receiver);
        self.answers.push((ticket, Answer::Later(deferral)));
    }

    /// When a delivery comes back that was put off [in line](Deferral::in_line).
    pub fn comes_back(&mut self, webhook: &WebhookKey, deferral: Deferral, now: Instant) {
        if let Some(receiver) = self.by_key.get(webhook).copied() {
            self.receivers[receiver]
                .held
                .comes_back(now + deferral.delay);
        }
    }

    /// One more or one less waits.
    fn waits(&mut self, tenant: usize, kind: JobKind, change: isize) {
        let kind = kind as usize;
        let tenant = &mut self.tenants[tenant].waiting[kind];
        *tenant = tenant.saturating_add_signed(change);
        self.waiting[kind] = self.waiting[kind].saturating_add_signed(change);
    }
}
