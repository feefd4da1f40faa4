//! An endpoint that asked to be left alone is left alone by every worker.

use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::admission::{Gatekeeper, now};
use super::ports::Pauses;

impl Gatekeeper {
    /// Heeds what other workers tell, from now on.
    pub(super) fn heed_pauses(&self, pauses: &dyn Pauses) {
        let gate = self.gate.clone();
        pauses.listen(Box::new(move |pause| {
            gate.change(|admission| admission.paused(&pause, now()));
        }));
    }

    /// Tells other workers which receivers asked for it, until `done`: what was asked by then is still
    /// told, for the next worker may already be starting.
    pub(super) async fn tell_pauses(&self, pauses: &dyn Pauses, done: CancellationToken) {
        loop {
            let is_last = done.is_cancelled();
            let told = self.gate.pauses().into_iter();
            join_all(told.map(|pause| pauses.tell(pause))).await;
            if is_last {
                return;
            }
            tokio::select! {
                () = self.gate.asked.notified() => {}
                () = done.cancelled() => {}
            }
        }
    }
}
