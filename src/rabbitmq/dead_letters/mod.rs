//! Looking through the dead letters, sending them round again, throwing them away.
//!
//! AMQP can only take from the front of a queue, so everything here goes once through the letters
//! that were there at the start. Looking takes them without acknowledging, and gives them back in
//! order by closing its channel, which the broker does a moment later. Requeuing and purging acknowledge each letter only once what
//! becomes of it is confirmed: the new message, or the letter itself again at the queue's tail.
//! Nothing is ever refused back to the queue one by one, so no delivery limit is spent.

mod queue_scan;

use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use lapin::Connection;

use self::queue_scan::QueueScan;
use super::confirm::{Confirmer, Patience, Unconfirmed};
use super::connection::{self, ConnectError, NOT_FOUND, Purpose, Server, reply_code};
use super::dead_letter_message::DeadLetterMessage;
use super::declare;
use super::message::Outgoing;
use super::topology::Topology;
use crate::store::Unavailable;
pub use crate::store::dead_letters::{Action, Filter, Found, Options, Progress, Summary};
use crate::store::dead_letters::{Afterwards, Disposition, Pace};

/// How many letters a look takes at most: AMQP's largest prefetch.
const LOOK_LIMIT: u16 = u16::MAX;

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
    /// The record does not say what became of deliveries since.
    #[error("what became of the deliveries since cannot be read: {0}")]
    Record(#[source] Unavailable),
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
    afterwards: Option<Arc<dyn Afterwards>>,
}

impl DeadLetters {
    /// Connects.
    pub async fn connect(server: &Server, topology: Arc<Topology>) -> Result<Self, ConnectError> {
        let connection = server.connect(Purpose::DeadLetters).await?;
        Ok(Self {
            confirmer: Arc::new(Confirmer::new(connection)),
            topology,
            afterwards: None,
        })
    }

    /// The same, but letters whose deliveries came to something else since do not count: they are not
    /// listed, and go when they are come by.
    pub fn without_superseded(mut self, afterwards: Arc<dyn Afterwards>) -> Self {
        self.afterwards = Some(afterwards);
        self
    }

