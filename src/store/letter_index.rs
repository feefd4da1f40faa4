//! The index of a dead-letter queue: what is in the queue, for whoever wants to look without taking
//! anything out of it.
//!
//! A queue gives its messages one by one, from the front, to one consumer each: whoever looks takes
//! them from everybody else. So what a letter says is kept beside the queue as well, written before
//! the letter is published. That is an entry too many if the process dies in between, and never one
//! too few; the queue alone decides what there is. What others put into the queue (the broker,
//! earlier versions, a person) has no entry, and what a person purges leaves its entries behind:
//! then there are more letters than entries, or fewer, and a **pass** goes once through the queue
//! and puts that right. [`judge`] says when that is needed.

use async_trait::async_trait;

use super::Unavailable;
use super::dead_letters::{Filter, Position, Summary};

/// How long, in seconds, an entry may wait for its letter to be confirmed before it is doubted: longer
/// than publishing takes unless the broker takes nothing.
const DOUBTED_AFTER: u64 = 60;

/// A letter as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    /// What the index knows it by: the delivery's id, or of what is no delivery an id of its own.
    pub id: String,
    /// The delivery's [sequence](crate::domain::delivery::Delivery::sequence); 0 of what is none.
    pub sequence: u32,
    /// What it says.
    pub summary: Summary,
    /// Whether something could come of a requeue.
    pub usable: bool,
}

/// What the index says of a letter that was met in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It counts, and has an entry now.
    Stands,
    /// Its delivery was delivered since, or has a newer letter: it may go.
    Void,
}

/// What the index says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extent {
    /// Whether a pass has been through the whole queue since it was last doubted.
    pub known: bool,
    /// How many entries there are.
    pub entries: u64,
    /// How many letters are void and were in the queue still.
    pub void: u64,
    /// How many letters more than entries the last pass met: the same published twice.
    pub twice: u64,
    /// How many entries wait for their letters to be confirmed.
    pub unconfirmed: u64,
    /// For how many seconds the oldest entry that is not confirmed has been waiting for that.
    pub unconfirmed_for: Option<u64>,
    /// The pass that is under way.
    pub pass: Option<PassProgress>,
}

/// How far a pass is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PassProgress {
    /// How many letters it has looked at.
    pub looked_at: u64,
    /// How many there were when it began.
    pub total: u64,
}

impl PassProgress {
    /// Of a hundred letters so many.
    fn percent(self) -> u64 {
        (100 * self.looked_at).checked_div(self.total).unwrap_or(0)
    }
}

/// Whether the index can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It has what there is in the queue.
    Sound,
    /// It has what there is in the queue, and perhaps more: a pass will tell, in its time.
    Excessive,
    /// There are letters that it does not have, or may be: a pass must come first.
    Lacking,
}

/// Judges the index by the letters that were ready in the queue a moment before.
///
/// An entry is written before its letter is published, and removed after the letter has gone: more
/// letters than entries are letters without one. Fewer are usual while letters are in the hands of a job.
pub fn judge(ready: u64, index: &Extent) -> Judgement {
    let accounted = index.entries + index.void + index.twice;
    let doubted = index.unconfirmed_for > Some(DOUBTED_AFTER);
    if !index.known || ready > accounted || (doubted && ready > 0) {
        Judgement::Lacking
    } else if ready < accounted.saturating_sub(index.unconfirmed) {
        Judgement::Excessive
    } else {
        Judgement::Sound
    }
}

/// A pass under way: nobody else has one.
#[derive(Debug, Clone)]
pub struct Pass {
    /// What tells it from others.
    pub token: String,
    /// When it began, in microseconds since 1970 by the clock of the index.
    pub began: u64,
}

/// A list cannot be told yet: what is in the queue is still being looked through. It says how far that
/// is as a share: how many letters all organizations have is for none of them to know.
#[derive(Debug, thiserror::Error)]
#[error(
    "the dead letters are being looked through, {} % so far: what is in the queue and not in their \
     index is being entered; try again soon{}",
    .progress.percent(), .trouble.as_deref().map(|why| format!(" (it failed before: {why})")).unwrap_or_default()
)]
pub struct StillLooking {
    /// How far that is.
    pub progress: PassProgress,
    /// Why it did not come to an end before.
    pub trouble: Option<String>,
}

