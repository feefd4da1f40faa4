//! How long one receiver takes, and how many it gets done.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How much the newest request counts for in the receiver's usual time.
const NEWEST: f64 = 0.2;

/// The receiver's best time is that of the last two spans of this length.
const SPAN: Duration = Duration::from_secs(10);

/// After so many answers a receiver is known, or after so long: whichever comes first.
const KNOWN_AFTER: u32 = 4;
const KNOWN_BY: Duration = Duration::from_millis(500);

/// Over this span, roughly, it is counted how many requests end while there are always more.
const COUNTED: Duration = Duration::from_secs(5);

/// A request that is open for so many times the usual time tells more than those before it.
const STUCK: f64 = 3.0;

/// What is known of one receiver's time.
#[derive(Debug, Clone, Default)]
pub struct Pulse {
    /// The usual time of its answers in seconds, smoothed.
    usual: Option<f64>,
    /// How long it took not to answer, if it did not the last time.
    unanswered: Option<Duration>,
    /// Its best time in this span and in the one before.
    fastest: [Option<Duration>; 2],
    span_began: Option<Instant>,
    ended: u32,
    first_began: Option<Instant>,
    /// The requests that are open for longer than a moment, oldest first.
    overdue: BTreeSet<(Instant, usize)>,
    busy: Option<Busy>,
}

/// A time through which there was always more to do.
#[derive(Debug, Clone, Copy)]
struct Busy {
    since: Instant,
    done: f64,
}

impl Pulse {
    /// A request begins.
    pub fn began(&mut self, now: Instant) {
        self.first_began.get_or_insert(now);
    }

    /// The request `ticket`, which began then, is open for longer than a moment.
    pub fn overdue(&mut self, began: Instant, ticket: usize) {
        self.overdue.insert((began, ticket));
    }

    /// A request ended; `answered` if the receiver said something, `few` if few were open beside it,
    /// `busy` if there is always more.
    pub fn ended(
        &mut self,
        began: Instant,
        ticket: usize,
        took: Duration,
        answered: bool,
        few: bool,
        busy: bool,
    ) {
        let now = began + took;
        self.overdue.remove(&(began, ticket));
        self.ended = self.ended.saturating_add(1);
        self.unanswered = (!answered).then_some(took);
        if answered {
            let seconds = took.as_secs_f64();
            let known = self.usual.unwrap_or(seconds);
            self.usual = Some(known + (seconds - known) * NEWEST);
            if few || self.fastest == [None; 2] {
                self.note_fastest(took, now);
            }
        }
        self.count(busy, began, now);
    }

    /// Nothing else was open beside it, and still it took so long: that is the receiver's best time now.
    pub fn is_slower(&mut self, took: Duration, now: Instant) {
        self.fastest = [Some(took), None];
        self.span_began = Some(now);
    }

    /// A request was given up without having shown anything.
    pub fn withdrawn(&mut self, began: Instant, ticket: usize) {
        self.overdue.remove(&(began, ticket));
    }

    /// How long a request takes now: the usual time, or longer if one is open for longer.
    pub fn time(&self, now: Instant) -> Duration {
        let usual = Duration::from_secs_f64(self.usual.unwrap_or(0.0));
        let usual = self.unanswered.map_or(usual, |took| took.max(usual));
        let oldest = match self.ended {
            0 => self.first_began,
            _ => self.overdue.first().map(|(began, _)| *began),
        };
        usual.max(oldest.map_or(Duration::ZERO, |began| now.saturating_duration_since(began)))
    }

    /// The usual time of a request now: what is open for longer has waited behind more than there is now,
    /// unless it is stuck.
    pub fn usual(&self, now: Instant) -> Duration {
        let usual = Duration::from_secs_f64(self.usual.unwrap_or(0.0));
        let usual = self.unanswered.map_or(usual, |took| took.max(usual));
        let time = self.time(now);
        if time > usual.mul_f64(STUCK) {
            time
        } else {
            usual
        }
    }

    /// How long it takes while it has little to do.
    pub fn fastest(&self, now: Instant) -> Duration {
        let best = self.fastest.iter().flatten().min().copied();
        best.unwrap_or_else(|| self.time(now))
    }