    async fn is_superseded(&self, letter: &Summary) -> Result<bool, Unavailable> {
        match &self.afterwards {
            Some(afterwards) if letter.delivery.is_some() => afterwards.superseded(letter).await,
            _ => Ok(false),
        }
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

    /// The letters that match `filter`, at most `limit` of them, oldest first. Changes nothing;
    /// while it runs, nobody else sees the letters.
    pub async fn list(&self, filter: &Filter, limit: usize) -> Result<Found, DeadLettersError> {
        let total = self.count().await?;
        let failed = |error| self.failed(error, &Progress::default());
        let queue = self.topology.dead_letters_queue();
        let scan = QueueScan::start(self.connection(), queue, total, LOOK_LIMIT).await;
        let mut scan = scan.map_err(failed)?;
        let mut found = Found::default();
        let mut unknown = None;
        while found.letters.len() < limit && found.looked_at < u64::from(LOOK_LIMIT) {
            let Some(message) = scan.next().await.map_err(failed)? else {
                found.complete = true;
                break;
            };
            found.looked_at += 1;
            let letter = DeadLetterMessage::new(message.into(), &self.topology).summary();
            if !filter.matches(&letter) {
                continue;
            }
            match self.is_superseded(&letter).await {
                Ok(true) => {}
                Ok(false) => found.letters.push(letter),
                Err(error) => {
                    unknown = Some(error);
                    break;
                }
            }
        }
        found.complete |= found.looked_at >= total;
        scan.give_back(self.connection(), queue)
            .await
            .map_err(failed)?;
        match unknown {
            Some(error) => Err(DeadLettersError::Record(error)),
            None => Ok(found),
        }
    }

    /// Goes once through the letters there are and does `action` with those that match `filter`.
    /// Calls `report` now and then with what was done so far.
    pub async fn process(
        &self,
        action: Action,
        filter: &Filter,
        options: &Options,
        mut report: impl FnMut(&Progress),
    ) -> Result<Progress, DeadLettersError> {
        let mut progress = Progress {
            total: self.count().await?,
            ..Progress::default()
        };
        let prefetch = match options.rate {
            _ if options.dry_run => LOOK_LIMIT,
            // Letters that wait for their turn wait where others see them; here a second at most.
            Some(rate) => (rate.ceil() as u16).clamp(1, MOVING),
            None => MOVING,
        };
        let queue = self.topology.dead_letters_queue();
        let scan = QueueScan::start(self.connection(), queue, progress.total, prefetch).await;
        let mut scan = scan.map_err(|error| self.failed(error, &progress))?;
        let mut under_way = FuturesUnordered::new();
        let dispose = |letter: &DeadLetterMessage| dispose(letter, action, filter, &self.topology);
        let mut result = self
            .work_through(
                dispose,
                options,
                &mut scan,
                &mut under_way,
                &mut progress,
                &mut report,
            )
            .await;
        // After a failure as well: what has been published must not stay in the queue too.
        while let Some(moved) = under_way.next().await {
            result = result.and(Self::settle(moved, &mut scan).await);
        }
        let gave_back = scan.give_back(self.connection(), queue).await;
        report(&progress);
        match result.and(gave_back.map_err(|error| Unconfirmed::Connection(error).into())) {
            Ok(()) => Ok(progress),
            Err(Halted::Record(error)) => Err(DeadLettersError::Record(error)),
            Err(Halted::Unconfirmed(Unconfirmed::Connection(source))) => {
                Err(self.failed(source, &progress))
            }
            Err(Halted::Unconfirmed(source)) => Err(DeadLettersError::Publish {
                source,
                progress: Box::new(progress),
            }),
        }
    }

    /// The job itself. What is still under way at its end is left in `under_way`.
    async fn work_through(
        &self,
        dispose: impl Fn(&DeadLetterMessage) -> (Disposition, Option<Outgoing>),
        options: &Options,
        scan: &mut QueueScan,
        under_way: &mut FuturesUnordered<Moving>,
        progress: &mut Progress,
        report: &mut impl FnMut(&Progress),
    ) -> Result<(), Halted> {
        let mut pace = Pace::new(options.rate);
        loop {
            // A look is over where AMQP gives no more without an acknowledgement.
            let exhausted = options.dry_run && progress.looked_at == u64::from(LOOK_LIMIT);
            let limited = options.limit.is_some_and(|limit| progress.done >= limit);
            let stopped = options.stop.is_cancelled();
            if exhausted || limited || stopped || scan.complete() {
                return Ok(());
            }
            let room = under_way.len() < usize::from(MOVING);
            let message = tokio::select! {
                Some(moved) = under_way.next() => {
                    Self::settle(moved, scan).await?;
                    continue;
                }
                message = scan.next(), if room => message.map_err(Unconfirmed::Connection)?,
                () = options.stop.cancelled() => return Ok(()),
            };
            let Some(message) = message else {
                // The broker may only be waiting for the acknowledgement of what is under way.
                match under_way.next().await {
                    Some(moved) => Self::settle(moved, scan).await?,
                    None => {
                        progress.cut_short = !scan.complete();
                        return Ok(());
                    }
                }
                continue;
            };
            let tag = message.delivery_tag;
            let letter = DeadLetterMessage::new(message.into(), &self.topology);
            let summary = letter.summary();
            let (disposition, outgoing) = match self.is_superseded(&summary).await {
                Ok(true) => (Disposition::Superseded, None),
                Ok(false) => dispose(&letter),
                Err(error) => return Err(Halted::Record(error)),
            };
            if !options.dry_run && disposition == Disposition::Done {
                let turn = pace.wait();
                tokio::pin!(turn);
                // Letters under way go on meanwhile.
                loop {
                    tokio::select! {
                        biased;
                        () = options.stop.cancelled() => return Ok(()),
                        Some(moved) = under_way.next() => Self::settle(moved, scan).await?,
                        () = &mut turn => break,
                    }
                }
            }
            progress.note(&summary, disposition);
            report(progress);
            if options.dry_run {
                continue;
            }
            under_way.push(self.carry_out(outgoing, tag));
        }
    }

    async fn settle(moved: Result<u64, Unconfirmed>, scan: &mut QueueScan) -> Result<(), Halted> {
        let acked = scan.ack(moved?).await;
        Ok(acked.map_err(Unconfirmed::Connection)?)
    }

    /// Publishes what is to be published; the letter `tag` may be acknowledged afterwards.
    fn carry_out(&self, outgoing: Option<Outgoing>, tag: u64) -> Moving {
        let confirmer = Arc::clone(&self.confirmer);
        Box::pin(async move {
            if let Some(outgoing) = outgoing {
                confirmer
                    .publish(&outgoing, Patience::WhileItMayCome)
                    .await?;
            }
            Ok(tag)
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

/// Why a job ended before its end.
#[derive(Debug)]
enum Halted {
    Unconfirmed(Unconfirmed),
    Record(Unavailable),
}

impl From<Unconfirmed> for Halted {
    fn from(error: Unconfirmed) -> Self {
        Self::Unconfirmed(error)
    }
}

/// A letter on its way: its tag, once it may be acknowledged.
type Moving = BoxFuture<'static, Result<u64, Unconfirmed>>;

/// Decides what becomes of a dead letter, and what is to be published for it.
fn dispose(
    letter: &DeadLetterMessage,
    action: Action,
    filter: &Filter,
    topology: &Topology,
) -> (Disposition, Option<Outgoing>) {
    let summary = letter.summary();
    match action {
        _ if !filter.is_of_organization(&summary) => {
            (Disposition::Foreign, Some(letter.kept(topology)))
        }
        _ if !filter.matches(&summary) => (Disposition::Kept, Some(letter.kept(topology))),
        Action::Purge => (Disposition::Done, None),
        Action::Requeue => match letter.requeued(topology) {
            Some(outgoing) => (Disposition::Done, Some(outgoing)),
            None => (Disposition::Unusable, Some(letter.kept(topology))),
        },
    }
}
