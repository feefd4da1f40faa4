//! The calendars of webhooks where one process is the only worker: kept in memory, and begun anew with
//! it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::domain::rate_limit::{Calendar, RateLimit, Reserved};
use crate::domain::returns::{InLine, Returns};
use crate::domain::webhook::WebhookKey;
use crate::engine::ports::Calendars;

/// So many calendars there are before those that are over are dropped for the first time.
const FEW: usize = 1024;

/// The only worker.
const WORKER: u128 = 0;

/// The calendars of the webhooks that need one.
#[derive(Debug)]
pub struct EmbeddedCalendars {
    /// Calendars tell the time since this.
    began: Instant,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    calendars: HashMap<WebhookKey, Both>,
    /// Those that are over are dropped when there are so many.
    tidy_at: usize,
}

#[derive(Debug, Default)]
struct Both {
    requests: Calendar,
    returns: Returns,
}

impl Default for EmbeddedCalendars {
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

impl EmbeddedCalendars {
    fn with<T>(&self, webhook: &WebhookKey, act: impl FnOnce(&mut Both, Duration) -> T) -> T {
        let now = self.began.elapsed();
        // A calendar is whole after every step, so a panic elsewhere spoils nothing.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.calendars.len() >= kept.tidy_at {
            kept.calendars
                .retain(|_, both| !both.requests.is_over(now) || !both.returns.is_over(now));
            kept.tidy_at = FEW.max(2 * kept.calendars.len());
        }
        act(kept.calendars.entry(webhook.clone()).or_default(), now)
    }
}

#[async_trait]
impl Calendars for EmbeddedCalendars {
    async fn reserve(&self, webhook: &WebhookKey, limit: RateLimit, count: u32) -> Reserved {
        self.with(webhook, |both, now| {
            both.requests.reserve(limit, count, now)
        })
    }

    async fn put_off(&self, webhook: &WebhookKey, in_line: InLine, soonest: Duration) -> Duration {
        self.with(webhook, |both, now| {
            both.returns.put_off(WORKER, 1, in_line, soonest, now)
        })
    }

    /// There is nobody to tell.
    async fn tell(&self, _: Vec<(WebhookKey, Duration)>) {}
}