    /// Whether its requests take longer than a moment.
    pub fn is_slow(&self, moment: Duration) -> bool {
        let usually = || self.usual.is_some_and(|usual| usual > moment.as_secs_f64());
        !self.overdue.is_empty() || self.unanswered.is_some_and(|took| took > moment) || usually()
    }

    /// Whether it has ever answered.
    pub fn has_answered(&self) -> bool {
        self.usual.is_some()
    }

    /// Whether enough was seen to tell how it is.
    pub fn is_known(&self, now: Instant) -> bool {
        let waited = |began: Instant| now.saturating_duration_since(began) >= KNOWN_BY;
        self.ended >= KNOWN_AFTER || self.first_began.is_some_and(waited)
    }

    /// How far apart its requests end while there are always more, if that was seen, and none is
    /// open for much longer than is usual.
    pub fn apart(&self, now: Instant) -> Option<Duration> {
        let usual = self.usual.unwrap_or(0.0);
        if self.time(now).as_secs_f64() > STUCK * usual {
            return None;
        }
        let busy = self
            .busy
            .filter(|busy| busy.done >= f64::from(KNOWN_AFTER))?;
        Some(now.saturating_duration_since(busy.since).div_f64(busy.done))
    }

    fn note_fastest(&mut self, took: Duration, now: Instant) {
        let began = *self.span_began.get_or_insert(now);
        if now.saturating_duration_since(began) > SPAN {
            self.fastest = [None, self.fastest[0]];
            self.span_began = Some(now);
        }
        let best = self.fastest[0].get_or_insert(took);
        *best = took.min(*best);
    }

    fn count(&mut self, busy: bool, began: Instant, now: Instant) {
        if !busy {
            self.busy = None;
            return;
        }
        let known = self.busy.get_or_insert(Busy {
            since: began,
            done: 0.0,
        });
        known.done += 1.0;
        let span = now.saturating_duration_since(known.since);
        if span > COUNTED {
            known.since += span / 2;
            known.done /= 2.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_receiver_that_hangs_is_slow_before_anything_has_ended() {
        let start = Instant::now();
        let mut pulse = Pulse::default();
        pulse.began(start);
        assert!(!pulse.is_slow(500 * MS));
        pulse.overdue(start, 1);
        assert!(pulse.is_slow(500 * MS));
        assert_eq!(pulse.time(start + 3000 * MS), 3000 * MS);
        assert!(pulse.is_known(start + 500 * MS));
    }

    #[test]
    fn one_that_is_steady_takes_its_usual_time_however_many_are_open() {
        let start = Instant::now();
        let mut pulse = Pulse::default();
        for n in 0..100 {
            let began = start + 100 * MS * n;
            pulse.began(began);
            pulse.overdue(began, n as usize);
            if n >= 20 {
                let old = n - 20;
                pulse.ended(
                    start + 100 * MS * old,
                    old as usize,
                    2000 * MS,
                    true,
                    false,
                    true,
                );
            }
        }
        let time = pulse.time(start + 9900 * MS);
        assert!((1900 * MS..=2100 * MS).contains(&time), "{time:?}");
        let apart = pulse.apart(start + 9900 * MS).unwrap();
        assert!((90 * MS..=140 * MS).contains(&apart), "{apart:?}");
    }

    #[test]
    fn the_best_time_is_of_late() {
        let start = Instant::now();
        let mut pulse = Pulse::default();
        pulse.ended(start, 0, MS, true, true, false);
        for n in 1..10 {
            pulse.ended(start + 5000 * MS * n, 0, 80 * MS, true, true, false);
        }
        assert_eq!(pulse.fastest(start), 80 * MS);
    }

    #[test]
    fn how_long_it_takes_with_much_to_do_is_not_its_best_time() {
        let start = Instant::now();
        let mut pulse = Pulse::default();
        pulse.ended(start, 0, 80 * MS, true, true, false);
        for n in 1..10 {
            pulse.ended(start + 5000 * MS * n, 0, 3000 * MS, true, false, true);
        }
        assert_eq!(pulse.fastest(start), 80 * MS);
    }
}
