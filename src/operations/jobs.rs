//! Requeues and purges of dead letters under way, with their progress.
//!
//! A job over many letters, or at a low rate, outlasts any request: it goes on in the process that
//! began it, and is asked how far it is. Stopping one, or losing the process, loses no letter: each
//! leaves the dead letters only once what becomes of it is durable.
//!
//! Its beginning is entered in the audit log before it touches anything, and its end with what it did.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::audit::{self, JobInAudit};
use super::deployment::Deployment;
use crate::domain::audit::Actor;
use crate::domain::ids::Organization;
use crate::store::dead_letters::{Action, Filter, Options, Progress};

/// How many letters a second a job may be held to.
pub const RATES: RangeInclusive<f64> = 0.001..=1e6;

/// How many ended jobs of an organization are remembered, whatever others do.
const REMEMBERED: usize = 100;

/// How many of all organizations.
const REMEMBERED_IN_ALL: usize = 10_000;

/// The jobs of this process.
#[derive(Clone, Default)]
pub struct Jobs {
    all: Arc<Mutex<BTreeMap<Uuid, Slot>>>,
}

struct Slot {
    job: Job,
    stop: CancellationToken,
    /// Cancelled once it has ended.
    ended: CancellationToken,
}

/// One job through the dead letters.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: Uuid,
    /// Whose letters are meant.
    pub organization: Organization,
    /// What is done with the letters.
    pub action: Action,
    /// Whether they are only counted.
    pub dry_run: bool,
    /// How many letters were meant when it was asked for, if they were counted.
    pub meant: Option<u64>,
    /// When it began.
    pub started_at: Timestamp,
    /// How far it is.
    pub progress: Progress,
    /// Whether it goes on.
    pub state: JobState,
}

/// A job that somebody asks for.
#[derive(Debug)]
pub struct JobAsked {
    /// Whose letters are meant.
    pub organization: Organization,
    /// Who asks.
    pub actor: Actor,
    /// What is to be done with the letters.
    pub action: Action,
    /// Which of them are meant.
    pub filter: Filter,
    /// How many these are, if they were counted.
    pub meant: Option<u64>,
    /// How to go about it.
    pub options: Options,
}

/// Whether a job goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// The job goes on.
    Running,
    /// The job came to its end.
    Done,
    /// The job was stopped; what was done stays done.
    Stopped,
    /// The job could not go on, for this reason; what was done stays done.
    Failed(String),
}

impl JobState {
    /// Its name: `running`, `done`, `stopped` or `failed`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Failed(_) => "failed",
        }
    }
}

/// A job of the organization is under way already.
#[derive(Debug, thiserror::Error)]
#[error(
    "job {0} through the dead letters of this organization is under way; wait for it or stop it"
)]
pub struct JobUnderWay(pub Uuid);

/// This process knows of no such job of the organization.
#[derive(Debug, thiserror::Error)]
#[error("there is no such job: it ended long ago, or another process has it")]
pub struct NoSuchJob;

impl Jobs {
    /// Begins a job with what is meant of an organization's letters; one at a time for each
    /// organization. It ends early when `stop` is cancelled.
    pub fn start(
        &self,
        deployment: &Deployment,
        asked: JobAsked,
        stop: &CancellationToken,
    ) -> Result<Job, JobUnderWay> {
        let JobAsked {
            organization,
            actor,
            action,
            filter,
            options,
            meant,
        } = asked;
        let mut all = self.lock();
        if let Some(running) = under_way(&all, &organization) {
            return Err(JobUnderWay(running.id));
        }
        let job = Job {
            id: Uuid::now_v7(),
            organization: organization.clone(),
            action,
            dry_run: options.dry_run,
            meant,
            started_at: Timestamp::now(),
            progress: Progress::default(),
            state: JobState::Running,
        };
        let stop = stop.child_token();
        let slot = Slot {
            job: job.clone(),
            stop: stop.clone(),
            ended: CancellationToken::new(),
        };
        let ended = slot.ended.clone().drop_guard();
        all.insert(job.id, slot);
        forget_oldest(&mut all, &organization);
        drop(all);

        let filter = Filter {
            organization: Some(organization.to_string()),
            ..filter
        };
        let options = Options { stop, ..options };
        let audit = JobInAudit::new(job.id, actor, action, &filter, &options);
        let (jobs, deployment, begun) = (self.clone(), deployment.clone(), job.clone());
        tokio::spawn(async move {
            let state = jobs.go_through(&begun, &deployment, &audit, &filter, &options);
            let state = state.await;
            jobs.update(begun.id, |job| job.state = state);
            drop(ended);
        });
        Ok(job)
    }

    /// Does what a job is to do, and keeps how far it is.
    async fn go_through(
        &self,
        job: &Job,
        deployment: &Deployment,
        audit: &JobInAudit,
        filter: &Filter,
        options: &Options,
    ) -> JobState {
        let id = job.id;
        let (letters, log) = (&*deployment.dead_letters, deployment.audit_log.clone());
        let mut report = |progress: &Progress| {
            self.update(id, |job| job.progress.clone_from(progress));
        };
        let (organization, meant) = (Some(&job.organization), (filter, options));
        let processing = audit::go_through(letters, log, audit, organization, meant, &mut report);
        match processing.await {
            Ok(progress) => {
                let state = end_state(&progress, options.stop.is_cancelled());
                self.update(id, |job| job.progress = progress);
                state
            }
            Err(error) => JobState::Failed(error.to_string()),
        }
    }

