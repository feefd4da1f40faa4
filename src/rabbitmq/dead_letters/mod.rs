//! Going once through the dead-letter queue: sending letters round again, throwing them away, or
//! seeing to it that the index has them all.
//!
//! AMQP can only take from the front of a queue, so everything here takes, one after the other, the
//! letters that were there at the start. A letter is acknowledged only once what becomes of it is
//! confirmed: the new message, or the letter itself again at the queue's tail. Nothing is ever refused
//! back to the queue one by one, so no delivery limit is spent. Every letter that is met gets its entry
//! in the index: of two who go through the queue at once, one or the other has met each.

mod disposing;
mod queue_scan;
mod walk;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use lapin::Connection;

use self::queue_scan::QueueScan;
use self::walk::{Halted, Moved, Moving, Walk};
use super::confirm::{Confirmer, Patience, Unconfirmed};
use super::connection::{self, ConnectError, NOT_FOUND, Purpose, Server, reply_code};
use super::dead_letter_message::DeadLetterMessage;
use super::declare;
use super::message::Outgoing;
use super::topology::Topology;
use crate::store::Unavailable;
pub use crate::store::dead_letters::{Action, Filter, Found, Options, Progress, Summary};
use crate::store::dead_letters::{Disposition, Pace};
use crate::store::letter_index::{Indexed, LetterIndex, Standing};

/// How many letters are on their way at once when they are moved.
const MOVING: u16 = 128;

/// The dead letters could not be gone through.
#[derive(Debug, thiserror::Error)]
pub enum DeadLettersError {
    /// The queue is not there.
    #[error("the queue {queue} is missing; create it with `prism-webhooks topology apply`")]
    Missing {
        /// The queue's name.
        queue: String,
    },
    /// The connection failed on the way. What was not acknowledged is still in the queue; of what
    /// was under way, at most 128 letters, some may have been moved and be there as well.
    #[error("the connection to RabbitMQ failed after {} letters were done: {source}", progress.done)]
    Connection {
        /// Why the connection failed.
        source: lapin::Error,
        /// How far the job was.
        progress: Box<Progress>,
    },
    /// The index cannot be read or written.
    #[error("stopped after {} letters were done: the index of dead letters is not there: {source}", progress.done)]
    Index {
        /// What is the matter with it.
        source: Unavailable,
        /// How far the job was.
        progress: Box<Progress>,
    },
    /// A letter could not be published anew. It is still in the queue.
    #[error("stopped after {} letters were done: {source}", progress.done)]
    Publish {
        /// Why the letter could not be published.
        source: Unconfirmed,
        /// How far the job was.
        progress: Box<Progress>,
    },
}

/// The dead-letter queue, over a connection of its own.
pub struct DeadLetters {
    confirmer: Arc<Confirmer>,
    topology: Arc<Topology>,
    index: Arc<dyn LetterIndex>,
}

/// What somebody goes through the queue for.
#[derive(Debug, Clone, Copy)]
enum Errand<'a> {
    /// To act on what a filter means, or of that on those which the index knows by these ids.
    Act(Action, &'a Filter, Option<&'a BTreeSet<String>>),
    /// To see what there is.
    Pass,
}

impl DeadLetters {
    /// Connects.
    pub async fn connect(
        server: &Server,
        topology: Arc<Topology>,
        index: Arc<dyn LetterIndex>,
    ) -> Result<Self, ConnectError> {
        let connection = server.connect(Purpose::DeadLetters).await?;
        Ok(Self {
            confirmer: Arc::new(Confirmer::new(connection)),
            topology,
            index,
        })
    }

    /// Closes the connection.
    pub async fn close(self) {
        connection::close(self.connection()).await;
    }

    /// How many dead letters wait. Those that somebody is going through do not count.
    pub async fn count(&self) -> Result<u64, DeadLettersError> {
        let queue = self.topology.dead_letters_queue();
        let contents = declare::look(queue, self.connection()).await;
        let contents = contents.map_err(|error| self.failed(error, &Progress::default()))?;
        Ok(u64::from(contents.messages))
    }

    /// Goes once through the letters there are and does `action` with those that match `filter`, and
    /// that the index knows by the `chosen` ids if there are any. Calls `report` now and then with what
    /// was done so far.
    pub async fn process(
        &self,
        action: Action,
        filter: &Filter,
        chosen: Option<&BTreeSet<String>>,
        options: &Options,
        report: impl FnMut(&Progress),
    ) -> Result<Progress, DeadLettersError> {
        let errand = Errand::Act(action, filter, chosen);
        let (progress, _) = self.go_through(errand, options, report).await?;
        Ok(progress)
    }

    /// Goes once through the letters there are, so that each has its entry in the index. Returns how
    /// many were met twice; `None` if it did not get through all of them.
    pub(super) async fn pass(
        &self,
        report: impl FnMut(&Progress),
    ) -> Result<Option<u64>, DeadLettersError> {
        let options = Options::default();
        let (progress, twice) = self.go_through(Errand::Pass, &options, report).await?;
        // Where others take letters as well, the rest may be with them, who enter what they take.
        let through = !progress.cut_short || self.count().await? == 0;
        Ok(through.then_some(twice))
    }

