//! What the receiver answers: a function of the request alone, so that the account at the end knows
//! what every request was answered with, and a repeat is answered as the first was.

use crate::support::receiver::{Answer, Gate, Received, Receiver};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// Attempts before a delivery is given up.
pub const MAX_ATTEMPTS: u32 = 4;

/// Answers everything with 200.
pub const GOOD: &str = "good";
/// The same, so that an event has siblings.
pub const ALSO_GOOD: &str = "also-good";
/// Fails the first attempt of one delivery in ten, and every attempt of one in a hundred.
pub const FLAKY: &str = "flaky";
/// Fails the first attempt of every delivery.
pub const FAILS_ONCE: &str = "fails-once";
/// Each fails the first two attempts of every delivery.
pub const FAILS_TWICE_EACH: [&str; 16] = [
    "fails-twice-0",
    "fails-twice-1",
    "fails-twice-2",
    "fails-twice-3",
    "fails-twice-4",
    "fails-twice-5",
    "fails-twice-6",
    "fails-twice-7",
    "fails-twice-8",
    "fails-twice-9",
    "fails-twice-a",
    "fails-twice-b",
    "fails-twice-c",
    "fails-twice-d",
    "fails-twice-e",
    "fails-twice-f",
];

/// A request, by what identifies it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The webhook's name: the path that it is registered with.
    pub webhook: String,
    pub event: String,
    pub delivery: String,
    pub attempt: u32,
}

impl Call {
    pub fn of(request: &Received) -> Self {
        let header = |name| request.header(name).expect("every request has its ids");
        Self {
            webhook: request.path().trim_start_matches('/').to_owned(),
            event: header("webhook-id"),
            delivery: header("x-prism-delivery"),
            attempt: header("x-prism-attempt").parse().expect("a number"),
        }
    }

    /// The status that it is answered with.
    pub fn status(&self) -> u16 {
        status(&self.webhook, &self.delivery, self.attempt)
    }
}

/// The status that this attempt is answered with.
pub fn status(webhook: &str, delivery: &str, attempt: u32) -> u16 {
    let fails = match webhook {
        FLAKY => match hash(delivery) % 100 {
            0 => true,
            1..=10 => attempt == 1,
            _ => false,
        },
        FAILS_ONCE => attempt == 1,
        _ if FAILS_TWICE_EACH.contains(&webhook) => attempt <= 2,
        _ => false,
    };
    if fails { 500 } else { 200 }
}

/// A receiver that answers as planned after 5 to 20 ms.
pub fn receiver() -> Receiver {
    gated_receiver(|_| None)
}

/// A receiver that answers as planned after 5 to 20 ms, and not before the gate of the request, if
/// it has one, is open.
pub fn gated_receiver(gate: impl Fn(&Call) -> Option<Gate> + Send + Sync + 'static) -> Receiver {
    Receiver::start(move |request| {
        let call = Call::of(request);
        let delay = Duration::from_millis(5 + hash(&call.delivery) % 16);
        let answer = Answer::status(call.status()).delay(delay);
        match gate(&call) {
            Some(gate) => answer.when(&gate),
            None => answer,
        }
    })
}

/// The same in every process and every run.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
