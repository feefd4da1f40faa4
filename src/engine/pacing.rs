//! Keeps to the calendars that workers share: reserves the times that admission asks for of webhooks
//! with a rate limit, and tells what this worker gets done.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::sleep;

use super::admission::{WebhookLimiter, now};
use super::ports::{Calendars, TOLD_EVERY};
use crate::domain::admission::Deferral;
use crate::domain::webhook::WebhookKey;

impl WebhookLimiter {
    /// Reserves what is wanted, for ever. What one webhook waits for keeps no other waiting.
    pub(super) async fn keep_pace(&self, calendars: &dyn Calendars) {
        let mut asking = FuturesUnordered::new();
        loop {
            for wanted in self.shared.wanted() {
                asking.push(async move {
                    let (webhook, rate) = (&wanted.webhook, wanted.rate);
                    let reserved = calendars.reserve(webhook, rate, wanted.count).await;
                    (wanted, reserved)
                });
            }
            tokio::select! {
                Some((wanted, reserved)) = asking.next() => self.shared.change(|admission| {
                    admission.reserved(&wanted.webhook, wanted.rate, reserved, now());
                }),
                () = self.shared.wanted.notified() => {}
            }
        }
    }

    /// Tells other workers now and then what this one gets done, for ever.
    pub(super) async fn tell_progress(&self, calendars: &dyn Calendars) {
        loop {
            let mut progress = Vec::new();
            self.shared
                .change(|admission| progress = admission.progress(now()));
            calendars.tell(progress).await;
            sleep(TOLD_EVERY).await;
        }
    }

    /// Takes note of when a delivery comes back that was put off in line with those of other workers.
    pub(super) fn comes_back(&self, webhook: &WebhookKey, deferral: Deferral) {
        self.shared
            .change(|admission| admission.comes_back(webhook, deferral, now()));
    }
}
