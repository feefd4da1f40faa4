//! Says how a request is answered: well, badly, slowly or never.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// How requests are answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Behaviour {
    /// The answer.
    pub answer: Answer,
    /// How long it is put off.
    pub delay: Duration,
    /// How it is delivered.
    pub manner: Manner,
    /// How many requests are treated so before all others get a plain 200 at once; none: every
    /// request is.
    pub first: Option<u64>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// Headers beside those that the server sets.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// How an answer is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manner {
    /// At once and whole.
    #[default]
    Whole,
    /// The head at once, then the body byte by byte, one a second; without a body, dots for ever.
    Drip,
    /// Never: the connection stays open without an answer.
    Hang,
}

impl Behaviour {
    /// How the request with this number, counted from 0, is answered.
    pub fn of(&self, number: u64) -> Self {
        match self.first {
            Some(first) if number >= first => Self::default(),
            _ => self.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_first_few_every_answer_is_a_plain_200() {
        let behaviour = Behaviour {
            manner: Manner::Hang,
            first: Some(2),
            ..Behaviour::default()
        };
        let manners: Vec<_> = (0..4).map(|number| behaviour.of(number).manner).collect();
        use Manner::{Hang, Whole};
        assert_eq!(manners, [Hang, Hang, Whole, Whole]);
        assert_eq!(behaviour.of(2), Behaviour::default());
    }

    #[test]
    fn without_a_number_every_request_is_treated_alike() {
        let behaviour = Behaviour {
            delay: Duration::from_secs(1),
            ..Behaviour::default()
        };
        assert_eq!(behaviour.of(u64::MAX), behaviour);
    }
}
