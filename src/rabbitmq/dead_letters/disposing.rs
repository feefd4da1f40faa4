//! What becomes of a letter that is met in the queue.

use super::{Action, DeadLetterMessage, DeadLetters, Errand, Halted, Outgoing};
use crate::store::dead_letters::{Disposition, disposition};
use crate::store::letter_index::Indexed;

impl DeadLetters {
    /// Decides what becomes of a dead letter, and what is to be published for it. What goes round again
    /// is claimed, as a retry by hand is: one whose delivery is sent again already stays, and goes once
    /// that is over. So does the second of two letters that say the same.
    pub(super) async fn dispose(
        &self,
        letter: &DeadLetterMessage,
        indexed: &Indexed,
        errand: Errand<'_>,
    ) -> Result<(Disposition, Option<Outgoing>), Halted> {
        let mut disposition = meant(indexed, errand);
        let goes_round = match (disposition, errand) {
            (Disposition::Done, Errand::Act(Action::Requeue, ..)) => true,
            (Disposition::Done, _) => return Ok((disposition, None)),
            _ => false,
        };
        if goes_round && !self.index.claim(indexed).await.map_err(Halted::Index)? {
            disposition = Disposition::Kept;
        }
        let outgoing = match disposition {
            Disposition::Done => letter.requeued(&self.topology),
            _ => Some(letter.kept(&indexed.id, &self.topology)),
        };
        Ok((disposition, outgoing))
    }
}

/// Whether a letter is meant.
fn meant(indexed: &Indexed, errand: Errand<'_>) -> Disposition {
    match errand {
        Errand::Pass => Disposition::Kept,
        Errand::Act(_, _, Some(chosen)) if !chosen.contains(&indexed.id) => Disposition::Kept,
        Errand::Act(action, filter, _) => {
            disposition(&indexed.summary, indexed.usable, action, filter)
        }
    }
}
