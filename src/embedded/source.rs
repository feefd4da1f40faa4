//! Handing out what is due, and settling it.
//!
//! A lane for each kind of message hands out what is due, oldest first, and remembers in memory
//! what it has handed out: its claims. A settled message is deleted with the next group of writes,
//! and its claim ends when that is on the disk; a returned one loses its claim and is handed out
//! again, flagged. What is loaded and what claims end happens in one task, in turn, so no message
//! is read before a deletion and handed out after it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use rusqlite::{Connection, params};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::due::{More, Row, find};
use super::handover::{LetterKind, supersede};
use super::message::{self, MessageKind};
use super::millis;
use super::store::Store;
use super::writer::{WhenFull, Write};
use crate::domain::dead_letter::Reason;
use crate::engine::admission::Place;
use crate::engine::clock::Clock;
use crate::engine::ports::{Incoming, Receipt, SettledMarker, Settlement, Source};
use crate::store::dead_letters::POISON_DETAIL;

/// How long finishing may take before what is unsettled is left for the next start.
const FINISH_LIMIT: Duration = Duration::from_secs(10);

/// The longest sleep: the wall clock may be set, and then what is due is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// A message that was returned so often without ever being settled is given up.
const RETURNS: u32 = 100;

/// Settlements taken at once.
const SETTLED_AT_ONCE: usize = 1024;

/// Stops the source.
#[derive(Debug)]
pub struct SourceHandle {
    stop: CancellationToken,
    lanes: [AbortOnDropHandle<()>; 3],
}

impl SourceHandle {
    /// Hands out nothing more; what is handed out can still be settled.
    pub fn stop_taking(&self) {
        self.stop.cancel();
    }

    /// Stops, and returns once everything handed out is settled or returned and that is on the
    /// disk. Waits for 10 s at most.
    pub async fn close(self) {
        self.stop_taking();
        if timeout(FINISH_LIMIT, futures::future::join_all(self.lanes))
            .await
            .is_err()
        {
            tracing::warn!("not everything handed out was settled; it will be handed out again");
        }
    }
}

/// Begins to hand out, at most `prefetch` unsettled messages of each kind.
pub(super) fn start(store: &Store, clock: Clock, prefetch: usize) -> (Source, SourceHandle) {
    let stop = CancellationToken::new();
    let (proven, proven_acks) = mpsc::unbounded_channel();
    let lane = |kind| {
        let (out, messages) = mpsc::channel(prefetch.max(1));
        let lane = Lane::new(
            kind,
            store.clone(),
            clock,
            out,
            proven.clone(),
            stop.clone(),
        );
        (messages, AbortOnDropHandle::new(tokio::spawn(lane.run())))
    };
    let (events, events_lane) = lane(MessageKind::Event);
    let (deliveries, deliveries_lane) = lane(MessageKind::Delivery);
    let (parts, parts_lane) = lane(MessageKind::Part);
    // A settlement waits for as long as the disk is away: none is ever lost.
    let (_, lost_acks) = mpsc::unbounded_channel();
    let source = Source {
        events,
        deliveries,
        parts,
        lost_acks,
        proven_acks,
    };
    let lanes = [events_lane, deliveries_lane, parts_lane];
    (source, SourceHandle { stop, lanes })
}

/// Messages whose deletion is under way, with what waits for it.
type Ending = BoxFuture<'static, Ended>;

struct Ended {
    ids: Vec<i64>,
    /// The marks of events that will never come again.
    marks: Vec<SettledMarker>,
    /// Given back now that the messages cannot be repeated any more.
    _places: Vec<Place>,
}

struct Lane {
    kind: MessageKind,
    store: Store,
    clock: Clock,
    stop: CancellationToken,
    /// Where to; none once nothing more is to be handed out.
    out: Option<(mpsc::Sender<Incoming>, mpsc::UnboundedSender<Settlement>)>,
    settlements: mpsc::UnboundedReceiver<Settlement>,
    /// Where the marks of what is deleted go.
    proven: mpsc::UnboundedSender<SettledMarker>,
    /// The messages handed out, or being deleted.
    claims: HashSet<i64>,
    /// How often a message was returned.
    returns: HashMap<i64, u32>,
    ending: FuturesUnordered<Ending>,
    prefetch: usize,
    /// When to look for messages.
    more: More,
}

impl Lane {
    fn new(
        kind: MessageKind,
        store: Store,
        clock: Clock,
        out: mpsc::Sender<Incoming>,
        proven: mpsc::UnboundedSender<SettledMarker>,
        stop: CancellationToken,
    ) -> Self {
        let (settling, settlements) = mpsc::unbounded_channel();
        Self {
            kind,
            store,
            clock,
            stop,
            prefetch: out.max_capacity(),
            out: Some((out, settling)),
            settlements,
            proven,
            claims: HashSet::new(),
            returns: HashMap::new(),
            ending: FuturesUnordered::new(),
            more: More::Now,
        }
    }

    /// Works until everything handed out is settled and nothing more is to be handed out.
    async fn run(mut self) {
        let store = self.store.clone();
        let added = store.signals().of(self.kind);
        let mut settled = Vec::new();
        loop {
            self.load().await;
            let (taking, until_more) = (self.out.is_some(), self.until_more());
            tokio::select! {
                count = self.settlements.recv_many(&mut settled, SETTLED_AT_ONCE) => {
                    if count == 0 {
                        break;
                    }
                    self.settle(settled.drain(..));
                }
                Some(ended) = self.ending.next() => self.ended(ended),
                () = added.notified(), if taking => self.more = More::Now,
                () = sleep(until_more), if taking => self.look_at_the_clock(),
                () = self.stop.cancelled(), if taking => self.out = None,
            }
        }
        while let Some(ended) = self.ending.next().await {
            self.ended(ended);
        }
    }

