//! What is entered in the audit log of what people do to deliveries and dead letters.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::jobs::{JobState, end_state};
use crate::domain::audit::{Action as Audited, Actor, AuditEntry, AuditedJob};
use crate::domain::delivery::Delivery;
use crate::domain::ids::Organization;
use crate::store::Unavailable;
use crate::store::audit::{AuditLog, enter};
use crate::store::dead_letters::{Action, DeadLetters, Filter, Options, Progress, Report};

/// What is entered of a delivery that is retried by hand.
pub(super) fn retried(actor: &Actor, delivery: &Delivery, webhook_name: &str) -> AuditEntry {
    let organization = &delivery.event.organization;
    let (action, now) = (Audited::DeliveryRetried, Timestamp::now());
    AuditEntry {
        webhook_id: Some(delivery.webhook.clone()),
        webhook_name: Some(webhook_name.to_owned()),
        delivery_id: Some(delivery.id.clone()),
        ..AuditEntry::new(Some(organization), actor, action, now)
    }
}

/// A requeue or a purge, as the audit log tells of it.
#[derive(Debug, Clone)]
pub struct JobInAudit {
    actor: Actor,
    action: Action,
    job: AuditedJob,
}

impl JobInAudit {
    /// A job of this id that does `action` with what `filter` means; who asked for it.
    pub fn new(id: Uuid, actor: Actor, action: Action, filter: &Filter, options: &Options) -> Self {
        let ids = filter.ids.iter().flatten();
        let job = AuditedJob {
            id: id.to_string(),
            webhook_id: filter.webhook.clone(),
            event_type: filter.event_type.clone(),
            reason: filter.reason,
            since: filter.since,
            until: filter.until.into_iter().chain(filter.seen).min(),
            ids: ids.take(AuditedJob::NAMED).cloned().collect(),
            chosen: filter.ids.as_ref().map(|ids| ids.len() as u64),
            limit: options.limit,
            ..AuditedJob::default()
        };
        Self { actor, action, job }
    }

    /// What is entered when it begins.
    fn began(&self, organization: Option<&Organization>) -> AuditEntry {
        let action = match self.action {
            Action::Requeue => Audited::RequeueStarted,
            Action::Purge => Audited::PurgeStarted,
        };
        let state = JobState::Running;
        self.entry(organization, action, &state, &Progress::default())
    }

    /// What is entered at its end.
    fn ended(
        &self,
        organization: Option<&Organization>,
        state: &JobState,
        progress: &Progress,
    ) -> AuditEntry {
        let action = match self.action {
            Action::Requeue => Audited::Requeued,
            Action::Purge => Audited::Purged,
        };
        self.entry(organization, action, state, progress)
    }

    fn entry(
        &self,
        organization: Option<&Organization>,
        action: Audited,
        state: &JobState,
        progress: &Progress,
    ) -> AuditEntry {
        let job = AuditedJob {
            state: state.name().to_owned(),
            error: match state {
                JobState::Failed(error) => Some(error.clone()),
                _ => None,
            },
            done: progress.done,
            unusable: progress.unusable,
            ..self.job.clone()
        };
        AuditEntry {
            job: Some(job),
            ..AuditEntry::new(organization, &self.actor, action, Timestamp::now())
        }
    }
}

/// Goes once through the dead letters, as [`DeadLetters::process`] does. That it begins is entered in
/// the audit log of `organization` before anything is touched, and how it ended with what was done, also
/// if it is given up half-way. If everybody's letters are meant (`None`), that is entered in the
/// operator's own log, and at the end in that of each organization whose letters it were. What only
/// counts changes nothing.
pub async fn go_through(
    letters: &dyn DeadLetters,
    log: Arc<dyn AuditLog>,
    audit: &JobInAudit,
    organization: Option<&Organization>,
    (filter, options): (&Filter, &Options),
    report: Report<'_>,
) -> Result<Progress, Unavailable> {
    if options.dry_run {
        return letters.process(audit.action, filter, options, report).await;
    }
    enter(&*log, &audit.began(organization)).await?;
    let mut begun = Begun {
        log,
        audit: audit.clone(),
        organization: organization.cloned(),
        progress: Progress::default(),
        ended: false,
    };
    let mut both = |progress: &Progress| {
        begun.progress.clone_from(progress);
        report(progress);
    };
    let processing = letters.process(audit.action, filter, options, &mut both);
    let result = processing.await;
    let state = match &result {
        Ok(progress) => {
            begun.progress.clone_from(progress);
            end_state(progress, options.stop.is_cancelled())
        }
        Err(error) => JobState::Failed(error.to_string()),
    };
    begun.ended = true;
    enter_all(&*begun.log, begun.ends(&state)).await;
    result
}

/// A job that began and has to end.
struct Begun {
    log: Arc<dyn AuditLog>,
    audit: JobInAudit,
    organization: Option<Organization>,
    /// How far it is, as was last told.
    progress: Progress,
    ended: bool,
}

impl Begun {
    fn ends(&self, state: &JobState) -> Vec<AuditEntry> {
        let whole = self
            .audit
            .ended(self.organization.as_ref(), state, &self.progress);
        let everybodys = self.organization.is_none();
        let touched = self.progress.by_organization.iter();
        let own = touched.filter(|_| everybodys).filter_map(|(name, done)| {
            let organization = Organization::new(name).ok()?;
            let done = Progress {
                done: *done,
                ..Progress::default()
            };
            Some(self.audit.ended(Some(&organization), state, &done))
        });
        [whole].into_iter().chain(own).collect()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !self.ended {
            let (log, ends) = (self.log.clone(), self.ends(&JobState::Stopped));
            runtime.spawn(async move { enter_all(&*log, ends).await });
        }
    }
}

/// Enters what was done already and cannot be undone: if it cannot be entered, the program's log has it.
async fn enter_all(log: &dyn AuditLog, entries: Vec<AuditEntry>) {
    for entry in entries {
        if let Err(error) = enter(log, &entry).await {
            let entry = entry.to_json();
            tracing::error!(%error, entry, "the end of a job could not be entered in the audit log");
        }
    }
}
