//! What is followed, by how many, and up to where it was read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast::{Receiver, Sender};
use tokio_util::task::AbortOnDropHandle;

use super::{Record, Scope};
use crate::domain::ids::Organization;
use crate::store::delivery_log::RecordedAttempt;
use crate::store::entry::EntryId;

/// How many attempts are kept for the slowest of those who follow the same; whoever is further
/// behind reads them from the store. An attempt takes about 2 KiB.
const RING: usize = 128;

/// What is followed in this process.
#[derive(Debug, Default)]
pub struct Followed(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    records: HashMap<Record, Rings>,
    /// The task that reads; there while somebody follows.
    task: Option<AbortOnDropHandle<()>>,
}

/// Those who follow one record: all of it, or what is of one organization.
#[derive(Debug)]
struct Rings {
    read_up_to: EntryId,
    rings: HashMap<Option<Organization>, Ring>,
}

#[derive(Debug)]
struct Ring {
    sender: Sender<Arc<RecordedAttempt>>,
    followers: usize,
}

/// A follower's place among the others; dropping it gives it up.
#[derive(Debug)]
pub struct Joined {
    followed: Arc<Followed>,
    scope: Scope,
    sender: Sender<Arc<RecordedAttempt>>,
}

impl Followed {
    /// One more who follows `scope`. If nobody followed its record before, that is read from behind
    /// `newest` on; if nobody followed anything, `start` begins to read.
    pub(super) fn join(
        this: &Arc<Self>,
        scope: Scope,
        newest: EntryId,
        start: impl FnOnce() -> AbortOnDropHandle<()>,
    ) -> Joined {
        let mut state = this.lock();
        let rings = state.records.entry(scope.record.clone());
        let rings = rings.or_insert_with(|| Rings {
            read_up_to: newest,
            rings: HashMap::new(),
        });
        let ring = rings.rings.entry(scope.organization.clone());
        let ring = ring.or_insert_with(|| Ring {
            sender: Sender::new(RING),
            followers: 0,
        });
        ring.followers += 1;
        let sender = ring.sender.clone();
        state.task.get_or_insert_with(start);
        drop(state);
        Joined {
            followed: this.clone(),
            scope,
            sender,
        }
    }

    /// Each record that is followed, and the entry behind which it is to be read.
    pub fn read_up_to(&self) -> Vec<(Record, EntryId)> {
        let state = self.lock();
        let records = state.records.iter();
        records
            .map(|(record, rings)| (record.clone(), rings.read_up_to))
            .collect()
    }

    /// Tells those who follow `record` of what was read, oldest first, up to the entry `reached`.
    pub fn tell(&self, record: &Record, attempts: Vec<RecordedAttempt>, reached: EntryId) {
        let mut state = self.lock();
        // Everybody may have left meanwhile.
        let Some(rings) = state.records.get_mut(record) else {
            return;
        };
        let before = rings.read_up_to;
        rings.read_up_to = before.max(reached);
        // Others may have joined since it was asked for, after all had left: then it was read twice.
        for one in attempts.into_iter().filter(|one| one.entry > before) {
            let own = match record {
                Record::Whole => rings.rings.get(&Some(one.attempt.organization.clone())),
                Record::Webhook(_) => None,
            };
            let one = Arc::new(one);
            for ring in own.into_iter().chain(rings.rings.get(&None)) {
                // Nobody listens while all of them read for themselves.
                let _ = ring.sender.send(one.clone());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Joined {
    /// What is followed.
    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What is told from now on.
    pub(super) fn listen(&self) -> Receiver<Arc<RecordedAttempt>> {
        self.sender.subscribe()
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let mut state = self.followed.lock();
        let Scope {
            record,
            organization,
        } = &self.scope;
        if let Some(rings) = state.records.get_mut(record) {
            if let Some(ring) = rings.rings.get_mut(organization) {
                ring.followers -= 1;
                if ring.followers == 0 {
                    rings.rings.remove(organization);
                }
            }
            if rings.rings.is_empty() {
                state.records.remove(record);
            }
        }
        let task = match state.records.is_empty() {
            true => state.task.take(),
            false => None,
        };
        drop(state);
        drop(task);
    }
}
