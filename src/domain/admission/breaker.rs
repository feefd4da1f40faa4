//! When a receiver is left alone: after a run of failures, and when it asks for it.
//!
//! Shut, it gets nothing; when its time is over, one request goes out as a probe. A probe that
//! fails shuts it again, for twice as long. One that is answered well opens it, slowly: the next
//! request a second later, and each further one sooner, until nothing holds it back.

use std::time::{Duration, Instant};

use super::limit::Ended;
use crate::domain::held_back::Why;

/// How long a receiver is left alone after a run of failures, at first.
const FIRST_INTERVAL: Duration = Duration::from_secs(1);

/// The longest that it is left alone of our own accord.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// The longest that it is left alone because it asks for it, whatever it says: as long as any delay
/// can be configured.
pub(super) const LONGEST_ASKED: Duration = Duration::from_secs(7 * 86_400);

/// Who asks to be left alone for less than this is a receiver that fails, and has one request after the
/// other.
const LEAST_ASKED: Duration = FIRST_INTERVAL;

/// Who asks to be left alone so soon after its first failure was well until then.
const WELL_UNTIL_THEN: Duration = Duration::from_secs(5);

/// After so long without traffic, what went before is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(300);

/// How far apart the first requests are after it has opened.
const FIRST_PACE: Duration = Duration::from_secs(1);

/// By how much the pace quickens with each request that is answered well.
const QUICKER: f64 = 0.7;

/// A pace below this holds nobody back any more.
const NO_PACE: Duration = Duration::from_millis(10);

/// A person who retries by hand need not wait for a probe, but for this.
const BY_HAND: Duration = Duration::from_secs(1);

/// What a timeout weighs in a run of failures: it cost the time of many.
const TIMEOUT_WEIGHT: u32 = 4;

/// Whether a receiver may have a request now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// As many as its limit says.
    Open,
    /// One: it decides how to go on.
    Probe,
    /// None before this time.
    Shut(Instant, Why),
    /// The same, but for one that a person asked for: that may begin in a moment.
    ByHandSoon(Instant, Why),
    /// None before this time, which is near: it is being opened slowly.
    Paced(Instant),
}

/// The breaker of one receiver.
#[derive(Debug, Clone)]
pub struct Breaker {
    /// A run of failures of this weight shuts it; 0: none does.
    after: u32,
    run: u32,
    shut: Option<Shut>,
    /// The pause that the receiver asked for. The breaker may be shut for longer than that.
    asked: Option<Asked>,
    /// Since when the first of a run of failures was under way that has not ended, or that was not
    /// followed by a full recovery after it had shut.
    down_since: Option<Instant>,
    /// The interval that it was shut for last, until it has fully opened.
    interval: Option<Duration>,
    /// The least time between two requests, while it opens.
    pace: Option<Duration>,
    last_began: Option<Instant>,
}

/// That it asked to be left alone.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// When that was heard: what begins later knew of it.
    pub since: Instant,
    /// Until when.
    pub until: Instant,
}

/// How it was shut.
#[derive(Debug, Clone, Copy)]
pub struct Shut {
    /// When.
    pub since: Instant,
    /// Until when.
    pub until: Instant,
    /// Why.
    pub why: Why,
}

impl Breaker {
    /// An open one, which a run of `after` failures shuts; 0: none does.
    pub fn new(after: u32) -> Self {
        Self {
            after,
            run: 0,
            shut: None,
            asked: None,
            down_since: None,
            interval: None,
            pace: None,
            last_began: None,
        }
    }

    /// Whether a request may begin at `now`; `by_hand` if a person asks for it.
    pub fn standing(&self, by_hand: bool, now: Instant) -> Standing {
        if let Some(shut) = self.shut {
            let rested = self.last_began.is_none_or(|at| now >= at + BY_HAND);
            return match now < shut.until {
                true if !by_hand => Standing::Shut(shut.until, shut.why),
                true if !rested => Standing::ByHandSoon(shut.until, shut.why),
                _ => Standing::Probe,
            };
        }
        match self.pace.zip(self.last_began) {
            Some((pace, last)) if now < last + pace => Standing::Paced(last + pace),
            _ => Standing::Open,
        }
    }

    /// A request begins.
    pub fn began(&mut self, now: Instant) {
        self.last_began = Some(now);
    }

