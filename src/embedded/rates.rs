//! Rate limits where one process is the only worker: kept in memory, and begun anew with it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::domain::rate_limit::{Calendar, RateLimit, Reserved};
use crate::domain::webhook::WebhookKey;
use crate::engine::ports::Rates;

/// So many calendars there are before those that are over are dropped for the first time.
const FEW: usize = 1024;

/// The calendars of the webhooks that have a rate limit.
#[derive(Debug)]
pub struct EmbeddedRates {
    /// Calendars tell the time since this.
    began: Instant,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    calendars: HashMap<WebhookKey, Calendar>,
    /// Those that are over are dropped when there are so many.
    tidy_at: usize,
}

impl Default for EmbeddedRates {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            kept: Mutex::new(Kept {
                calendars: HashMap::new(),
                tidy_at: FEW,
            }),
        }
    }
}

#[async_trait]
impl Rates for EmbeddedRates {
    async fn reserve(&self, webhook: &WebhookKey, limit: RateLimit, count: u32) -> Reserved {
        let now = self.began.elapsed();
        // A calendar is whole after every step, so a panic elsewhere spoils nothing.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.calendars.len() >= kept.tidy_at {
            kept.calendars.retain(|_, calendar| !calendar.is_over(now));
            kept.tidy_at = FEW.max(2 * kept.calendars.len());
        }
        let calendar = kept.calendars.entry(webhook.clone()).or_default();
        calendar.reserve(limit, count, now)
    }
}