    /// The job with this id, if it is the organization's.
    pub fn get(&self, organization: &Organization, id: Uuid) -> Result<Job, NoSuchJob> {
        let all = self.lock();
        let job = all.get(&id).map(|slot| &slot.job);
        let own = job.filter(|job| job.organization == *organization);
        own.cloned().ok_or(NoSuchJob)
    }

    /// The job that is under way for an organization.
    pub fn running(&self, organization: &Organization) -> Option<Job> {
        under_way(&self.lock(), organization).cloned()
    }

    /// The job as it is once it has ended, or after `limit`.
    pub async fn wait(&self, job: Job, limit: Duration) -> Job {
        let ended = self.lock().get(&job.id).map(|slot| slot.ended.clone());
        if let Some(ended) = ended {
            // Either way it is looked at.
            let _ = tokio::time::timeout(limit, ended.cancelled()).await;
        }
        self.get(&job.organization, job.id).unwrap_or(job)
    }

    /// Waits until no job goes on any more, or `limit` is over: once all were told to stop.
    pub async fn all_ended(&self, limit: Duration) {
        let ended: Vec<_> = {
            let all = self.lock();
            all.values().map(|slot| slot.ended.clone()).collect()
        };
        let waiting = async {
            for ended in ended {
                ended.cancelled().await;
            }
        };
        if tokio::time::timeout(limit, waiting).await.is_err() {
            tracing::warn!("a job through the dead letters did not end in time");
        }
    }

    /// Tells a job of the organization to stop; `false` if there is none with this id.
    pub fn stop(&self, organization: &Organization, id: Uuid) -> bool {
        let all = self.lock();
        let slot = all.get(&id);
        let own = slot.filter(|slot| slot.job.organization == *organization);
        if let Some(slot) = own {
            slot.stop.cancel();
        }
        own.is_some()
    }

    fn update(&self, id: Uuid, change: impl FnOnce(&mut Job)) {
        if let Some(slot) = self.lock().get_mut(&id) {
            change(&mut slot.job);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, Slot>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn under_way<'a>(all: &'a BTreeMap<Uuid, Slot>, organization: &Organization) -> Option<&'a Job> {
    let mut jobs = all.values().map(|slot| &slot.job);
    jobs.find(|job| job.organization == *organization && job.state == JobState::Running)
}

/// Returns the state of a job that came to an end with this progress.
pub(super) fn end_state(progress: &Progress, stopped: bool) -> JobState {
    if stopped && progress.looked_at < progress.total {
        JobState::Stopped
    } else if progress.cut_short {
        // How many the rest are is nothing that one organization may know of the others.
        let why = "somebody else is going through the rest; start it again once that is over";
        JobState::Failed(why.to_owned())
    } else {
        JobState::Done
    }
}

/// Forgets the oldest of the ended jobs of this organization, and of all, beyond what is remembered.
fn forget_oldest(all: &mut BTreeMap<Uuid, Slot>, organization: &Organization) {
    forget(all, REMEMBERED, |job| job.organization == *organization);
    forget(all, REMEMBERED_IN_ALL, |_| true);
}

/// Ids begin with the time: the first are the oldest.
fn forget(all: &mut BTreeMap<Uuid, Slot>, remembered: usize, meant: impl Fn(&Job) -> bool) {
    if all.len() <= remembered {
        return;
    }
    let ended = all
        .iter()
        .filter(|(_, slot)| slot.job.state != JobState::Running && meant(&slot.job));
    let ended: Vec<Uuid> = ended.map(|(id, _)| *id).collect();
    for id in ended.iter().rev().skip(remembered) {
        all.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_done_only_if_it_has_seen_all_that_it_was_to_see() {
        let progress = |looked_at, cut_short| Progress {
            total: 5,
            looked_at,
            cut_short,
            ..Progress::default()
        };
        assert_eq!(end_state(&progress(5, false), false), JobState::Done);
        assert_eq!(end_state(&progress(5, false), true), JobState::Done);
        // The job had a limit, and reached it.
        assert_eq!(end_state(&progress(2, false), false), JobState::Done);
        assert_eq!(end_state(&progress(2, false), true), JobState::Stopped);
        let failed = end_state(&progress(2, true), false);
        assert!(matches!(failed, JobState::Failed(why) if why.contains("the rest")));
    }
    #[test]
    fn jobs_of_others_push_none_of_an_organization_out() {
        let mut all = BTreeMap::new();
        let mut end = |name: &str| {
            let organization = Organization::new(name).unwrap();
            let job = Job {
                id: Uuid::now_v7(),
                organization: organization.clone(),
                action: Action::Purge,
                dry_run: true,
                meant: None,
                started_at: Timestamp::UNIX_EPOCH,
                progress: Progress::default(),
                state: JobState::Done,
            };
            let slot = Slot {
                job: job.clone(),
                stop: CancellationToken::new(),
                ended: CancellationToken::new(),
            };
            all.insert(job.id, slot);
            forget_oldest(&mut all, &organization);
            (job.id, all.len(), all.keys().next().copied())
        };
        let (own, ..) = end("acme");
        for _ in 0..2 * REMEMBERED {
            end("other");
        }
        let (_, remembered, oldest) = end("acme");
        assert_eq!((remembered, oldest), (REMEMBERED + 2, Some(own)));
    }
}
