//! Whose deliveries are held back: why, since when and until when.

use std::fmt;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// For so long a worker's word on a webhook stands; if it goes on, it is said again before that.
/// What a worker that is gone put off comes back when due, and nobody holds back new deliveries.
pub const STANDS: Duration = Duration::from_secs(60);

/// Readers allow for so long after the end: until the worker says what is next.
const UNSAID: SignedDuration = SignedDuration::from_secs(2);

/// A change of the end by less than this, or by less than this part of what is left, is not worth
/// telling.
const SLIGHT: Duration = Duration::from_secs(1);

/// See [`SLIGHT`]: a tenth.
const SLIGHT_PART: u32 = 10;

/// The deliveries of a webhook are held back. `T` is how time is told: `Instant` within a worker,
/// `Timestamp` for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldBack<T = Timestamp> {
    /// Because of what.
    pub why: Why,
    /// Since when without a break.
    pub since: T,
    /// Of a receiver that is [left alone](Self::is_left_alone): when it is tried next. Else when the
    /// last delivery that was put off so far is due.
    pub until: T,
    /// How far it has come.
    pub phase: Phase,
}

/// How far it has come with a webhook whose deliveries are held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Deliveries are put off.
    Held,
    /// The receiver was left alone, and the next delivery, or one that is under way, decides how it goes
    /// on.
    Tried,
    /// Nothing more is put off for that reason, and what was is still to come.
    ComingBack,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 3] = [Self::Held, Self::Tried, Self::ComingBack];

    /// The stable name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Tried => "tried",
            Self::ComingBack => "coming_back",
        }
    }
}

impl HeldBack {
    /// Sums up what several workers say at `now`, each of its own deliveries: of those whose reason
    /// holds, or of all if none does, the one that holds back longest tells why. `None` if nothing is
    /// to come any more.
    pub fn of_all(each: impl IntoIterator<Item = Self>, now: Timestamp) -> Option<Self> {
        let current = each.into_iter().filter(|one| one.until > now - UNSAID);
        current.reduce(|a, b| {
            let rank = |one: &Self| (one.phase != Phase::ComingBack, one.until);
            let told = if rank(&b) > rank(&a) { b } else { a };
            Self {
                since: a.since.min(b.since),
                ..told
            }
        })
    }
}

impl<T> HeldBack<T> {
    /// Whether the receiver is left alone, and tried at the end.
    pub fn is_left_alone(&self) -> bool {
        matches!(self.why, Why::Failures | Why::Asked) && self.phase == Phase::Held
    }
}

impl fmt::Display for HeldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (because, until) = (self.why.because(), self.until);
        let ends = match self.phase {
            Phase::Held if self.is_left_alone() => "it is tried again at",
            Phase::Held => "what is put off so far is due by",
            Phase::Tried => "it is tried with the next delivery, and what was put off is due by",
            Phase::ComingBack => "that is over, and what was put off is due by",
        };
        write!(f, "{because}; {ends} {until:.0}")
    }
}

impl HeldBack<Instant> {
    /// Whether whoever knows `told` need not be told this.
    pub fn is_like(&self, told: &Self, now: Instant) -> bool {
        let left = self.until.saturating_duration_since(now);
        let change = self.until.max(told.until) - self.until.min(told.until);
        let same = |held: &Self| (held.why, held.since, held.phase);
        same(self) == same(told) && change < SLIGHT.max(left / SLIGHT_PART)
    }

    /// The same, in times as `clock` shows them.
    pub fn told_in(&self, clock: impl Fn(Instant) -> Timestamp) -> HeldBack {
        HeldBack {
            why: self.why,
            since: clock(self.since),
            until: clock(self.until),
            phase: self.phase,
        }
    }
}

/// Why a delivery is put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// A run of failures: the receiver is left alone for a while.
    Failures,
    /// The receiver asked to be left alone, with `Retry-After`.
    Asked,
    /// More waits for the receiver already than it takes soon.
    Line,
    /// The same, because of the webhook's rate limit.
    Rate,
    /// The receiver is slow, and its organization has as many slow requests open as it may.
    Slow,
    /// Not its receiver's: a fault of our own kept the attempt from being made.
    OwnFault,
}

impl Why {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Failures,
        Self::Asked,
        Self::Line,
        Self::Rate,
        Self::Slow,
        Self::OwnFault,
    ];

    /// Whether what is put off for it comes back one after another, at the rate that it can be taken.
    pub fn is_of_a_line(self) -> bool {
        matches!(self, Self::Line | Self::Rate | Self::Slow)
    }

    /// The stable name in logs and counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Asked => "retry_after",
            Self::Line => "line",
            Self::Rate => "rate_limit",
            Self::Slow => "slow",
            Self::OwnFault => "own_fault",
        }
    }

    /// The same for people, as the cause in a sentence.
    pub fn because(self) -> &'static str {
        match self {
            Self::Failures => {
                "its receiver failed many times in a row and is left alone for a while"
            }
            Self::Asked => "its receiver asked to be left alone for a while",
            Self::Line => "more waits for its receiver than that takes soon",
            Self::Rate => "its rate limit lets no more through",
            Self::Slow => {
                "its receiver is slow, and its organization has as many slow requests open as it may"
            }
            Self::OwnFault => "no request can be made here, or what it takes cannot be opened",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn held(why: Why, since: i64, until: i64) -> HeldBack {
        HeldBack {
            why,
            since: at(since),
            until: at(until),
            phase: Phase::Held,
        }
    }

    #[test]
    fn of_several_workers_the_one_that_holds_back_longest_tells_why() {
        let each = [
            held(Why::Line, 10, 40),
            held(Why::Failures, 20, 60),
            held(Why::Rate, 5, 30),
        ];
        let together = HeldBack::of_all(each, at(33));
        assert_eq!(together, Some(held(Why::Failures, 10, 60)));
        let last = HeldBack::of_all(each, at(53));
        assert_eq!(last, Some(held(Why::Failures, 20, 60)));
        assert_eq!(HeldBack::of_all(each, at(61)), last, "until more is said");
        assert_eq!(HeldBack::of_all(each, at(62)), None);
    }

    #[test]
    fn one_whose_reason_holds_tells_why_and_one_whose_reason_is_gone_only_if_none_does() {
        let gone = HeldBack {
            phase: Phase::ComingBack,
            ..held(Why::Asked, 20, 90)
        };
        let each = [gone, held(Why::Line, 30, 40)];
        for each in [each, [each[1], each[0]]] {
            assert_eq!(
                HeldBack::of_all(each, at(35)),
                Some(held(Why::Line, 20, 40))
            );
            assert_eq!(HeldBack::of_all(each, at(45)), Some(gone));
        }
    }

    #[test]
    fn only_what_differs_noticeably_is_told_again() {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let held = |why, since, until| HeldBack {
            why,
            since: at(since),
            until: at(until),
            phase: Phase::Held,
        };
        let told = held(Why::Line, 0, 100);
        let like = |one: HeldBack<Instant>| one.is_like(&told, at(50));
        assert!(like(told) && like(held(Why::Line, 0, 104)));
        assert!(!like(held(Why::Line, 0, 110)));
        assert!(!like(held(Why::Line, 1, 100)));
        assert!(!like(held(Why::Failures, 0, 100)));
        let phase = Phase::Tried;
        assert!(!like(HeldBack { phase, ..told }));
        let soon = held(Why::Line, 0, 51);
        assert!(!soon.is_like(&held(Why::Line, 0, 52), at(50)));
    }
}