    /// How long until something may be due that is not now.
    fn until_more(&self) -> Duration {
        let More::At(due_at) = self.more else {
            // New messages are announced, and so is room for those that are there.
            return LOOK_EVERY;
        };
        let wait = due_at.saturating_sub(millis(self.clock.now()));
        Duration::from_millis(u64::try_from(wait).unwrap_or(0)).min(LOOK_EVERY)
    }

    fn look_at_the_clock(&mut self) {
        if matches!(self.more, More::At(due_at) if due_at <= millis(self.clock.now())) {
            self.more = More::Now;
        }
    }

    /// Hands out what is due and not yet handed out, as far as there is room for it.
    async fn load(&mut self) {
        let room = self.prefetch - self.claims.len().min(self.prefetch);
        // Looking for a handful costs as much as for many.
        let worthwhile = (self.prefetch / 16).max(1);
        if self.out.is_none() || !matches!(self.more, More::Now) || room < worthwhile {
            return;
        }
        let (kind, claims) = (self.kind.number(), self.claims.clone());
        let now = millis(self.clock.now());
        let find = move |connection: &Connection| find(connection, kind, now, &claims, room);
        let loaded = self.store.read_retrying("messages to hand out", find).await;
        self.more = loaded.more;
        for row in loaded.rows {
            self.hand_out(row);
        }
    }

    fn hand_out(&mut self, row: Row) {
        let Some((out, settling)) = &self.out else {
            return;
        };
        let id = row.id;
        let incoming = Incoming {
            message: message::read(self.kind, id, &row.head, Bytes::from(row.body)),
            redelivered: self.store.was_found(id) || self.returns.contains_key(&id),
            // Ids count from 1.
            receipt: Receipt::new(id.unsigned_abs(), settling.clone()),
        };
        self.claims.insert(id);
        // There is room for every claim. If nobody receives any more, the receipt returns it.
        if out.try_send(incoming).is_err() {
            self.out = None;
        }
    }

    fn settle(&mut self, settlements: impl Iterator<Item = Settlement>) {
        let (mut ids, mut places, mut marks) = (Vec::new(), Vec::new(), Vec::new());
        for settlement in settlements {
            match settlement {
                Settlement::Done { tag, place, mark } => {
                    ids.push(tag.cast_signed());
                    marks.extend(mark);
                    places.extend(place);
                }
                Settlement::Returned { tag } => self.returned(tag.cast_signed()),
            }
        }
        if ids.is_empty() {
            return;
        }
        let messages = ids.clone();
        let deleting = self
            .store
            .submit(Write::new(WhenFull::Wait), move |connection| {
                let mut delete = connection.prepare_cached("DELETE FROM messages WHERE id = ?")?;
                for id in &messages {
                    delete.execute([id])?;
                }
                Ok(())
            });
        self.end(ids, places, marks, deleting);
    }

    fn returned(&mut self, id: i64) {
        let returns = self.returns.entry(id).or_default();
        *returns += 1;
        if *returns < RETURNS {
            self.claims.remove(&id);
            self.more = More::Now;
            return;
        }
        tracing::error!(
            id,
            "a message that is never settled goes to the dead letters"
        );
        let now = millis(self.clock.now());
        // A part is a delivery like any other once it is a dead letter.
        let kind = match self.kind {
            MessageKind::Event => LetterKind::Event,
            MessageKind::Delivery | MessageKind::Part => LetterKind::Delivery,
        };
        let giving_up = self
            .store
            .submit(Write::new(WhenFull::Wait), move |connection| {
                connection.execute(
                    "INSERT INTO dead_letters (kind, reason, detail, dead_at, head, body) \
                 SELECT ?5, ?2, ?3, ?4, head, body FROM messages WHERE id = ?1",
                    params![id, Reason::Poison.name(), POISON_DETAIL, now, kind as i64],
                )?;
                supersede(connection, connection.last_insert_rowid())?;
                connection.execute("DELETE FROM messages WHERE id = ?", [id])?;
                Ok(())
            });
        self.end(vec![id], Vec::new(), Vec::new(), giving_up);
    }

    /// Keeps the claims on `ids` until they are `gone`.
    fn end(
        &mut self,
        ids: Vec<i64>,
        places: Vec<Place>,
        marks: Vec<SettledMarker>,
        gone: impl Future<Output = Result<(), super::writer::WriteError>> + Send + 'static,
    ) {
        self.ending.push(Box::pin(async move {
            if let Err(error) = gone.await {
                // Only a store that is closed gives up a deletion.
                tracing::warn!(%error, "settled messages are not deleted; they will come again");
                std::future::pending::<()>().await;
            }
            Ended {
                ids,
                marks,
                _places: places,
            }
        }));
    }

    fn ended(&mut self, ended: Ended) {
        for id in &ended.ids {
            self.claims.remove(id);
            self.returns.remove(id);
        }
        for mark in ended.marks {
            // Nobody listens once the engine has gone.
            let _ = self.proven.send(mark);
        }
    }
}
