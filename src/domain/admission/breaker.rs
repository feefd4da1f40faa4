//! When a receiver is left alone: after a run of failures, and when it asks for it.
//!
//! Shut, it gets nothing; when its time is over, one request goes out as a probe. A probe that
//! fails shuts it again, for twice as long. One that is answered well opens it, slowly: the next
//! request a second later, and each further one sooner, until nothing holds it back.

use std::time::{Duration, Instant};

use super::limit::Ended;

/// How long a receiver is left alone after a run of failures, at first.
const FIRST_INTERVAL: Duration = Duration::from_secs(1);

/// The longest that it is left alone of our own accord.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// The longest that it is left alone because it asks for it, whatever it says: as long as any delay
/// can be configured.
pub(super) const LONGEST_ASKED: Duration = Duration::from_secs(7 * 86_400);

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

/// Why a receiver is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Failures, one after the other.
    Failures,
    /// It asked for it, with `Retry-After`.
    Asked,
}

/// Whether a receiver may have a request now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// As many as its limit says.
    Open,
    /// One: it decides how to go on.
    Probe,
    /// None before this time.
    Shut(Instant, Cause),
    /// The same, but for one that a person asked for: that may begin in a moment.
    ByHandSoon(Instant, Cause),
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
    /// What it asked for. It may be shut for longer than that.
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
    pub cause: Cause,
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
                true if !by_hand => Standing::Shut(shut.until, shut.cause),
                true if !rested => Standing::ByHandSoon(shut.until, shut.cause),
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

    /// The receiver asks to be left alone for `wait`.
    pub fn asked(&mut self, wait: Duration, now: Instant) {
        let until = now + wait.min(LONGEST_ASKED);
        self.remember(Asked { since: now, until });
    }

    /// The receiver asked for it before.
    pub fn remember(&mut self, Asked { since, until }: Asked) {
        if self.asked.is_none_or(|asked| asked.until < until) {
            self.asked = Some(Asked { since, until });
        }
        if self.shut.is_none_or(|shut| shut.until < until) {
            let cause = Cause::Asked;
            self.shut = Some(Shut {
                since,
                until,
                cause,
            });
        }
        self.pace = None;
    }

    /// It need not be left alone any more: another worker knows that it answers well.
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
        let (since, until, cause) = (now, now + interval, Cause::Failures);
        self.shut = Some(Shut {
            since,
            until,
            cause,
        });
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn failing(times: u32, start: Instant) -> Breaker {
        let mut breaker = Breaker::new(10);
        for _ in 0..times {
            breaker.ended(Ended::Failed, start, start);
        }
        breaker
    }

    #[test]
    fn a_run_of_failures_shuts_it_and_a_success_ends_the_run() {
        let start = Instant::now();
        let mut breaker = failing(9, start);
        assert_eq!(breaker.standing(false, start), Standing::Open);
        breaker.ended(Ended::Delivered, start, start);
        breaker.ended(Ended::Failed, start, start);
        assert_eq!(breaker.standing(false, start), Standing::Open);
        let shut = Standing::Shut(start + SECOND, Cause::Failures);
        assert_eq!(failing(10, start).standing(false, start), shut);
    }

    #[test]
    fn probes_that_fail_come_at_growing_intervals() {
        let start = Instant::now();
        let mut breaker = failing(10, start);
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..12 {
            let Standing::Shut(until, _) = breaker.standing(false, now) else {
                panic!("{breaker:?}");
            };
            waits.push((until - now).as_secs());
            now = until;
            assert_eq!(breaker.standing(false, now), Standing::Probe);
            breaker.ended(Ended::Failed, now, now);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60]);
    }

    #[test]
    fn it_opens_slowly_and_then_holds_nobody_back() {
        let start = Instant::now();
        let mut breaker = failing(10, start);
        let mut now = start + SECOND;
        let mut begun = Vec::new();
        while begun.len() < 30 {
            match breaker.standing(false, now) {
                Standing::Paced(until) => now = until,
                Standing::Open | Standing::Probe => {
                    begun.push(now - start - SECOND);
                    breaker.began(now);
                    breaker.ended(Ended::Delivered, now, now);
                }
                Standing::Shut(..) | Standing::ByHandSoon(..) => panic!("{breaker:?}"),
            }
        }
        let within = |limit: Duration| begun.iter().filter(|at| **at < limit).count();
        assert!(within(SECOND) <= 2, "{begun:?}");
        assert_eq!(within(5 * SECOND), 30, "{begun:?}");
    }

    #[test]
    fn what_it_asked_for_is_kept_whatever_was_open() {
        let start = Instant::now();
        let mut breaker = Breaker::new(10);
        breaker.asked(20 * SECOND, start);
        let before = start - SECOND;
        assert!(!breaker.ended(Ended::Delivered, before, start + SECOND));
        breaker.asked(5 * SECOND, start + SECOND);
        let shut = Standing::Shut(start + 20 * SECOND, Cause::Asked);
        assert_eq!(breaker.standing(false, start + 19 * SECOND), shut);
        assert_eq!(
            breaker.standing(false, start + 20 * SECOND),
            Standing::Probe
        );
    }

    #[test]
    fn what_it_asked_for_is_kept_though_failures_had_shut_it_for_longer() {
        let start = Instant::now();
        let mut breaker = failing(10, start);
        breaker.asked(SECOND, start);
        assert_eq!(breaker.asked_until(), Some(start + SECOND));
        let soon = start + SECOND / 2;
        assert!(!breaker.ended(Ended::Delivered, start, soon));
        assert!(breaker.ended(Ended::Delivered, start, start + SECOND));
        assert_eq!(breaker.asked_until(), None);
    }

    #[test]
    fn what_a_person_sent_meanwhile_and_it_took_opens_it() {
        let start = Instant::now();
        let mut breaker = Breaker::new(10);
        breaker.asked(Duration::MAX, start);
        let later = start + 60 * SECOND;
        assert_eq!(breaker.standing(true, later), Standing::Probe);
        assert!(breaker.ended(Ended::Delivered, later, later));
    }

    #[test]
    fn a_person_need_not_wait_for_the_probe_but_cannot_flood() {
        let start = Instant::now();
        let mut breaker = failing(10, start);
        assert_eq!(breaker.standing(true, start), Standing::Probe);
        breaker.began(start);
        let soon = Standing::ByHandSoon(start + SECOND, Cause::Failures);
        assert_eq!(breaker.standing(true, start), soon);
        assert!(matches!(breaker.standing(false, start), Standing::Shut(..)));
    }

    #[test]
    fn a_breaker_that_is_turned_off_never_shuts() {
        let start = Instant::now();
        let mut breaker = Breaker::new(0);
        for _ in 0..1000 {
            breaker.ended(Ended::TimedOut, start, start);
        }
        assert_eq!(breaker.standing(false, start), Standing::Open);
    }
}
