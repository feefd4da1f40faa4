//! An endpoint that asked to be left alone is left alone by every worker.

use std::collections::HashMap;

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::admission::{WebhookLimiter, now};
use super::ports::Pauses;

impl WebhookLimiter {
    /// Heeds what other workers tell, from now on.
    pub(super) fn heed_pauses(&self, pauses: &dyn Pauses) {
        let shared = self.shared.clone();
        pauses.listen(Box::new(move |heard| {
            shared.change(|admission| admission.paused(&heard, now()));
        }));
    }

    /// Tells other workers which receivers asked for it, until `done`: what was asked by then is still
    /// told, for the next worker may already be starting.
    pub(super) async fn tell_pauses(&self, pauses: &dyn Pauses, done: CancellationToken) {
        loop {
            let is_last = done.is_cancelled();
            let news = self.shared.pauses().into_iter();
            // Of each webhook the last: they are told side by side.
            let news: HashMap<_, _> = news.map(|pause| (pause.webhook.clone(), pause)).collect();
            join_all(news.into_values().map(|pause| pauses.tell(pause))).await;
            if is_last {
                return;
            }
            tokio::select! {
                () = self.shared.asked.notified() => {}
                () = done.cancelled() => {}
            }
        }
    }
}
