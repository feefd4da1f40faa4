//! What a worker knows of one webhook's receiver, and what follows from it: whether a request may
//! begin, how long a line takes, for how long a delivery is put off.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use url::Url;

use super::breaker::{Breaker, Standing};
use super::elsewhere::Elsewhere;
use super::held::Held;
use super::limit::{Ended, FIRST, LONG, Limit};
use super::pace::Pace;
use super::progress::Progress;
use super::pulse::Pulse;
use super::schedule::{Spread, times};
use super::{Bounds, MOMENT, Notice, Shown, Ticket, Why};
use crate::domain::rate_limit::{RateLimit, Reserved};
use crate::domain::webhook::WebhookKey;

/// An answer within this is in good time whatever the receiver did before.
const QUICK: Duration = Duration::from_millis(50);

/// What takes less than so many times this worker's own lag says nothing of the receiver: it is a
/// handful of steps, each of which may have waited for that long.
const UNTOLD: u32 = 10;

/// A receiver without traffic is remembered for this long.
const REMEMBERED: Duration = Duration::from_secs(60);

/// One webhook's receiver.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) key: WebhookKey,
    pub(super) tenant: usize,
    /// The requests that are open, and those that only wait for a place of the worker's.
    pub(super) open: u32,
    /// The line: deliveries that wait for an open request to end.
    pub(super) line: VecDeque<Ticket>,
    /// The deliveries that were put off.
    pub(super) held: Held,
    /// Where it is; not known if only other workers told of it.
    pub(super) endpoint: Option<Url>,
    /// How often it moved: what is heard of an old endpoint says nothing of the new.
    pub(super) moves: u32,
    /// Which other endpoints of its webhook asked to be left alone.
    pub(super) elsewhere: Elsewhere,
    /// Until when it asked to be left alone, as the other workers know.
    pub(super) pause_known: Option<Instant>,
    /// Until when it had asked for it when it was taken up sooner.
    pub(super) lifted: Option<Instant>,
    /// How far apart deliveries were that it took before it asked, until that is seen again.
    before_pause: Option<Duration>,
    bounds: Bounds,
    pub(super) limit: Limit,
    pub(super) pulse: Pulse,
    pub(super) breaker: Breaker,
    pub(super) spread: Spread,
    /// If it has a rate limit.
    pub(super) pace: Option<Pace>,
    pub(super) progress: Progress,
    seen: Instant,
}

/// Whether a request may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum May {
    Begin,
    /// Not before another ends, or a moment has passed.
    Wait,
    /// Only its rate limit is in the way.
    Paced,
    /// Not before a moment has passed, which one may wait for, but not many: the others not before
    /// this time.
    WaitAlone(Instant, Why),
    /// Not before this time.
    NotBefore(Instant, Why),
}

impl Receiver {
    pub(super) fn new(key: WebhookKey, tenant: usize, bounds: Bounds, now: Instant) -> Self {
        Self {
            key,
            tenant,
            open: 0,
            line: VecDeque::new(),
            held: Held::default(),
            endpoint: None,
            moves: 0,
            elsewhere: Elsewhere::default(),
            pause_known: None,
            lifted: None,
            before_pause: None,
            bounds,
            limit: Limit::new(bounds.webhook_max_in_flight),
            pulse: Pulse::default(),
            breaker: Breaker::new(bounds.breaker_after),
            spread: Spread::default(),
            pace: None,
            progress: Progress::new(now),
            seen: now,
        }
    }

    /// Whether this is its endpoint and its rate limit.
    pub(super) fn is_as(&self, url: &Url, rate: Option<RateLimit>) -> bool {
        self.endpoint.as_ref() == Some(url) && self.pace.as_ref().map(Pace::limit) == rate
    }

    /// Notes that the receiver has something to do.
    pub(super) fn seen(&mut self, now: Instant) {
        self.seen = now;
    }

    /// Takes note of its endpoint and rate limit: another one starts afresh, and what is open to the
    /// old endpoint is no business of the new.
    pub(super) fn meet(&mut self, url: &Url, rate: Option<RateLimit>, now: Instant) {
        self.seen = now;
        if self.pace.as_ref().map(Pace::limit) != rate {
            self.pace = rate.map(Pace::new);
            self.held.over_for(Why::Rate);
        }
        if self.endpoint.as_ref() != Some(url) {
            let (pace, mut held) = (self.pace.take(), std::mem::take(&mut self.held));
            self.leave(now);
            held.over();
            (self.pace, self.held) = (pace, held);
            self.endpoint = Some(url.clone());
            self.remember_pause(now);
        }
    }

