//! One who follows the record.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::Stream;
use futures::stream;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::Reader;
use super::followed::Joined;
use crate::store::delivery_log::{AttemptFilter, RecordedAttempt};
use crate::store::entry::EntryId;

/// One who follows the record: hears of each attempt wanted once, in the order of the record.
#[derive(Debug)]
pub struct Follower<R> {
    reader: R,
    filter: AttemptFilter,
    joined: Joined,
    heard: Receiver<Arc<RecordedAttempt>>,
    /// The last entry that was looked at.
    last: EntryId,
    /// Whether what is told may begin later than behind `last`, so that it must be read from the
    /// store first.
    behind: bool,
    ready: VecDeque<RecordedAttempt>,
}

impl<R: Reader> Follower<R> {
    pub(super) fn new(reader: R, filter: AttemptFilter, joined: Joined, last: EntryId) -> Self {
        Self {
            reader,
            filter,
            heard: joined.listen(),
            joined,
            last,
            behind: true,
            ready: VecDeque::new(),
        }
    }

    /// The next attempt. Nothing is missed if the call is given up.
    pub async fn next(&mut self) -> RecordedAttempt {
        loop {
            if let Some(one) = self.ready.pop_front() {
                return one;
            }
            if self.behind {
                self.catch_up().await;
                continue;
            }
            match self.heard.recv().await {
                // It was read from the store already.
                Ok(one) if one.entry <= self.last => {}
                Ok(one) => {
                    self.last = one.entry;
                    if self.filter.wants(&one.attempt) {
                        return Arc::unwrap_or_clone(one);
                    }
                }
                Err(RecvError::Lagged(_)) => {
                    // Before the store is read, so that nothing falls between.
                    self.heard = self.joined.listen();
                    self.behind = true;
                }
                // The ring is there for as long as somebody has joined.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    /// All of them.
    pub fn into_stream(self) -> impl Stream<Item = RecordedAttempt> {
        stream::unfold(self, async |mut follower| {
            Some((follower.next().await, follower))
        })
    }

    async fn catch_up(&mut self) {
        let part = self.reader.behind(self.joined.scope(), self.last).await;
        self.last = self.last.max(part.reached);
        self.behind = part.more;
        let wanted = part.attempts.into_iter();
        self.ready
            .extend(wanted.filter(|one| self.filter.wants(&one.attempt)));
    }
}