    async fn go_through(
        &self,
        errand: Errand<'_>,
        options: &Options,
        mut report: impl FnMut(&Progress),
    ) -> Result<(Progress, u64), DeadLettersError> {
        let mut progress = Progress {
            total: self.count().await?,
            ..Progress::default()
        };
        if progress.total == 0 {
            report(&progress);
            return Ok((progress, 0));
        }
        // What waits for its turn waits in the queue, and in nobody's hands.
        let prefetch = options.rate.is_none().then_some(MOVING);
        let queue = self.topology.dead_letters_queue();
        let scan = QueueScan::start(self.connection(), queue, progress.total, prefetch).await;
        let mut walk = Walk {
            scan: scan.map_err(|error| self.failed(error, &Progress::default()))?,
            under_way: FuturesUnordered::new(),
            index: &self.index,
            met: HashSet::new(),
            twice: 0,
            progress: &mut progress,
            acting: 0,
        };
        let working = self.work_through(errand, options, &mut walk, &mut report);
        let mut result = working.await;
        // After a failure as well: what has been published must not stay in the queue too.
        while let Some(moved) = walk.under_way.next().await {
            result = result.and(walk.settle(moved).await);
        }
        let twice = walk.twice;
        let gave_back = walk.scan.give_back(self.connection(), queue).await;
        report(&progress);
        match result.and(gave_back.map_err(|error| Unconfirmed::Connection(error).into())) {
            Ok(()) => Ok((progress, twice)),
            Err(Halted::Index(source)) => Err(DeadLettersError::Index {
                source,
                progress: Box::new(progress),
            }),
            Err(Halted::Unconfirmed(Unconfirmed::Connection(source))) => {
                Err(self.failed(source, &progress))
            }
            Err(Halted::Unconfirmed(source)) => Err(DeadLettersError::Publish {
                source,
                progress: Box::new(progress),
            }),
        }
    }

    /// The errand itself. What is still under way at its end is left in the walk.
    async fn work_through(
        &self,
        errand: Errand<'_>,
        options: &Options,
        walk: &mut Walk<'_>,
        report: &mut impl FnMut(&Progress),
    ) -> Result<(), Halted> {
        let mut pace = Pace::new(options.rate);
        let mut acted = true;
        loop {
            let taken = walk.progress.done + walk.acting;
            let limited = options.limit.is_some_and(|limit| taken >= limit);
            if limited || options.stop.is_cancelled() || walk.scan.complete() {
                return Ok(());
            }
            if std::mem::take(&mut acted) && !walk.turn(&mut pace, options, report).await? {
                return Ok(());
            }
            let room = match walk.scan.is_asked() {
                true => walk.under_way.is_empty(),
                false => walk.under_way.len() < usize::from(MOVING),
            };
            let message = tokio::select! {
                Some(moved) = walk.under_way.next() => {
                    walk.settle(moved).await?;
                    report(walk.progress);
                    continue;
                }
                message = walk.scan.next(), if room => message.map_err(Unconfirmed::Connection)?,
                () = options.stop.cancelled() => return Ok(()),
            };
            let Some(message) = message else {
                // The broker may only be waiting for the acknowledgement of what is under way.
                match walk.under_way.next().await {
                    Some(moved) => walk.settle(moved).await?,
                    None => {
                        walk.progress.cut_short = !walk.scan.complete();
                        return Ok(());
                    }
                }
                continue;
            };
            let tag = message.delivery_tag;
            let letter = DeadLetterMessage::new(message.into(), &self.topology);
            let indexed = letter.indexed(&self.topology);
            let (disposition, outgoing) = match walk.meet(&indexed).await? {
                Standing::Void => (Disposition::Superseded, None),
                Standing::Stands => self.dispose(&letter, &indexed, errand).await?,
            };
            acted = disposition == Disposition::Done;
            walk.acting += u64::from(acted);
            let moving = self.carry_out(outgoing, tag, indexed, disposition);
            walk.under_way.push(moving);
        }
    }

    /// Publishes what is to be published; the letter `tag` may be acknowledged afterwards.
    fn carry_out(
        &self,
        outgoing: Option<Outgoing>,
        tag: u64,
        letter: Indexed,
        disposition: Disposition,
    ) -> Moving {
        let (confirmer, index) = (Arc::clone(&self.confirmer), Arc::clone(&self.index));
        let goes = matches!(disposition, Disposition::Done | Disposition::Superseded);
        Box::pin(async move {
            if let Some(outgoing) = outgoing {
                let published = confirmer.publish(&outgoing, Patience::WhileItMayCome).await;
                if published.is_err() && goes {
                    // If it was all the same, its copy is skipped. If this fails, the claim ends by itself.
                    let _ = index.release(&letter).await;
                }
                published?;
            }
            Ok(Moved {
                tag,
                letter,
                disposition,
            })
        })
    }

    fn connection(&self) -> &Connection {
        self.confirmer.connection()
    }

    fn failed(&self, source: lapin::Error, progress: &Progress) -> DeadLettersError {
        if reply_code(&source) == Some(NOT_FOUND) {
            let queue = self.topology.dead_letters_queue().to_owned();
            DeadLettersError::Missing { queue }
        } else {
            DeadLettersError::Connection {
                source,
                progress: Box::new(progress.clone()),
            }
        }
    }
}