    /// Leaves its endpoint, of which but what it asked for is remembered, and has no rate limit.
    pub(super) fn leave(&mut self, now: Instant) {
        let elsewhere = self.elsewhere_from();
        *self = Self {
            line: std::mem::take(&mut self.line),
            moves: self.moves + 1,
            elsewhere,
            ..Self::new(self.key.clone(), self.tenant, self.bounds, now)
        };
    }

    pub(super) fn may_begin(&self, by_hand: bool, now: Instant) -> May {
        let may = self.may_begin_unpaced(by_hand, now);
        match &self.pace {
            Some(pace) if may == May::Begin && !pace.has_time(now) => May::Paced,
            _ => may,
        }
    }

    /// Whether nothing may begin now but by hand.
    pub(super) fn is_left_alone(&self, now: Instant) -> bool {
        matches!(self.may_begin_unpaced(false, now), May::NotBefore(..))
    }

    fn may_begin_unpaced(&self, by_hand: bool, now: Instant) -> May {
        match self.breaker.standing(by_hand, now) {
            Standing::Shut(until, why) => May::NotBefore(until, why),
            Standing::ByHandSoon(until, why) => May::WaitAlone(until, why),
            Standing::Probe if self.open == 0 => May::Begin,
            Standing::Open if self.open < self.limit.now() => May::Begin,
            Standing::Probe | Standing::Paced(_) | Standing::Open => May::Wait,
        }
    }

    /// One more is to have a request: it uses up a time of its pace.
    pub(super) fn opens(&mut self, now: Instant) {
        self.open += 1;
        if let Some(pace) = &mut self.pace {
            pace.take(now);
        }
    }

    /// How many times are to be reserved for what waits in its line, if any are.
    pub(super) fn wants(&mut self, now: Instant) -> Option<(RateLimit, u32)> {
        let pace = self.pace.as_mut()?;
        Some((pace.limit(), pace.wants(self.line.len(), now)?))
    }

    /// Times were reserved, or refused.
    pub(super) fn reserved(&mut self, rate: RateLimit, reserved: Reserved, now: Instant) {
        if let Some(pace) = self.pace.as_mut().filter(|pace| pace.limit() == rate) {
            pace.reserved(reserved, now);
        }
    }

    /// Whether its requests take longer than a moment.
    pub(super) fn is_slow(&self) -> bool {
        self.pulse.is_slow(MOMENT)
    }

    /// Whether it has ever answered.
    pub(super) fn has_answered(&self) -> bool {
        self.pulse.has_answered()
    }

    /// One of the open ones got its place: the request goes out.
    pub(super) fn began(&mut self, now: Instant) {
        self.limit.began(self.open, now);
        self.pulse.began(now);
        self.breaker.began(now);
    }

    /// A request is open for longer than a moment.
    pub(super) fn overdue(&mut self, began: Instant, ticket: Ticket) {
        self.pulse.overdue(began, ticket);
    }

    /// A request has ended, and nothing is to be learnt of it.
    pub(super) fn withdrawn(&mut self, began: Instant, ticket: Ticket) {
        self.open -= 1;
        self.pulse.withdrawn(began, ticket);
    }

    /// A request has ended, after `took`, as is heard of at `now`. Tells when that changes whether it
    /// is left alone.
    pub(super) fn ended(
        &mut self,
        ticket: Ticket,
        began: Instant,
        took: Duration,
        shown: Shown,
        lag: Duration,
        now: Instant,
    ) -> Option<Notice> {
        // While the breaker holds it back, what it gets done says nothing of what it can.
        let busy =
            self.breaker.is_open() && (!self.line.is_empty() || 2 * self.open >= self.limit.now());
        if matches!(shown, Shown::Asked(_)) {
            self.note_before_pause(now);
        }
        let how = match shown {
            Shown::Nothing => {
                self.withdrawn(began, ticket);
                return None;
            }
            Shown::Delivered => Ended::Delivered,
            Shown::Failed | Shown::Asked(_) => Ended::Failed,
            Shown::TimedOut => Ended::TimedOut,
        };
        self.open -= 1;
        self.progress.ended();
        let answered = how != Ended::TimedOut;
        let few = self.open < FIRST;
        self.pulse.ended(began, ticket, took, answered, few, busy);
        let good = (2 * self.pulse.fastest(began + took))
            .max(QUICK)
            .max(UNTOLD * lag);
        let busy_alone = busy && self.is_alone(took);
        self.limit.ended(how, began, took, good, busy);
        if busy_alone && how == Ended::Delivered && took > good {
            self.pulse.is_slower(took, began + took);
            self.limit.find_again();
        }
        let before = self.breaker.shut();
        let asked = self.breaker.asked_until();
        let opened = match shown {
            Shown::Asked(wait) => {
                self.breaker.asked(wait, began, now);
                false
            }
            _ => self.breaker.ended(how, began, now),
        };
        if opened {
            self.lifted = asked;
        }
        if self.shut().is_some_and(|(_, why)| why == Why::Failures)
            || (self.breaker.is_open() && self.pulse.apart(now).is_some())
        {
            self.before_pause = None;
        }
        match (before, self.shut()) {
            (None, Some((until, why))) => Some(Notice::LeftAlone(until - now, why)),
            _ if opened => Some(self.opened()),
            _ => None,
        }
    }

