//! What is asked of admission, what it is told, and what it answers.

use std::time::Duration;

use url::Url;

use crate::domain::held_back::Why;
use crate::domain::rate_limit::RateLimit;
use crate::domain::returns::InLine;
use crate::domain::webhook::WebhookKey;

/// How much one worker may have open and in hand.
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
pub enum JobKind {
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
    pub kind: JobKind,
    /// Whether a person asks for it.
    pub by_hand: bool,
    /// How often its webhook may be sent a request, if that is limited.
    pub rate: Option<RateLimit>,
}

/// Times that are to be reserved for a webhook with a rate limit, among all workers. What comes of it
/// is to be [told](super::Admission::reserved).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedTimes {
    /// The webhook.
    pub webhook: WebhookKey,
    /// Its limit.
    pub rate: RateLimit,
    /// How many times.
    pub count: u32,
}

/// How a worker heard of a pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Another worker tells it: it is new.
    Told(Pause),
    /// The pause is on record, from before.
    Recalled(Pause),
}

/// That a receiver asked to be left alone, or need not be any more, for the other workers to
/// [heed](super::Admission::paused).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The webhook.
    pub webhook: WebhookKey,
    /// Its endpoint's [fingerprint](crate::domain::endpoint::fingerprint): another endpoint did not
    /// ask.
    pub endpoint: u64,
    /// For how long, from now on. Zero if that is over: a person sent something, and it was taken.
    pub wait: Duration,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An attempt may be made now. It is under way until its [end](super::Admission::ended).
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
    /// If it comes back in line with others of its webhook. `delay` is the shortest then, and the time
    /// is to be taken from the [calendar](crate::domain::returns) that all workers share.
    pub in_line: Option<InLine>,
}

/// What an attempt showed of the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The receiver took the delivery.
    Delivered,
    /// The receiver refused, or could not be reached.
    Failed,
    /// The receiver did not answer in time.
    TimedOut,
    /// The receiver asked to be left alone for so long.
    Asked(Duration),
    /// Nothing: the attempt was not made after all.
    Nothing,
}

/// Something about a receiver that whoever looks after it should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The receiver is left alone from now on, for this long at least, and why.
    LeftAlone(Duration, Why),
    /// The receiver is taken up again.
    TakenUp,
}
