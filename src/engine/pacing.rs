//! Keeps the pace of webhooks with a rate limit: reserves the times that admission asks for.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use super::admission::{WebhookLimiter, now};
use super::ports::Rates;

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
}
