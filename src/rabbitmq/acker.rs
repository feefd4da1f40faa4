//! Acknowledging what is settled, on one channel, and knowing what has arrived.
//!
//! An acknowledgement that was written to the socket need not have arrived. The broker does not
//! confirm acknowledgements, so every now and then the acker asks the channel for something that
//! is answered: the answer shows that the channel has what was sent before. Having it is not all:
//! RabbitMQ may hold an acknowledgement back in the channel for some milliseconds, and loses it
//! when the channel dies just then. So a mark is kept until a second answer, [`PROVE_AFTER`] later.
//! When a channel dies, the marks that are still kept are reported as lost.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures::future::try_join_all;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicQosOptions};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::ack_tracker::{AckTracker, MAX_ACK_DELAY};
use super::life::Life;
use crate::engine::admission::Place;
use crate::engine::ports::{SettledMarker, Settlement};

/// How soon after an acknowledgement it is proven that the broker has it: it bounds the marks that
/// are kept for the case that it has not, and costs four small frames a second.
const PROVE_AFTER: Duration = Duration::from_millis(250);

/// How often a channel is asked for a sign of life while there is nothing to prove.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// How long the broker may take to answer before the channel counts as dead.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// How many settlements are taken up at once.
const BATCH: usize = 1_024;

/// Where it is told which acknowledgements arrived.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    /// The marks of those that were lost with their channel, perhaps.
    pub lost: mpsc::UnboundedSender<SettledMarker>,
    /// The marks of those that the broker has.
    pub proven: mpsc::UnboundedSender<SettledMarker>,
}

/// Acknowledges the messages of one channel.
pub(super) struct Acker {
    channel: Channel,
    prefetch: u16,
    life: Life,
    flush: CancellationToken,
    settlements: mpsc::UnboundedReceiver<Settlement>,
    tracker: AckTracker,
    /// The places of what is settled and not yet acknowledged.
    places: BTreeMap<u64, Place>,
    /// The marks of what was acknowledged, or is about to be, since the last question.
    unproven: Vec<SettledMarker>,
    /// Those of what was acknowledged before it, and is proven by the answer after the next.
    half_proven: Vec<SettledMarker>,
    marks: Marks,
}

/// A question to the broker under way, and the marks of what its answer proves.
struct Question {
    answer: Pin<Box<dyn Future<Output = Result<(), String>> + Send>>,
    proves: Vec<SettledMarker>,
}

impl Acker {
    /// For `channel`, which has this prefetch. Acknowledges what comes by way of `settlements`; told
    /// to flush, what is there, and no more.
    pub(super) fn new(
        channel: &Channel,
        prefetch: u16,
        life: &Life,
        marks: &Marks,
        settlements: mpsc::UnboundedReceiver<Settlement>,
        flush: &CancellationToken,
    ) -> Self {
        Self {
            channel: channel.clone(),
            prefetch,
            life: life.clone(),
            flush: flush.clone(),
            settlements,
            tracker: AckTracker::default(),
            places: BTreeMap::new(),
            unproven: Vec::new(),
            half_proven: Vec::new(),
            marks: marks.clone(),
        }
    }

    /// Acknowledges until the channel dies or everything is flushed, then reports as lost what
    /// still comes, until no receipt is left.
    pub(super) async fn run(mut self, flushed: DropGuard) {
        let mut question = None;
        if let Err(reason) = self.acknowledge(&mut question).await {
            let proves = question.map(|question| question.proves).unwrap_or_default();
            let older = proves.into_iter().chain(self.half_proven.drain(..));
            for mark in older.chain(self.unproven.drain(..)) {
                // Nobody listens once the engine has gone.
                let _ = self.marks.lost.send(mark);
            }
            self.life.end(reason);
            // The broker has the messages back: nothing is in flight on their behalf any more.
            self.places.clear();
        }
        drop(flushed);
        while let Some(settlement) = self.settlements.recv().await {
            if let Settlement::Done {
                mark: Some(mark), ..
            } = settlement
            {
                let _ = self.marks.lost.send(mark);
            }
        }
        // The channel is kept for as long as its connection. Dropped, lapin would close it, and
        // report the answer that a closing connection no longer brings as an error.
        self.life.ended().await;
    }

