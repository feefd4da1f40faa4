//! Requeues and purges of dead letters under way, with their progress.
//!
//! A pass over many letters, or at a low rate, outlasts any request: it goes on in the process that
//! began it, and is asked how far it is. Stopping one, or losing the process, loses no letter: each
//! leaves the dead letters only once what becomes of it is durable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::domain::ids::Organization;
use crate::store::dead_letters::{Action, DeadLetters, Filter, Options, Progress};

/// How many ended passes are remembered.
const REMEMBERED: usize = 100;

/// The passes of this process.
#[derive(Clone, Default)]
pub struct Passes {
    all: Arc<Mutex<BTreeMap<Uuid, Slot>>>,
}

struct Slot {
    pass: Pass,
    stop: CancellationToken,
    /// Cancelled once it has ended.
    ended: CancellationToken,
}

/// One pass through the dead letters.
#[derive(Debug, Clone)]
pub struct Pass {
    /// Its id.
    pub id: Uuid,
    /// Whose letters are meant.
    pub organization: Organization,
    /// What is done with them.
    pub action: Action,
    /// Whether they are only counted.
    pub dry_run: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// How far it is.
    pub progress: Progress,
    /// Whether it goes on.
    pub state: PassState,
}

/// Whether a pass goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassState {
    /// It does.
    Running,
    /// It has been through.
    Done,
    /// It was stopped; what was done stays done.
    Stopped,
    /// It could not go on, for this reason; what was done stays done.
    Failed(String),
}

/// A pass of the organization is under way already.
#[derive(Debug, thiserror::Error)]
#[error(
    "pass {0} through the dead letters of this organization is under way; wait for it or stop it"
)]
pub struct UnderWay(pub Uuid);

impl Passes {
    /// Begins a pass with what `filter` means of an organization's letters; one at a time for each
    /// organization. It ends early when `stop` is cancelled.
    pub fn start(
        &self,
        letters: Arc<dyn DeadLetters>,
        organization: &Organization,
        action: Action,
        filter: Filter,
        options: Options,
        stop: &CancellationToken,
    ) -> Result<Pass, UnderWay> {
        let mut all = self.lock();
        if let Some(running) = under_way(&all, organization) {
            return Err(UnderWay(running.id));
        }
        let pass = Pass {
            id: Uuid::now_v7(),
            organization: organization.clone(),
            action,
            dry_run: options.dry_run,
            started_at: Timestamp::now(),
            progress: Progress::default(),
            state: PassState::Running,
        };
        let stop = stop.child_token();
        let slot = Slot {
            pass: pass.clone(),
            stop: stop.clone(),
            ended: CancellationToken::new(),
        };
        let ended = slot.ended.clone().drop_guard();
        all.insert(pass.id, slot);
        forget_oldest(&mut all);
        drop(all);

        let filter = Filter {
            organization: Some(organization.to_string()),
            ..filter
        };
        let options = Options {
            stop: stop.clone(),
            ..options
        };
        let (passes, id) = (self.clone(), pass.id);
        tokio::spawn(async move {
            let mut report = |progress: &Progress| {
                passes.update(id, |pass| {
                    pass.progress.clone_from(progress);
                })
            };
            let processing = letters.process(action, &filter, &options, &mut report);
            let state = match processing.await {
                Ok(progress) => {
                    let state = end_state(&progress, stop.is_cancelled());
                    passes.update(id, |pass| pass.progress = progress);
                    state
                }
                Err(error) => PassState::Failed(error.to_string()),
            };
            passes.update(id, |pass| pass.state = state);
            drop(ended);
        });
        Ok(pass)
    }

    /// The pass with this id, if it is the organization's.
    pub fn get(&self, organization: &Organization, id: Uuid) -> Option<Pass> {
        let all = self.lock();
        let pass = all.get(&id).map(|slot| &slot.pass);
        pass.filter(|pass| pass.organization == *organization)
            .cloned()
    }

    /// The pass that is under way for an organization.
    pub fn running(&self, organization: &Organization) -> Option<Pass> {
        under_way(&self.lock(), organization).cloned()
    }

    /// The pass as it is once it has ended, or after `limit`.
    pub async fn wait(&self, pass: Pass, limit: Duration) -> Pass {
        let ended = self.lock().get(&pass.id).map(|slot| slot.ended.clone());
        if let Some(ended) = ended {
            // Either way it is looked at.
            let _ = tokio::time::timeout(limit, ended.cancelled()).await;
        }
        self.get(&pass.organization, pass.id).unwrap_or(pass)
    }

    /// Tells a pass of the organization to stop; `false` if there is none with this id.
    pub fn stop(&self, organization: &Organization, id: Uuid) -> bool {
        let all = self.lock();
        let slot = all.get(&id);
        let own = slot.filter(|slot| slot.pass.organization == *organization);
        if let Some(slot) = own {
            slot.stop.cancel();
        }
        own.is_some()
    }

    fn update(&self, id: Uuid, change: impl FnOnce(&mut Pass)) {
        if let Some(slot) = self.lock().get_mut(&id) {
            change(&mut slot.pass);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, Slot>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn under_way<'a>(all: &'a BTreeMap<Uuid, Slot>, organization: &Organization) -> Option<&'a Pass> {
    let mut passes = all.values().map(|slot| &slot.pass);
    passes.find(|pass| pass.organization == *organization && pass.state == PassState::Running)
}

/// What a pass that came to an end with this progress is.
fn end_state(progress: &Progress, stopped: bool) -> PassState {
    if stopped && progress.looked_at < progress.total {
        PassState::Stopped
    } else if progress.cut_short {
        PassState::Failed(format!(
            "it looked at {} of {}: somebody else is going through the rest; start it again once \
             that is over",
            progress.looked_at, progress.total
        ))
    } else {
        PassState::Done
    }
}

/// Ids begin with the time: the first are the oldest.
fn forget_oldest(all: &mut BTreeMap<Uuid, Slot>) {
    let ended = all
        .iter()
        .filter(|(_, slot)| slot.pass.state != PassState::Running);
    let ended: Vec<Uuid> = ended.map(|(id, _)| *id).collect();
    for id in ended.iter().rev().skip(REMEMBERED) {
        all.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_done_only_if_it_has_seen_all_that_it_was_to_see() {
        let progress = |looked_at, cut_short| Progress {
            total: 5,
            looked_at,
            cut_short,
            ..Progress::default()
        };
        assert_eq!(end_state(&progress(5, false), false), PassState::Done);
        assert_eq!(end_state(&progress(5, false), true), PassState::Done);
        // It had a limit, and reached it.
        assert_eq!(end_state(&progress(2, false), false), PassState::Done);
        assert_eq!(end_state(&progress(2, false), true), PassState::Stopped);
        let failed = end_state(&progress(2, true), false);
        assert!(matches!(failed, PassState::Failed(why) if why.contains("2 of 5")));
    }
}
