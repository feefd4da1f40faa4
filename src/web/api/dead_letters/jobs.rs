//! Requeuing and purging: jobs through the dead letters that go on after the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::model::ReasonName;
use crate::domain::audit::Actor;
use crate::domain::ids::{EventType, Organization, WebhookId};
use crate::operations::jobs::{Job, JobAsked, JobState, JobUnderWay, NoSuchJob, RATES};
use crate::store::dead_letters::{Action, Filter, Options};
use crate::web::api::answers::{ForOrganization, Usual, WithBody};
use crate::web::api::authentication::{CurrentActor, CurrentOrganization};
use crate::web::api::body::Json;
use crate::web::api::query::Path;
use crate::web::api::whole;
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// How long an answer waits for a job that is soon through.
const SOON: Duration = Duration::from_secs(1);

/// The most letters that can be chosen one by one.
const CHOSEN: usize = 1_000;

/// How many letters a job may be held to: more than any queue of them holds.
const LIMITS: RangeInclusive<u64> = 1..=1_000_000_000;

/// Which dead letters are meant, and how to go about them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web::api) struct StartJob {
    /// All of the organization's: needed if nothing else says which.
    #[serde(default)]
    all: bool,
    /// Of this webhook, by its id.
    #[schema(value_type = Option<String>, pattern = "^[A-Za-z0-9._:@-]{1,128}$")]
    webhook_id: Option<WebhookId>,
    /// Of events of this type.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9_-]+([.][a-z0-9_-]+)*$", max_length = 128)]
    event_type: Option<EventType>,
    /// Given up for this reason.
    reason: Option<ReasonName>,
    /// Given up then or later.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Given up before then.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// These, by their ids.
    #[schema(max_items = 1000)]
    ids: Option<BTreeSet<String>>,
    /// So many at most, the oldest.
    #[serde(default, deserialize_with = "whole::optional")]
    #[schema(minimum = 1, maximum = 1000000000)]
    limit: Option<u64>,
    /// So many a second at most.
    #[schema(minimum = 0.001, maximum = 1000000)]
    rate: Option<f64>,
    /// Only count what would be done.
    #[serde(default)]
    dry_run: bool,
}

/// A job through the dead letters.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct JobView {
    /// Its id.
    #[schema(format = "uuid")]
    id: String,
    /// What is done: `requeue` or `purge`.
    action: &'static str,
    /// Whether it only counts.
    dry_run: bool,
    /// How it stands: `running`, `done`, `stopped` or `failed`.
    state: &'static str,
    /// Why it could not go on, of one that failed.
    error: Option<String>,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// How many of the organization's dead letters it has looked at.
    looked_at: u64,
    /// How many it requeued or purged, or would.
    done: u64,
    /// How many it cannot requeue, for they are no deliveries.
    unusable: u64,
    /// What it did, by reason.
    by_reason: BTreeMap<String, u64>,
    /// What it did, by webhook.
    by_webhook: BTreeMap<String, u64>,
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        let progress = job.progress;
        Self {
            id: job.id.to_string(),
            action: match job.action {
                Action::Requeue => "requeue",
                Action::Purge => "purge",
            },
            dry_run: job.dry_run,
            state: job.state.name(),
            error: match job.state {
                JobState::Failed(error) => Some(error),
                _ => None,
            },
            started_at: job.started_at,
            looked_at: progress.own,
            done: progress.done,
            unusable: progress.unusable,
            by_reason: progress.by_reason,
            by_webhook: progress.by_webhook,
        }
    }
}

impl StartJob {
    fn meant(self) -> Result<(Filter, Options), Problem> {
        let chosen = self.webhook_id.is_some()
            || self.event_type.is_some()
            || self.reason.is_some()
            || self.since.is_some()
            || self.until.is_some()
            || self.ids.is_some();
        if !chosen && !self.all {
            let detail = "say which dead letters are meant: by webhook_id, event_type, reason, since, \
                          until or ids, or all: true for all of the organization's";
            return Err(Problem::unprocessable(detail));
        }
        let many = self.ids.as_ref().map_or(0, BTreeSet::len);
        if many > CHOSEN {
            let detail = format!("at most {CHOSEN} can be chosen one by one");
            return Err(Problem::field("ids", detail));
        }
        if self.limit.is_some_and(|limit| !LIMITS.contains(&limit)) {
            let (least, most) = LIMITS.into_inner();
            return Err(Problem::field("limit", format!("{least} to {most}")));
        }
        if self.rate.is_some_and(|rate| !RATES.contains(&rate)) {
            let (slowest, fastest) = RATES.into_inner();
            let detail = format!("a number of dead letters a second: {slowest} to {fastest}");
            return Err(Problem::field("rate", detail));
        }
        let filter = Filter {
            reason: self.reason.map(ReasonName::reason),
            webhook: self.webhook_id.map(|id| id.to_string()),
            event_type: self.event_type.map(|name| name.to_string()),
            organization: None,
            since: self.since,
            until: self.until,
            seen: None,
            ids: self.ids,
        };
        let options = Options {
            dry_run: self.dry_run,
            limit: self.limit,
            rate: self.rate,
            ..Options::default()
        };
        Ok((filter, options))
    }
}