    /// Returns `Ok` once all that was settled before the flush is acknowledged, or nothing is left
    /// to settle.
    async fn acknowledge(&mut self, question: &mut Option<Question>) -> Result<(), String> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut asked_at = tokio::time::Instant::now();
        let life = self.life.clone();
        loop {
            let due = self.tracker.due();
            let ask_at = asked_at
                + if self.unproven.is_empty() && self.half_proven.is_empty() {
                    ASK_EVERY
                } else {
                    PROVE_AFTER
                };
            let mut flushing = false;
            tokio::select! {
                reason = life.ended() => return Err(reason.to_owned()),
                received = self.settlements.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        // The reader goes when the connection dies, and may be the last to: nothing
                        // is proven by that.
                        let dead = life.over().is_cancelled();
                        return if dead { Err(life.ended().await.to_owned()) } else { Ok(()) };
                    }
                }
                () = tokio::time::sleep_until(due.unwrap_or(ask_at)), if due.is_some() => {}
                answer = answer(question) => {
                    // Without an answer nothing is proven, and what should have been stays in the
                    // question to be reported as lost.
                    answer?;
                    for mark in question.take().into_iter().flat_map(|question| question.proves) {
                        // Nobody listens once the engine has gone.
                        let _ = self.marks.proven.send(mark);
                    }
                }
                () = tokio::time::sleep_until(ask_at), if question.is_none() => {
                    asked_at = tokio::time::Instant::now();
                    *question = Some(self.ask());
                }
                () = self.flush.cancelled() => {
                    while let Ok(settlement) = self.settlements.try_recv() {
                        batch.push(settlement);
                    }
                    flushing = true;
                }
            }
            self.settle(&mut batch, flushing).await?;
            if flushing {
                return Ok(());
            }
            // Others get to settle more before the next round: more messages for one frame.
            tokio::task::yield_now().await;
        }
    }

    /// Sends what `batch` and the time call for. A place is given back once the acknowledgement of
    /// its message is written.
    async fn settle(&mut self, batch: &mut Vec<Settlement>, all: bool) -> Result<(), String> {
        let now = Instant::now();
        let mut returned = Vec::new();
        for settlement in batch.drain(..) {
            match settlement {
                Settlement::Done { tag, mark, place } => {
                    self.tracker.settled(tag, now);
                    self.unproven.extend(mark);
                    self.places.extend(place.map(|place| (tag, place)));
                }
                Settlement::Returned { tag } => {
                    self.tracker.returned(tag);
                    returned.push(tag);
                }
            }
        }
        let plan = self
            .tracker
            .plan(if all { now + MAX_ACK_DELAY } else { now });
        let failed = |error| format!("an acknowledgement failed: {error}");
        // First of all, what is returned: an acknowledgement of everything up to a later tag would
        // take it along.
        let nack = BasicNackOptions {
            multiple: false,
            requeue: true,
        };
        let nacks = returned
            .into_iter()
            .map(|tag| self.channel.basic_nack(tag, nack));
        try_join_all(nacks).await.map_err(failed)?;
        let run = plan.up_to.map(|tag| (tag, true));
        let singles = plan.singles.iter().map(|tag| (*tag, false));
        let acks = run
            .into_iter()
            .chain(singles)
            .map(|(tag, multiple)| self.channel.basic_ack(tag, BasicAckOptions { multiple }));
        // Each call hands over its frame when it is first polled, so they go out in one write.
        try_join_all(acks).await.map_err(failed)?;
        if let Some(tag) = plan.up_to {
            self.places = self.places.split_off(&(tag + 1));
        }
        for tag in plan.singles {
            self.places.remove(&tag);
        }
        Ok(())
    }

    /// Asks the channel for something harmless that is answered: the prefetch that it has already.
    fn ask(&mut self) -> Question {
        let (channel, prefetch) = (self.channel.clone(), self.prefetch);
        let answer = Box::pin(async move {
            let asking = channel.basic_qos(prefetch, BasicQosOptions::default());
            match tokio::time::timeout(ANSWER_LIMIT, asking).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(format!("the channel failed: {error}")),
                Err(_) => Err(format!("RabbitMQ did not answer within {ANSWER_LIMIT:?}")),
            }
        });
        let proves = std::mem::replace(&mut self.half_proven, std::mem::take(&mut self.unproven));
        Question { answer, proves }
    }
}

/// The answer to the question under way; never, if there is none.
async fn answer(question: &mut Option<Question>) -> Result<(), String> {
    match question {
        Some(question) => question.answer.as_mut().await,
        None => std::future::pending().await,
    }
}
