//! The receivers: how each one answers, as a function of the time and of what it was sent before.

use std::time::Duration;

/// The longest that the sender waits for an answer.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// How a receiver behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// Answers well, within so many milliseconds.
    Quick { millis: u64 },
    /// Answers well, after so many milliseconds, however many requests are open.
    Steady { millis: u64 },
    /// Answers well, after so many milliseconds for each request, one after the other: the rest
    /// queues.
    OneByOne { millis: u64 },
    /// Answers well and at once; its webhook has a rate limit of so many a second.
    Limited { a_second: u32 },
    /// Takes the connection and never answers.
    Hanging,
    /// Answers well, a second before the time is up.
    Dripping,
    /// Answers 500 at once.
    Erring,
    /// From its first request on it answers 429 with this `Retry-After` for as many seconds; then
    /// it is fine.
    Throttling { seconds: u64 },
    /// Fine and not by turns of so many seconds; when it is not, it hangs or answers 500.
    Flapping { seconds: u64, hangs: bool },
    /// Refuses connections, or hangs, until this time; then it is fine.
    Dead { until: Duration, hangs: bool },
    /// Answers 410.
    Gone,
}

/// What comes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An answer with this status, and this `Retry-After` in seconds.
    Status(u16, Option<u64>),
    /// None within the time.
    Timeout,
    /// No connection.
    Refused,
}

/// An answer, and how long it takes to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    pub after: Duration,
    pub answer: Answer,
}

/// What a receiver remembers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// When the last request queued is done with.
    busy_until: Duration,
    /// When the first request came.
    first: Option<Duration>,
}

const OK: Answer = Answer::Status(200, None);

impl Receiver {
    /// What a request that comes at `now` gets. `chance` is a random number of its own.
    pub fn answer(self, memory: &mut Memory, now: Duration, chance: u64) -> Planned {
        let first = *memory.first.get_or_insert(now);
        let quick = Planned::new(1 + chance % 10, OK);
        match self {
            Self::Quick { millis } => Planned::new(1 + chance % millis, OK),
            Self::Steady { millis } => Planned::new(millis, OK),
            Self::OneByOne { millis } => {
                memory.busy_until = memory.busy_until.max(now) + Duration::from_millis(millis);
                match memory.busy_until - now {
                    after if after < TIMEOUT => Planned { after, answer: OK },
                    _ => Planned::HANGS,
                }
            }
            Self::Limited { .. } => quick,
            Self::Hanging => Planned::HANGS,
            Self::Dripping => Planned::new(9_000, OK),
            Self::Erring => Planned::new(1, Answer::Status(500, None)),
            Self::Throttling { seconds } if now < first + Duration::from_secs(seconds) => {
                Planned::new(1 + chance % 3, Answer::Status(429, Some(seconds)))
            }
            Self::Flapping { seconds, hangs } if now.as_secs() / seconds % 2 == 1 => {
                Planned::bad(hangs, Answer::Status(500, None))
            }
            Self::Dead { until, hangs } if now < until => Planned::bad(hangs, Answer::Refused),
            Self::Throttling { .. } | Self::Flapping { .. } | Self::Dead { .. } => quick,
            Self::Gone => Planned::new(1, Answer::Status(410, None)),
        }
    }

    /// Whether it always answers well and in good time: nothing that others do may show here.
    pub fn is_healthy(self) -> bool {
        match self {
            Self::Quick { .. } => true,
            Self::Steady { millis } => millis < 500,
            _ => false,
        }
    }

    /// The rate limit of its webhook, if it has one.
    pub fn rate_limit(self) -> Option<String> {
        match self {
            Self::Limited { a_second } => Some(format!("{a_second}/s")),
            _ => None,
        }
    }

    /// The longest that one delivery takes of its time, if every one is answered well sooner or later.
    pub fn service(self) -> Option<Duration> {
        match self {
            Self::Quick { millis } | Self::Steady { millis } | Self::OneByOne { millis } => {
                Some(Duration::from_millis(millis))
            }
            Self::Dripping => Some(Duration::from_secs(9)),
            Self::Limited { a_second } => Some(Duration::from_secs(1) / a_second),
            _ => None,
        }
    }

    /// The longest that one request can hold a place.
    pub fn longest(self) -> Duration {
        match self {
            Self::Quick { millis } | Self::Steady { millis } => Duration::from_millis(millis),
            Self::Limited { .. } | Self::Erring | Self::Throttling { .. } | Self::Gone => {
                Duration::from_millis(10)
            }
            Self::Flapping { hangs, .. } | Self::Dead { hangs, .. } if !hangs => {
                Duration::from_millis(10)
            }
            _ => TIMEOUT,
        }
    }
}

impl Planned {
    const HANGS: Self = Self {
        after: TIMEOUT,
        answer: Answer::Timeout,
    };

    fn new(millis: u64, answer: Answer) -> Self {
        let after = Duration::from_millis(millis);
        Self { after, answer }
    }

    fn bad(hangs: bool, otherwise: Answer) -> Self {
        match hangs {
            true => Self::HANGS,
            false => Self::new(1, otherwise),
        }
    }
}
