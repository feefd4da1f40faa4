//! The audit log: who changed what, and when.

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::answers::{ForOrganization, Usual};
use super::authentication::CurrentOrganization;
use super::query::{PartSize, Query};
use super::texts::{CursorText, WebhookIdText};
use crate::domain::audit::{Action, AuditEntry, AuditedJob};
use crate::domain::ids::WebhookId;
use crate::store::audit::AuditFilter;
use crate::web::cursor::{Cursor, Cursors};
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// Which entries are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// What was done.
    #[param(value_type = ActionName, inline, required = false)]
    action: Option<Action>,
    /// By whoever has this name.
    #[param(value_type = String, required = false)]
    actor: Option<String>,
    /// To this webhook, by its id.
    #[param(value_type = WebhookIdText, inline, required = false)]
    webhook_id: Option<WebhookId>,
    /// Done then or later.
    #[param(value_type = String, format = DateTime, required = false)]
    since: Option<Timestamp>,
    /// Done before then.
    #[param(value_type = String, format = DateTime, required = false)]
    until: Option<Timestamp>,
    /// At most so many.
    #[serde(default)]
    #[param(inline, required = false)]
    limit: PartSize,
    /// The `next` of the part before.
    #[param(value_type = CursorText, inline, required = false)]
    cursor: Option<Cursor>,
}

/// What was done.
pub(super) struct ActionName;

impl PartialSchema for ActionName {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.enum_values(Some(Action::ALL.map(Action::name))).into()
    }
}

impl ToSchema for ActionName {}

/// Somebody's change.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditEntryView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// In which organization.
    organization: Option<String>,
    /// Who: the name of the token that was used; the user of a command; `local` where there are no
    /// tokens; `prism-webhooks` where the program did it by itself.
    actor: String,
    /// Through what: `api`, `page`, `cli` or `worker`.
    through: &'static str,
    /// What was done.
    #[schema(value_type = ActionName, inline)]
    action: &'static str,
    /// The webhook that was changed, or that the delivery was for.
    webhook_id: Option<String>,
    /// Its name afterwards.
    webhook_name: Option<String>,
    /// Its endpoint, if that is new; a query is shown as `***`.
    url: Option<String>,
    /// The fields of the webhook that changed.
    fields: Vec<String>,
    /// Why the webhook was disabled.
    reason: Option<String>,
    /// The delivery that was retried.
    delivery_id: Option<String>,
    /// The requeue or purge of dead letters.
    job: Option<AuditedJobView>,
}

/// A requeue or a purge: which dead letters were meant, and what was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditedJobView {
    /// Its id: that of the entry of its beginning and of that of its end.
    id: String,
    /// How it stood: `running`, `done`, `stopped` or `failed`.
    state: String,
    /// Why it could not go on, of one that failed.
    error: Option<String>,
    /// Only those of this webhook.
    webhook_id: Option<String>,
    /// Only those of events of this type.
    event_type: Option<String>,
    /// Only those given up for this reason.
    reason: Option<&'static str>,
    /// Only those given up then or later.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only those given up before then.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// The first hundred of those that were chosen one by one.
    ids: Vec<String>,
    /// How many were chosen one by one.
    chosen: Option<u64>,
    /// So many at most.
    limit: Option<u64>,
    /// How many were requeued or purged until then.
    done: u64,
    /// How many could not be requeued, for they are no deliveries.
    unusable: u64,
}

impl From<AuditEntry> for AuditEntryView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            at: entry.at,
            organization: entry.organization.map(|one| one.to_string()),
            actor: entry.actor,
            through: entry.through.name(),
            action: entry.action.name(),
            webhook_id: entry.webhook_id.map(|id| id.to_string()),
            webhook_name: entry.webhook_name,
            url: entry.url,
            fields: entry.fields,
            reason: entry.reason,
            delivery_id: entry.delivery_id.map(|id| id.to_string()),
            job: entry.job.map(AuditedJobView::from),
        }
    }
}

impl From<AuditedJob> for AuditedJobView {
    fn from(job: AuditedJob) -> Self {
        Self {
            id: job.id,
            state: job.state,
            error: job.error,
            webhook_id: job.webhook_id,
            event_type: job.event_type,
            reason: job.reason.map(|reason| reason.name()),
            since: job.since,
            until: job.until,
            ids: job.ids,
            chosen: job.chosen,
            limit: job.limit,
            done: job.done,
            unusable: job.unusable,
        }
    }
}

/// A part of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditList {
    /// The entries, newest first.
    items: Vec<AuditEntryView>,
    /// The `cursor` of the next part; null if there is nothing older. A filter that matches little
    /// may give a part that is short, or empty, and is not the last.
    next: Option<String>,
}

/// List who changed what
///
/// Every change of a webhook, every retry by hand, and the beginning and the end of every requeue and
/// purge of dead letters, newest first: by the API, the page and the commands, and webhooks that were
/// disabled without anybody's doing. Nothing in it is secret. What other programs write to the store is
/// not in it.
#[utoipa::path(
    get,
    path = "/audit",
    operation_id = "list_audit",
    tag = "audit",
    params(ForOrganization, AuditQuery),
    responses((status = 200, description = "A part of the audit log", body = AuditList), Usual)
)]
pub(super) async fn list(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    Query(query): Query<AuditQuery>,
) -> Result<axum::Json<AuditList>, Problem> {
    let filter = AuditFilter {
        action: query.action,
        actor: query.actor,
        webhook: query.webhook_id,
        since: query.since,
        until: query.until,
    };
    let cursors = Cursors::of(&app, &organization).await?;
    let before = query.cursor.map(|cursor| cursors.open(&cursor));
    let before = before.map(|entry| entry.ok_or_else(|| Problem::bad_request(Cursor::REFUSAL)));
    let log = &app.deployment.audit_log;
    let part = log
        .list(
            Some(&organization),
            &filter,
            query.limit.0,
            before.transpose()?,
        )
        .await?;
    Ok(axum::Json(AuditList {
        items: part.entries.into_iter().map(AuditEntryView::from).collect(),
        next: part.next.map(|entry| cursors.seal(entry)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::{Actor, Through};
    use crate::domain::dead_letter::Reason;
    use crate::domain::ids::{DeliveryId, Organization};

    #[test]
    fn the_api_shows_an_entry_as_the_commands_do() {
        let at = Timestamp::from_second(1_780_000_000).unwrap();
        let organization = Organization::default();
        let actor = Actor::new("alice", Through::Page);
        let job = AuditedJob {
            reason: Some(Reason::Poison),
            since: Some(at),
            ids: vec!["d".to_owned()],
            chosen: Some(1),
            ..AuditedJob::default()
        };
        let whole = AuditEntry {
            webhook_id: WebhookId::new("w").ok(),
            webhook_name: Some("n".to_owned()),
            url: Some("u".to_owned()),
            fields: vec!["url".to_owned()],
            reason: Some("r".to_owned()),
            delivery_id: DeliveryId::new("d").ok(),
            job: Some(job),
            ..AuditEntry::new(Some(&organization), &actor, Action::Purged, at)
        };
        let little = AuditEntry::new(None, &actor, Action::WebhookDeleted, at);
        for entry in [whole, little] {
            let shown = serde_json::to_value(AuditEntryView::from(entry.clone())).unwrap();
            assert_eq!(shown, serde_json::to_value(entry).unwrap());
        }
    }
}
