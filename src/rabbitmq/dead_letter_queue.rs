//! The dead letters, for whoever asks from outside: lists come from the index, and what is done with
//! letters is done with the queue.
//!
//! Before each list the index is held against the queue, which takes one question to each. Where the
//! queue has letters that the index does not have, a pass goes first, in the background: whoever asks
//! waits for it for a while, and is then told how far it is. A list is right, or there is none.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::connection::Server;
use super::dead_letters::DeadLetters;
use super::topology::Topology;
use crate::store::Unavailable;
use crate::store::dead_letters::{
    self, Action, Disposition, Filter, Found, Options, Position, Progress, Report, disposition,
};
use crate::store::letter_index::{Judgement, LetterIndex, Pass, PassProgress, StillLooking, judge};

/// How long a list waits for a pass.
const PASS_PATIENCE: Duration = Duration::from_secs(3);

/// How often it looks whether the pass of another process is over.
const LOOKED_EVERY: Duration = Duration::from_millis(100);

/// How often a pass says how far it is.
const NOTED_EVERY: Duration = Duration::from_secs(1);

/// How long there may be entries without a letter before a pass sees to them: usually their letters are
/// in somebody's hands.
const EXCESS_LET_BE: Duration = Duration::from_secs(300);

/// So many entries are read at a time for a dry run.
const AT_ONCE: usize = 1_000;

/// The dead-letter queue and its index.
pub struct DeadLetterQueue {
    server: Server,
    topology: Arc<Topology>,
    index: Arc<dyn LetterIndex>,
    /// To ask how many letters there are.
    connection: tokio::sync::Mutex<Option<DeadLetters>>,
    /// Held by whoever moves letters in large numbers.
    turn: tokio::sync::Mutex<()>,
    passing: Mutex<Passing>,
}

/// The passes of this process.
#[derive(Default)]
struct Passing {
    task: Option<JoinHandle<()>>,
    /// Since when there have been entries without a letter.
    excess_since: Option<Instant>,
    /// Why it failed.
    trouble: Arc<Mutex<Option<String>>>,
}

impl DeadLetterQueue {
    /// The dead letters of a deployment.
    pub fn new(server: Server, topology: Arc<Topology>, index: Arc<dyn LetterIndex>) -> Self {
        Self {
            server,
            topology,
            index,
            connection: tokio::sync::Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            passing: Mutex::default(),
        }
    }

    async fn connect(&self) -> Result<DeadLetters, Unavailable> {
        let (topology, index) = (self.topology.clone(), self.index.clone());
        let connected = DeadLetters::connect(&self.server, topology, index).await;
        connected.map_err(Unavailable::new)
    }

    /// How many letters are ready in the queue: those in somebody's hands do not count.
    async fn ready(&self) -> Result<u64, Unavailable> {
        let mut connection = self.connection.lock().await;
        // One that idled may have died unnoticed.
        if let Some(letters) = connection.take()
            && let Ok(ready) = letters.count().await
        {
            *connection = Some(letters);
            return Ok(ready);
        }
        let letters = self.connect().await?;
        let ready = letters.count().await.map_err(Unavailable::new)?;
        *connection = Some(letters);
        Ok(ready)
    }

    /// Returns once the index has what is in the queue.
    async fn ensure_known(&self) -> Result<(), Unavailable> {
        let begun = Instant::now();
        loop {
            // The letters first: what is counted was entered before.
            let ready = self.ready().await?;
            let extent = self.index.extent().await?;
            let judgement = judge(ready, &extent);
            if self.is_excess_due(judgement == Judgement::Excessive) {
                self.begin_pass(Judgement::Excessive);
            }
            match judgement {
                Judgement::Sound | Judgement::Excessive => return Ok(()),
                Judgement::Lacking if begun.elapsed() < PASS_PATIENCE => {
                    if extent.known {
                        self.index.doubt().await?;
                    }
                    self.begin_pass(Judgement::Lacking);
                    tokio::time::sleep(LOOKED_EVERY).await;
                }
                Judgement::Lacking => {
                    let none = PassProgress {
                        looked_at: 0,
                        total: ready,
                    };
                    let trouble = self.passing().trouble.clone();
                    let trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
                    return Err(Unavailable::new(StillLooking {
                        progress: extent.pass.unwrap_or(none),
                        trouble: trouble.clone(),
                    }));
                }
            }
        }
    }

