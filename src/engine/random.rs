//! Randomness, as a value that tests can replace: what is drawn for an attempt is then the same each
//! time, whatever else is under way.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::domain::delivery::Delivery;

/// Where the engine draws from.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomSource {
    seed: Option<u64>,
}

/// The random numbers of one attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Names the request's span in a trace.
    pub span: u64,
    /// Chooses between two delays: 0 to 1.
    pub jitter: f64,
}

impl RandomSource {
    /// The machine's.
    pub fn system() -> Self {
        Self::default()
    }

    /// Numbers that `seed`, delivery and attempt alone decide.
    pub fn seeded(seed: u64) -> Self {
        Self { seed: Some(seed) }
    }

    /// A number that no other hand-out of a message has: never a seed's, for a process that starts
    /// again must not draw it a second time.
    pub fn hand_out(&self) -> u64 {
        rand::random()
    }

    /// Draws for the next attempt of `delivery`.
    pub fn draw(&self, delivery: &Delivery) -> Sample {
        let Some(seed) = self.seed else {
            return Sample {
                span: rand::random(),
                jitter: rand::random(),
            };
        };
        let mut hasher = DefaultHasher::new();
        (seed, delivery.id.as_str(), delivery.sequence).hash(&mut hasher);
        let mut random = StdRng::seed_from_u64(hasher.finish());
        Sample {
            span: random.random(),
            jitter: random.random(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use jiff::Timestamp;

    use super::*;
    use crate::domain::delivery::LastAttempt;
    use crate::domain::event::Event;
    use crate::domain::ids::{EventId, EventType, Organization, WebhookId};

    #[test]
    fn a_seed_draws_the_same_for_the_same_attempt_and_other_things_for_others() {
        let event = Event {
            id: EventId::new("e").unwrap(),
            event_type: EventType::new("request.completed").unwrap(),
            organization: Organization::default(),
            traceparent: None,
            body: Bytes::new(),
        };
        let first = Delivery::first(Arc::new(event), WebhookId::new("w").unwrap());
        let last = LastAttempt {
            outcome: "rejected".to_owned(),
            status: Some(500),
        };
        let second = first.retried(Timestamp::UNIX_EPOCH, last, None);
        let (one, other) = (RandomSource::seeded(1), RandomSource::seeded(2));
        assert_eq!(one.draw(&first), one.draw(&first));
        assert_ne!(one.draw(&first), one.draw(&second));
        assert_ne!(one.draw(&first), other.draw(&first));
        assert!((0.0..1.0).contains(&one.draw(&first).jitter));
    }
}