    /// Whether a request that took so long had so few beside it that none of them made it late. What is
    /// near to a timeout may wait for other workers' requests, and tells only if it had none.
    fn is_alone(&self, took: Duration) -> bool {
        let few = if took < LONG { FIRST } else { 1 };
        self.open < few && self.limit.now() <= few
    }

    /// The receiver is not left alone any more.
    pub(super) fn opened(&mut self) -> Notice {
        self.limit.restart();
        self.held.over();
        Notice::TakenUp
    }

    /// How long `more` deliveries take behind one another.
    pub(super) fn line_time(&self, more: usize, now: Instant) -> Duration {
        let own = times(self.apart_unpaced(now), more);
        own.max(self.paced(|pace| pace.wait_for(more, now)))
    }

    /// The same as it would be if it had little to do: what is longer than that is, perhaps, this
    /// worker's own doing. `None` while too little is known of it, or if this worker itself is so
    /// far behind that nothing can be told.
    pub(super) fn line_time_at_best(&self, now: Instant, lag: Duration) -> Option<Duration> {
        // No lag of ours makes a receiver's usual time longer than a moment.
        let time = match self.is_slow() {
            true => self.pulse.time(now),
            false => self.pulse.fastest(now),
        };
        let at_once = match self.pulse.has_answered() {
            true => self.reach(),
            false => f64::from(self.limit()),
        };
        let told = self.pulse.is_known(now) && time > UNTOLD * lag;
        let own = told.then(|| times(time.div_f64(at_once), self.line.len()));
        let paced = self.pace.as_ref();
        own.max(paced.map(|pace| pace.wait_at_best(self.line.len(), now)))
    }

    /// How long a request takes now.
    pub(super) fn time(&self, now: Instant) -> Duration {
        self.pulse.time(now)
    }

    /// Until when it is left alone and why, if it is.
    pub(super) fn shut(&self) -> Option<(Instant, Why)> {
        self.breaker.shut().map(|shut| (shut.until, shut.why))
    }

    /// The receiver asks to be left alone: remembers how quickly it took deliveries until then.
    pub(super) fn note_before_pause(&mut self, now: Instant) {
        if self.breaker.is_open() {
            self.before_pause = Some(self.apart_unpaced(now));
        }
    }

    /// So many requests may be open to it.
    pub(super) fn limit(&self) -> u32 {
        match self.breaker.shut() {
            Some(_) => 1,
            None => self.limit.now(),
        }
    }

    /// Whether nothing would be lost by forgetting it.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        !self.is_concerned(now)
            && now > self.seen + REMEMBERED
            && self.breaker.is_idle(now)
            && self.elsewhere.is_over(now)
    }

    /// Whether something of it is open, waits, or is put off.
    pub(super) fn is_concerned(&self, now: Instant) -> bool {
        self.open > 0 || !self.line.is_empty() || self.held.until().is_some_and(|at| at > now)
    }

    /// A time that follows from its pace; none without one.
    pub(super) fn paced(&self, time: impl FnOnce(&Pace) -> Duration) -> Duration {
        self.pace.as_ref().map_or(Duration::ZERO, time)
    }

    /// How far apart deliveries are that it takes one after the other, as many at once as it may
    /// have, if it has no rate limit.
    pub(super) fn apart_unpaced(&self, now: Instant) -> Duration {
        let expected = self.pulse.usual(now).div_f64(self.reach());
        match self.pulse.apart(now) {
            Some(seen) if self.limit.is_found() && self.breaker.is_open() => seen,
            _ => self
                .before_pause
                .map_or(expected, |apart| apart.min(expected)),
        }
    }

    fn reach(&self) -> f64 {
        match self.breaker.shut() {
            Some(_) => 1.0,
            None => self.limit.reach(),
        }
    }
}
