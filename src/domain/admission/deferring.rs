//! For how long what a receiver cannot take is put off.

use std::time::{Duration, Instant};

use super::hand::LONGEST_LINE;
use super::receiver::Receiver;
use super::schedule::{self, times};
use super::{Deferral, Why};
use crate::domain::returns::{Apart, InLine};

/// What comes back to a receiver that was left alone comes at least so far apart.
const AFTER_SHUT: Duration = Duration::from_millis(5);

/// What is put off because the line is long begins to come back this long before that is over, or
/// when a third of it is left: what comes back late, or is fewer than another worker had reckoned
/// with, finds a line that is short and not empty.
const SOONER: Duration = Duration::from_secs(15);

impl Receiver {
    /// For how long a delivery is put off, because of `why`; not for less than until `not_before`.
    pub(super) fn put_off(
        &mut self,
        now: Instant,
        not_before: Option<Instant>,
        why: Why,
        again: bool,
    ) -> Deferral {
        // Of one that fails nobody knows what it takes once it is well, or when that will be.
        let down_since = self.breaker.down_since();
        if let Some(since) = down_since.filter(|_| !self.breaker.is_paused_only()) {
            let probe = not_before.unwrap_or(now + schedule::SHORTEST);
            let down_for = now.saturating_duration_since(since);
            return Deferral {
                delay: self.spread.put_off(now, probe, down_for),
                why,
                in_line: None,
            };
        }
        let own = self.expected_apart(not_before.is_some(), now);
        let limited = self.pace.as_ref().filter(|pace| pace.apart() >= own);
        let apart = match limited {
            Some(pace) => Apart::All(pace.limit().apart()),
            None => Apart::Own(own),
        };
        let first = self.behind_line(now).max(schedule::SHORTEST);
        let not_before = not_before.map(|at| at.saturating_duration_since(now));
        Deferral {
            delay: first.max(not_before.unwrap_or_default()),
            why: match limited {
                Some(_) if why == Why::Line => Why::Rate,
                _ => why,
            },
            in_line: Some(InLine { apart, again }),
        }
    }

    /// How far apart deliveries can be that come back, if it has no rate limit.
    fn expected_apart(&self, was_shut: bool, now: Instant) -> Duration {
        match self.has_answered() {
            _ if was_shut => self.apart_unpaced(now).max(AFTER_SHUT),
            true => self.apart_unpaced(now),
            // It may never answer: no more is expected of it than it has.
            false => self.pulse.time(now) / self.limit().max(1),
        }
    }

    /// When what is put off behind its line is to come back: while some of that is left, and not
    /// later than the longest line there may be, to which this one is shortened.
    fn behind_line(&self, now: Instant) -> Duration {
        let own = self.apart_unpaced(now);
        let each = own.max(self.paced(|pace| pace.limit().apart()));
        let line = fitting(each).min(self.line.len());
        let behind = times(own, line).max(self.paced(|pace| pace.wait_at_best(line + 1, now)));
        behind - SOONER.min(behind / 3)
    }
}

/// How many fit into a line, each of which takes so long.
fn fitting(each: Duration) -> usize {
    let fitting = LONGEST_LINE.as_nanos() / each.as_nanos().max(1);
    usize::try_from(fitting).unwrap_or(usize::MAX)
}