/// Keeps the index. A trait, since the queue is one server's and the index another's, and neither's code
/// knows the other; where one database has both there is none.
#[async_trait]
pub trait LetterIndex: Send + Sync {
    /// Enters a letter that is about to be published. An older letter of the same delivery is void
    /// from then on. Waits for as long as the store is away.
    async fn expect(&self, letter: &Indexed);

    /// Says that it was published. Waits for as long as the store is away.
    async fn confirm(&self, letter: &Indexed);

    /// Sees to it that a letter met in the queue has an entry, unless it is void.
    async fn see(&self, letter: &Indexed) -> Result<Standing, Unavailable>;

    /// Claims the sending again of a letter's delivery, which a [retry by
    /// hand](super::delivery_log::DeliveryLog::claim_retry) claims as well: `false` if that is claimed.
    async fn claim(&self, letter: &Indexed) -> Result<bool, Unavailable>;

    /// Gives such a claim back.
    async fn release(&self, letter: &Indexed) -> Result<(), Unavailable>;

    /// Removes the entry of a letter that has gone from the queue.
    async fn gone(&self, id: &str, sequence: u32) -> Result<(), Unavailable>;

    /// What the index says of itself.
    async fn extent(&self) -> Result<Extent, Unavailable>;

    /// A part of the letters meant, those behind `after`, oldest first, with what could come of each.
    async fn look(
        &self,
        filter: &Filter,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Looked, Unavailable>;

    /// Nothing is known any more, until a whole pass is over: letters without an entry may be in the
    /// hands of one that is under way, where nobody counts them.
    async fn doubt(&self) -> Result<(), Unavailable>;

    /// Begins a pass; `None` if another is under way.
    async fn begin_pass(&self) -> Result<Option<Pass>, Unavailable>;

    /// Says how far it is. To be called every few seconds, or somebody else may begin another.
    async fn note_pass(&self, pass: &Pass, progress: PassProgress) -> Result<(), Unavailable>;

    /// Ends a pass. If it has been through the whole queue, so many letters met `twice`, what it did
    /// not meet goes.
    async fn end_pass(&self, pass: &Pass, twice: Option<u64>) -> Result<(), Unavailable>;
}

/// A part of the index.
#[derive(Debug, Default)]
pub struct Looked {
    /// The letters of it that are meant.
    pub letters: Vec<Indexed>,
    /// How many were looked at.
    pub looked_at: u64,
    /// Where it goes on.
    pub next: Option<Position>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(entries: u64, void: u64, twice: u64) -> Extent {
        Extent {
            known: true,
            entries,
            void,
            twice,
            ..Extent::default()
        }
    }

    #[test]
    fn letters_without_an_entry_are_noticed_and_entries_without_a_letter_do_no_harm() {
        assert_eq!(judge(5, &extent(5, 0, 0)), Judgement::Sound);
        assert_eq!(judge(6, &extent(5, 0, 0)), Judgement::Lacking);
        assert_eq!(judge(6, &extent(4, 1, 1)), Judgement::Sound);
        assert_eq!(judge(4, &extent(5, 0, 0)), Judgement::Excessive);
        assert_eq!(judge(0, &extent(0, 1, 0)), Judgement::Excessive);
    }

    #[test]
    fn nothing_is_known_before_the_first_pass_and_an_empty_queue_takes_one_as_well() {
        assert_eq!(judge(0, &Extent::default()), Judgement::Lacking);
        assert_eq!(judge(3, &Extent::default()), Judgement::Lacking);
    }

    #[test]
    fn an_entry_that_waits_for_long_may_hide_a_letter_without_one() {
        let waiting = |seconds| Extent {
            unconfirmed_for: Some(seconds),
            ..extent(3, 0, 0)
        };
        assert_eq!(judge(3, &waiting(DOUBTED_AFTER)), Judgement::Sound);
        assert_eq!(judge(3, &waiting(DOUBTED_AFTER + 1)), Judgement::Lacking);
        assert_eq!(judge(0, &waiting(DOUBTED_AFTER + 1)), Judgement::Excessive);
        let on_its_way = Extent {
            unconfirmed: 1,
            ..waiting(0)
        };
        assert_eq!(judge(2, &on_its_way), Judgement::Sound);
        assert_eq!(judge(1, &on_its_way), Judgement::Excessive);
    }
}
