//! Keeps to the calendars that workers share: reserves the times that admission asks for of webhooks
//! with a rate limit, and those at which comes back what is put off.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::sleep;

use super::admission::{WebhookLimiter, now};
use super::ports::{Rates, TOLD_EVERY};
use crate::domain::admission::Deferral;
use crate::domain::webhook::WebhookKey;

impl WebhookLimiter {
    /// Reserves what is wanted, for ever. What one webhook waits for keeps no other waiting.
    pub(super) async fn keep_pace(&self, rates: &dyn Rates) {
        let mut asking = FuturesUnordered::new();
        loop {
            for wanted in self.shared.wanted() {
                asking.push(async move {
                    let (webhook, rate) = (&wanted.webhook, wanted.rate);
                    let reserved = rates.reserve(webhook, rate, wanted.count).await;
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
    pub(super) async fn tell_progress(&self, rates: &dyn Rates) {
        loop {
            let mut progress = Vec::new();
            self.shared
                .change(|admission| progress = admission.progress(now()));
            rates.tell(progress).await;
            sleep(TOLD_EVERY).await;
        }
    }

    /// When a delivery comes back that is put off: in line with those that other workers put off.
    pub(super) async fn placed(
        &self,
        webhook: &WebhookKey,
        deferral: Deferral,
        rates: &dyn Rates,
    ) -> Deferral {
        let Some(in_line) = deferral.in_line else {
            return deferral;
        };
        let delay = rates.put_off(webhook, in_line, deferral.delay).await;
        let deferral = Deferral { delay, ..deferral };
        self.shared
            .change(|admission| admission.comes_back(webhook, deferral, now()));
        deferral
    }
}
