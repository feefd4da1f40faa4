//! The intake: takes messages from the source for as long as they can be settled.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::admission::JobKind;

use super::Engine;
use super::ports::{Entry, Incoming, Message, SettledMarker, Stopped};

/// How many marks are written side by side: what a worker can have unproven of a connection.
const MARKS_AT_ONCE: usize = 10_000;

/// What the record does not take by then is worth telling.
const SOON: Duration = Duration::from_secs(2);

/// So many events may be on their way from the source to admission. While their webhooks are looked
/// up nobody knows how many deliveries they make, so only few more than the hand may come of them.
pub(super) const ARRIVING: usize = 32;

/// Held by an event that was taken, and for whose deliveries no attempts were asked yet.
pub(super) type Arriving = Option<OwnedSemaphorePermit>;

impl Engine {
    /// Takes messages until the source ends, each into a job of its own, while there is room for
    /// what waits. While the log is away nothing is begun: it could not be put on record.
    pub(super) async fn take_all(
        self: &Arc<Self>,
        mut messages: mpsc::Receiver<Incoming>,
        kind: JobKind,
        jobs: &TaskTracker,
    ) {
        loop {
            let next = async {
                let arriving = match kind {
                    JobKind::Event => self.arrive().await,
                    JobKind::Message => None,
                };
                self.limiter.room(kind).await;
                let incoming = messages.recv().await;
                // Asked for each message when it is there: the log may go away while none comes.
                self.record_available().await;
                Some((incoming?, arriving))
            };
            let next = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                next = next => next,
            };
            let Some((incoming, arriving)) = next else {
                return;
            };
            let engine = self.clone();
            jobs.spawn(engine.settle(incoming, arriving));
        }
    }

    /// Returns once the record takes something. If that takes longer than a moment, `/readyz` says so.
    async fn record_available(&self) {
        let mut available = pin!(self.ports.log.available());
        // At once as a rule, for which no timer is needed.
        if available.as_mut().now_or_never().is_some() {
            return;
        }
        if timeout(SOON, &mut available).await.is_err() {
            let _waits = self.ports.faults.waits_for_record();
            available.await;
        }
    }

    /// Returns once one more event may arrive.
    pub(super) async fn arrive(&self) -> Arriving {
        // Never closed.
        self.arriving.clone().acquire_owned().await.ok()
    }

    /// Sees one message through. Unless it is settled, its receipt is dropped here, by return or by
    /// panic, and the source returns it to its queue.
    async fn settle(self: Arc<Self>, incoming: Incoming, arriving: Arriving) {
        let Incoming {
            message,
            redelivered,
            receipt,
        } = incoming;
        let job = async {
            if receipt.is_void() {
                return Err(Stopped);
            }
            match message {
                Message::Event(raw) => self.event_job(raw, redelivered, receipt, arriving).await,
                Message::Delivery(delivery) => self.delivery_job(delivery, receipt).await,
                Message::Unreadable(raw, problem) => {
                    self.refuse_delivery(raw, problem, receipt).await
                }
            }
        };
        // Pinned here, and not handed to `run_until_cancelled`: moving it would double the size of
        // every job.
        let job = pin!(job);
        let result = tokio::select! {
            biased;
            () = self.abandoned.cancelled() => Err(Stopped),
            result = job => result,
        };
        if result.is_err() {
            self.counters.returned.count();
        }
    }

    /// Puts what `entry` makes of each of `marks` on record, until `done`: what had come by then is
    /// still put there. All that is known goes out at once: what is lost is soon handed out again.
    pub(super) async fn keep(
        self: Arc<Self>,
        mut marks: mpsc::UnboundedReceiver<SettledMarker>,
        entry: fn(SettledMarker) -> Option<Entry>,
        done: CancellationToken,
    ) {
        let mut batch = Vec::new();
        loop {
            let received = tokio::select! {
                biased;
                received = marks.recv_many(&mut batch, MARKS_AT_ONCE) => received,
                () = done.cancelled() => return,
            };
            if received == 0 {
                return;
            }
            // The newest first: of what is lost, the oldest is the likeliest to have arrived.
            let entries = batch.drain(..).rev().filter_map(entry);
            join_all(entries.map(|entry| self.ports.log.write(entry))).await;
        }
    }
}

/// What is settled although the broker does not know: it will hand the message out again, to this
/// worker or another.
pub(super) fn lost(mark: SettledMarker) -> Option<Entry> {
    Some(Entry {
        mark: Some(mark),
        ..Entry::default()
    })
}

/// What the broker knows to be settled. Of a message with siblings some were marked; not before
/// now may the marks go, or a worker that dies with its acknowledgements on their way would have
/// the whole fan-out repeated.
pub(super) fn proven(mark: SettledMarker) -> Option<Entry> {
    (mark.webhooks.len() > 1).then(|| Entry {
        unmark: Some((mark.organization, mark.message)),
        ..Entry::default()
    })
}
