//! An endpoint that asked to be left alone is left alone by every worker.

use futures::future::join_all;
use tokio::join;

use super::admission::{Gatekeeper, now};
use super::ports::Pauses;

impl Gatekeeper {
    /// Tells other workers which receivers asked for it, and heeds what they tell, for ever.
    pub(super) async fn keep_pauses(&self, pauses: &dyn Pauses) {
        let tell = async {
            loop {
                let told = self.gate.pauses().into_iter();
                join_all(told.map(|pause| pauses.tell(pause))).await;
                self.gate.asked.notified().await;
            }
        };
        let heed = async {
            loop {
                let pause = pauses.heard().await;
                self.gate
                    .change(|admission| admission.paused(&pause, now()));
            }
        };
        join!(tell, heed);
    }
}