/// Requeue dead letters
///
/// Each starts again from attempt 1; on RabbitMQ one whose delivery is being retried by hand stays. The
/// job goes on after the answer, unless it is soon through; one at a time for an organization.
#[utoipa::path(
    post,
    path = "/dead-letters/requeue",
    operation_id = "requeue_dead_letters",
    tag = "dead letters",
    params(ForOrganization),
    request_body = StartJob,
    responses(
        (status = 202, description = "The job, and how far it is", body = JobView,
         headers(("Location" = String, description = "The job"))),
        (status = 409, description = "Another job is under way", body = Problem, content_type = "application/problem+json"),
        Usual, WithBody,
    )
)]
pub(in crate::web::api) async fn requeue(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    CurrentActor(actor): CurrentActor,
    Json(asked): Json<StartJob>,
) -> Result<Response, Problem> {
    start(&app, organization, actor, Action::Requeue, asked).await
}

/// Purge dead letters
///
/// They are thrown away for good. The job goes on after the answer, unless it is soon through; one
/// at a time for an organization.
#[utoipa::path(
    post,
    path = "/dead-letters/purge",
    operation_id = "purge_dead_letters",
    tag = "dead letters",
    params(ForOrganization),
    request_body = StartJob,
    responses(
        (status = 202, description = "The job, and how far it is", body = JobView,
         headers(("Location" = String, description = "The job"))),
        (status = 409, description = "Another job is under way", body = Problem, content_type = "application/problem+json"),
        Usual, WithBody,
    )
)]
pub(in crate::web::api) async fn purge(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    CurrentActor(actor): CurrentActor,
    Json(asked): Json<StartJob>,
) -> Result<Response, Problem> {
    start(&app, organization, actor, Action::Purge, asked).await
}

async fn start(
    app: &AppState,
    organization: Organization,
    actor: Actor,
    action: Action,
    asked: StartJob,
) -> Result<Response, Problem> {
    let (filter, options) = asked.meant()?;
    let asked = JobAsked {
        organization,
        actor,
        action,
        meant: None,
        filter,
        options,
    };
    let jobs = &app.jobs;
    let started = jobs.start(&app.deployment, asked, &app.stop);
    let job = jobs.wait(started?, SOON).await;
    let location = format!("/api/v1/dead-letters/jobs/{}", job.id);
    let location = HeaderValue::from_str(&location).unwrap_or(HeaderValue::from_static("/"));
    let view = axum::Json(JobView::from(job));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], view).into_response())
}

/// Get a job through the dead letters
#[utoipa::path(
    get,
    path = "/dead-letters/jobs/{id}",
    operation_id = "get_dead_letters_job",
    tag = "dead letters",
    params(ForOrganization, ("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "How far it is", body = JobView),
        (status = 404, description = "This process knows of no such job", body = Problem, content_type = "application/problem+json"),
        Usual,
    )
)]
pub(in crate::web::api) async fn get(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    Path(id): Path<String>,
) -> Result<axum::Json<JobView>, Problem> {
    let job = app.jobs.get(&organization, job_id(&id)?)?;
    Ok(axum::Json(JobView::from(job)))
}

/// Stop a job through the dead letters
///
/// What it has done stays done; the rest stays as it was.
#[utoipa::path(
    delete,
    path = "/dead-letters/jobs/{id}",
    operation_id = "stop_dead_letters_job",
    tag = "dead letters",
    params(ForOrganization, ("id" = String, Path, description = "Its id")),
    responses(
        (status = 202, description = "It stops; how far it came", body = JobView),
        (status = 404, description = "This process knows of no such job", body = Problem, content_type = "application/problem+json"),
        Usual,
    )
)]
pub(in crate::web::api) async fn stop(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    Path(id): Path<String>,
) -> Result<(StatusCode, axum::Json<JobView>), Problem> {
    let id = job_id(&id)?;
    app.jobs.stop(&organization, id);
    let job = app.jobs.get(&organization, id)?;
    let job = app.jobs.wait(job, SOON).await;
    Ok((StatusCode::ACCEPTED, axum::Json(JobView::from(job))))
}

fn job_id(text: &str) -> Result<Uuid, NoSuchJob> {
    text.parse().map_err(|_| NoSuchJob)
}

impl From<JobUnderWay> for Problem {
    fn from(error: JobUnderWay) -> Self {
        Self::of(&error)
    }
}

impl From<NoSuchJob> for Problem {
    fn from(error: NoSuchJob) -> Self {
        Self::of(&error)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use utoipa::PartialSchema as _;

    use super::*;

    #[test]
    fn the_document_says_which_letters_can_be_chosen_and_how_fast() {
        let schema = serde_json::to_value(StartJob::schema()).unwrap();
        let said = |field: &str, keyword: &str| schema["properties"][field][keyword].clone();
        assert_eq!(said("webhook_id", "pattern"), WebhookId::PATTERN);
        assert_eq!(said("event_type", "pattern"), EventType::PATTERN);
        assert_eq!(said("event_type", "maxLength"), EventType::LONGEST);
        assert_eq!(said("ids", "maxItems"), CHOSEN);
        let rates = [said("rate", "minimum"), said("rate", "maximum")];
        assert_eq!(json!(rates), json!([RATES.start(), 1_000_000]));
        assert_eq!(RATES.end(), &1e6);
        let limits = [said("limit", "minimum"), said("limit", "maximum")];
        assert_eq!(json!(limits), json!([LIMITS.start(), LIMITS.end()]));
    }
}