    /// Returns once no pass is under way: it has letters in hand, which a job would not come by. Or once
    /// `stop` is cancelled, which a job finds out for itself.
    async fn until_no_pass(&self, stop: &CancellationToken) -> Result<(), Unavailable> {
        while !stop.is_cancelled() {
            match self.ensure_known().await {
                Ok(()) if self.index.extent().await?.pass.is_none() => return Ok(()),
                Ok(()) => tokio::time::sleep(LOOKED_EVERY).await,
                Err(error) if error.cause().is::<StillLooking>() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The turn to move letters; `None` once `stop` is cancelled, and then there is nothing to move.
    async fn turn(&self, stop: &CancellationToken) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        tokio::select! {
            turn = self.turn.lock() => Some(turn),
            () = stop.cancelled() => None,
        }
    }

    /// Whether entries without a letter have been there for so long that a pass is to see to them. What
    /// a command meets is let be: it ends before a pass would.
    fn is_excess_due(&self, is_excessive: bool) -> bool {
        let mut passing = self.passing();
        let since = passing.excess_since.filter(|_| is_excessive);
        let since = since.unwrap_or_else(Instant::now);
        let due = is_excessive && since.elapsed() >= EXCESS_LET_BE;
        passing.excess_since = (is_excessive && !due).then_some(since);
        due
    }

    /// Begins a pass in the background for this reason, unless one of this process is under way.
    fn begin_pass(&self, why: Judgement) {
        let mut passing = self.passing();
        if passing
            .task
            .as_ref()
            .is_some_and(|task| !task.is_finished())
        {
            return;
        }
        let trouble = passing.trouble.clone();
        let (server, topology) = (self.server.clone(), self.topology.clone());
        let index = self.index.clone();
        passing.task = Some(tokio::spawn(async move {
            let passed = pass(&server, topology, index, why).await;
            if let Err(error) = &passed {
                tracing::warn!(%error, "the dead letters could not be looked through");
            }
            let why = passed.err().map(|error| error.to_string());
            *trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
        }));
    }

    fn passing(&self) -> MutexGuard<'_, Passing> {
        self.passing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the index knows the oldest letters by that `action` would do something with: the order in
    /// the queue is only about that of their times.
    async fn oldest(
        &self,
        action: Action,
        filter: &Filter,
        limit: u64,
    ) -> Result<BTreeSet<String>, Unavailable> {
        self.ensure_known().await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut oldest = BTreeSet::new();
        let mut after = None;
        loop {
            let looked = self.index.look(filter, after.as_ref(), AT_ONCE).await?;
            let usable = looked.letters.into_iter().filter(|letter| {
                let becomes = disposition(&letter.summary, letter.usable, action, filter);
                becomes == Disposition::Done
            });
            let room = limit - oldest.len();
            oldest.extend(usable.take(room).map(|letter| letter.id));
            after = looked.next;
            if after.is_none() || oldest.len() == limit {
                return Ok(oldest);
            }
        }
    }

    /// Counts what a job would do.
    async fn try_out(
        &self,
        action: Action,
        filter: &Filter,
        options: &Options,
        report: Report<'_>,
    ) -> Result<Progress, Unavailable> {
        self.ensure_known().await?;
        let everything = Filter {
            organization: filter.organization.clone(),
            ..Filter::default()
        };
        let mut progress = Progress::default();
        let mut after = None;
        loop {
            let looked = self
                .index
                .look(&everything, after.as_ref(), AT_ONCE)
                .await?;
            for letter in looked.letters {
                let limited = options.limit.is_some_and(|limit| progress.done >= limit);
                if !limited && !options.stop.is_cancelled() {
                    let disposition = disposition(&letter.summary, letter.usable, action, filter);
                    progress.note(&letter.summary, disposition);
                }
                progress.total += 1;
            }
            report(&progress);
            after = looked.next;
            if after.is_none() {
                return Ok(progress);
            }
        }
    }
}

/// Goes once through the queue, if nobody else does, and says how far it is.
async fn pass(
    server: &Server,
    topology: Arc<Topology>,
    index: Arc<dyn LetterIndex>,
    why: Judgement,
) -> Result<(), Unavailable> {
    let Some(pass) = index.begin_pass().await? else {
        return Ok(());
    };
    // Another process may have been through, and found what was lacking, since it was missed.
    let passed = match why == Judgement::Lacking && index.extent().await?.known {
        true => Ok(None),
        false => walk(server, topology, &index, &pass).await,
    };
    // Also after a failure: somebody else may try at once.
    let ended = index.end_pass(&pass, passed.as_ref().ok().copied().flatten());
    let ended = ended.await;
    passed.and(ended)
}

async fn walk(
    server: &Server,
    topology: Arc<Topology>,
    index: &Arc<dyn LetterIndex>,
    pass: &Pass,
) -> Result<Option<u64>, Unavailable> {
    let letters = DeadLetters::connect(server, topology, index.clone()).await;
    let letters = letters.map_err(Unavailable::new)?;
    let now = Mutex::new(PassProgress::default());
    let walking = letters.pass(|progress| {
        *now.lock().unwrap_or_else(PoisonError::into_inner) = PassProgress {
            looked_at: progress.looked_at,
            total: progress.total,
        };
    });
    let noting = async {
        let mut ticks = interval(NOTED_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let progress = *now.lock().unwrap_or_else(PoisonError::into_inner);
            // If it cannot be said, the walk will not get far either.
            let _ = index.note_pass(pass, progress).await;
        }
    };
    let walked = tokio::select! {
        walked = walking => walked,
        () = noting => unreachable!("it goes on until the walk ends"),
    };
    letters.close().await;
    walked.map_err(Unavailable::new)
}

#[async_trait]
impl dead_letters::DeadLetters for DeadLetterQueue {
    async fn list(
        &self,
        filter: &Filter,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Found, Unavailable> {
        self.ensure_known().await?;
        let looked = self.index.look(filter, after, limit).await?;
        let letters = looked.letters.into_iter().map(|letter| letter.summary);
        Ok(Found {
            letters: letters.collect(),
            looked_at: looked.looked_at,
            next: looked.next,
        })
    }

    async fn process(
        &self,
        action: Action,
        filter: &Filter,
        options: &Options,
        report: Report<'_>,
    ) -> Result<Progress, Unavailable> {
        if options.dry_run {
            return self.try_out(action, filter, options, report).await;
        }
        self.until_no_pass(&options.stop).await?;
        // One at a low rate holds few letters, and may go on for hours.
        let _turn = match options.rate {
            Some(_) => None,
            None => self.turn(&options.stop).await,
        };
        if options.stop.is_cancelled() {
            // It has taken nothing that would have to be given back.
            let total = self.ready().await?;
            return Ok(Progress {
                total,
                ..Progress::default()
            });
        }
        let chosen = match options.limit {
            Some(limit) => Some(self.oldest(action, filter, limit).await?),
            None => None,
        };
        let letters = self.connect().await?;
        let done = letters.process(action, filter, chosen.as_ref(), options, report);
        let done = done.await;
        letters.close().await;
        done.map_err(Unavailable::new)
    }
}
