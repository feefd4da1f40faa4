//! Which good answers are to be noted, so that days of nothing but failures can be told.
//!
//! Noting each would cost a write a delivery, and only two matter: the first after a failure, which
//! ends a run of failures, and the last before the next failure. So a webhook's success is noted at
//! once unless one was noted within the last minute, and then it is at the end of that minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use moka::sync::Cache;

use super::retention::SUCCESS_NOTED_EVERY;
use crate::domain::webhook::WebhookKey;

/// How many webhooks' last noted success is remembered; of a forgotten one the next is noted.
const REMEMBERED: u64 = 100_000;

/// Which good answers of webhooks are noted, and which are still to be.
#[derive(Debug)]
pub struct Successes {
    noted: Cache<WebhookKey, Timestamp>,
    unnoted: Mutex<HashMap<WebhookKey, Timestamp>>,
}

impl Successes {
    /// Nothing is noted yet.
    pub fn new() -> Self {
        Self {
            noted: Cache::new(REMEMBERED),
            unnoted: Mutex::default(),
        }
    }

    /// The webhook answered well at `now`. `true` if that is to be noted at once.
    pub fn succeeded(&self, webhook: &WebhookKey, now: Timestamp) -> bool {
        let recently =
            |noted: Timestamp| now.duration_since(noted).unsigned_abs() < SUCCESS_NOTED_EVERY;
        let mut unnoted = self.unnoted.lock().unwrap_or_else(PoisonError::into_inner);
        if self.noted.get(webhook).is_some_and(recently) {
            unnoted.insert(webhook.clone(), now);
            return false;
        }
        unnoted.remove(webhook);
        self.noted.insert(webhook.clone(), now);
        true
    }

    /// The webhook failed: its next success ends a run of failures.
    pub fn failed(&self, webhook: &WebhookKey) {
        self.noted.invalidate(webhook);
    }

    /// Takes what is still to be noted: to be asked for once a minute, and at the end.
    pub fn take_unnoted(&self) -> HashMap<WebhookKey, Timestamp> {
        let taken =
            std::mem::take(&mut *self.unnoted.lock().unwrap_or_else(PoisonError::into_inner));
        for (webhook, at) in &taken {
            self.noted.insert(webhook.clone(), *at);
        }
        taken
    }
}

impl Default for Successes {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Organization, WebhookId};

    fn key() -> WebhookKey {
        WebhookKey {
            organization: Organization::default(),
            id: WebhookId::new("w").unwrap(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_first_is_noted_at_once_and_the_last_of_a_minute_at_its_end() {
        let successes = Successes::new();
        assert!(successes.succeeded(&key(), at(0)));
        assert!(!successes.succeeded(&key(), at(10)));
        assert!(!successes.succeeded(&key(), at(20)));
        assert_eq!(successes.take_unnoted(), HashMap::from([(key(), at(20))]));
        assert!(successes.take_unnoted().is_empty());
        assert!(!successes.succeeded(&key(), at(70)), "20 was noted");
        assert!(successes.succeeded(&key(), at(80)));
        assert!(successes.take_unnoted().is_empty(), "80 has overtaken 70");
    }

    #[test]
    fn the_success_that_ends_a_run_of_failures_is_noted_at_once() {
        let successes = Successes::new();
        assert!(successes.succeeded(&key(), at(0)));
        successes.failed(&key());
        assert!(successes.succeeded(&key(), at(15)));
    }
}
