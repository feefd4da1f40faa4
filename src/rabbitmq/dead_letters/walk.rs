//! Somebody's way through the queue: what was met, what is under way, and what has come of it. A letter
//! counts as done once it is: as long as its new message is not confirmed, it is not.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use super::queue_scan::QueueScan;
use crate::rabbitmq::confirm::Unconfirmed;
use crate::store::Unavailable;
use crate::store::dead_letters::{Disposition, Options, Pace, Progress};
use crate::store::letter_index::{Indexed, LetterIndex, Standing};

/// Somebody's way through the queue.
pub(super) struct Walk<'a> {
    pub(super) scan: QueueScan,
    pub(super) under_way: FuturesUnordered<Moving>,
    pub(super) index: &'a Arc<dyn LetterIndex>,
    /// Digests of the letters that were met.
    pub(super) met: HashSet<u64>,
    pub(super) twice: u64,
    /// What has come of those that are no longer under way.
    pub(super) progress: &'a mut Progress,
    /// How many of those under way are acted upon.
    pub(super) acting: u64,
}

impl Walk<'_> {
    /// Sees to it that a letter has its entry.
    pub(super) async fn meet(&mut self, letter: &Indexed) -> Result<Standing, Halted> {
        let standing = self.index.see(letter).await.map_err(Halted::Index)?;
        if standing == Standing::Stands {
            let mut digest = DefaultHasher::new();
            (&letter.id, letter.sequence).hash(&mut digest);
            self.twice += u64::from(!self.met.insert(digest.finish()));
        }
        Ok(standing)
    }

    /// Waits until the next letter may be acted upon; those under way go on meanwhile. `false` if it
    /// is over.
    pub(super) async fn turn(
        &mut self,
        pace: &mut Pace,
        options: &Options,
        report: &mut impl FnMut(&Progress),
    ) -> Result<bool, Halted> {
        let turn = pace.wait();
        tokio::pin!(turn);
        loop {
            tokio::select! {
                biased;
                () = options.stop.cancelled() => return Ok(false),
                Some(moved) = self.under_way.next() => {
                    self.settle(moved).await?;
                    report(self.progress);
                }
                () = &mut turn => return Ok(true),
            }
        }
    }

    /// Acknowledges a letter, counts it, and takes it out of the index if it is gone from the queue.
    pub(super) async fn settle(&mut self, moved: Result<Moved, Unconfirmed>) -> Result<(), Halted> {
        let Moved {
            tag,
            letter,
            disposition,
        } = moved?;
        let acked = self.scan.ack(tag).await;
        acked.map_err(Unconfirmed::Connection)?;
        self.acting -= u64::from(disposition == Disposition::Done);
        self.progress.note(&letter.summary, disposition);
        match disposition {
            Disposition::Done | Disposition::Superseded => {
                let gone = self.index.gone(&letter.id, letter.sequence).await;
                gone.map_err(Halted::Index)
            }
            _ => Ok(()),
        }
    }
}

/// Why a job ended before its end.
#[derive(Debug)]
pub(super) enum Halted {
    Unconfirmed(Unconfirmed),
    Index(Unavailable),
}

impl From<Unconfirmed> for Halted {
    fn from(error: Unconfirmed) -> Self {
        Self::Unconfirmed(error)
    }
}

/// A letter that may be acknowledged.
pub(super) struct Moved {
    pub(super) tag: u64,
    pub(super) letter: Indexed,
    pub(super) disposition: Disposition,
}

/// A letter on its way.
pub(super) type Moving = BoxFuture<'static, Result<Moved, Unconfirmed>>;