    /// A request that `began` has ended, as is heard of at `now`. `true` if that opened it.
    pub fn ended(&mut self, how: Ended, began: Instant, now: Instant) -> bool {
        match how {
            Ended::Delivered => self.succeeded(began, now),
            Ended::Failed => self.failed(1, began, now),
            Ended::TimedOut => self.failed(TIMEOUT_WEIGHT, began, now),
        }
    }

    /// A request that `began` was answered with the wish to be left alone for `wait`. That is no failure:
    /// the receiver answers, and says for how long it takes nothing. It is tried when that is over,
    /// however often it asks; who asks for less than a moment fails.
    pub fn asked(&mut self, wait: Duration, began: Instant, now: Instant) {
        if wait < LEAST_ASKED {
            self.failed(1, began, now);
        } else {
            self.down_since.get_or_insert(began);
        }
        let until = now + wait.min(LONGEST_ASKED);
        self.remember(Asked { since: now, until });
    }

    /// The receiver asked for it before.
    pub fn remember(&mut self, Asked { since, until }: Asked) {
        if self.asked.is_none_or(|asked| asked.until < until) {
            self.asked = Some(Asked { since, until });
        }
        if self.shut.is_none_or(|shut| shut.until < until) {
            let why = Why::Asked;
            self.shut = Some(Shut { since, until, why });
        }
        self.pace = None;
    }

    /// Opens it: another worker knows that the receiver answers well.
    pub fn lift(&mut self) {
        self.run = 0;
        self.open();
    }

    /// That it asked to be left alone, if it has not opened since.
    pub fn has_asked(&self) -> Option<Asked> {
        self.asked
    }

    /// Until when.
    pub fn asked_until(&self) -> Option<Instant> {
        self.asked.map(|asked| asked.until)
    }

    /// How it was shut last, if it has not opened since.
    pub fn shut(&self) -> Option<Shut> {
        self.shut
    }

    /// Whether it holds nothing back: the receiver is not left alone, nor taken up slowly.
    pub fn is_open(&self) -> bool {
        self.shut.is_none() && self.pace.is_none()
    }

    /// Since when it has done nothing but fail, or has not been fully open because of that.
    pub fn down_since(&self) -> Option<Instant> {
        self.down_since
    }

    /// Whether it was well until it asked to be left alone, so that it is likely to be well again when
    /// that is over.
    pub fn is_paused_only(&self) -> bool {
        let (Some(asked), Some(down_since)) = (self.asked, self.down_since) else {
            return false;
        };
        asked.since.saturating_duration_since(down_since) < WELL_UNTIL_THEN
    }

    /// Whether nothing would be lost by forgetting it.
    pub fn is_idle(&self, now: Instant) -> bool {
        let quiet = |since: Instant| now > since + FORGOTTEN;
        match self.shut {
            Some(shut) => quiet(shut.until),
            // A failure so long ago is no part of a run any more.
            None => self.last_began.is_none_or(quiet) || (self.run == 0 && self.pace.is_none()),
        }
    }

    fn succeeded(&mut self, began: Instant, now: Instant) -> bool {
        self.run = 0;
        if self.shut.is_some() {
            // What was open when it asked to be left alone does not speak against that; what a person
            // sent since then does.
            let asked = self.asked.filter(|asked| now < asked.until);
            if asked.is_some_and(|asked| began <= asked.since) {
                return false;
            }
            self.open();
            return true;
        }
        if let Some(pace) = self.pace {
            let quicker = pace.mul_f64(QUICKER);
            self.pace = (quicker > NO_PACE).then_some(quicker);
            if self.pace.is_none() {
                self.interval = None;
            }
        }
        if self.pace.is_none() {
            self.down_since = None;
        }
        false
    }

    fn open(&mut self) {
        self.shut = None;
        self.asked = None;
        self.pace = Some(FIRST_PACE);
    }

    fn failed(&mut self, weight: u32, began: Instant, now: Instant) -> bool {
        self.down_since.get_or_insert(began);
        match self.shut {
            // It was open before it was shut: nothing new is learnt from it.
            Some(shut) if began < shut.until => return false,
            Some(_) => {}
            None if self.pace.is_some() => {}
            None => {
                self.run = self.run.saturating_add(weight);
                if self.after == 0 || self.run < self.after {
                    return false;
                }
            }
        }
        let interval = self.interval.map_or(FIRST_INTERVAL, |last| 2 * last);
        let interval = interval.min(LONGEST_INTERVAL);
        self.interval = Some(interval);
        self.pace = None;
        let (since, until, why) = (now, now + interval, Why::Failures);
        self.shut = Some(Shut { since, until, why });
        false
    }
}
