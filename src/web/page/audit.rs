//! The audit log: who changed what, and when.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Html;
use maud::{Markup, html};
use serde::Deserialize;

use super::error::PageError;
use super::layout::{Area, page_at, time};
use super::visitor::Visitor;
use crate::domain::audit::{Action, AuditEntry};
use crate::domain::ids::WebhookId;
use crate::store::audit::{AuditFilter, AuditPart};
use crate::web::cursor::Cursors;
use crate::web::state::AppState;

/// How many entries a page shows.
const ROWS: usize = 100;

const COLUMNS: [&str; 5] = ["Time", "Who", "What", "Webhook", "Details"];

/// Which entries are wanted. An empty choice is none.
#[derive(Debug, Default, Deserialize)]
pub struct EntryChoice {
    #[serde(default)]
    action: String,
    #[serde(default)]
    webhook_id: String,
    #[serde(default)]
    cursor: String,
}

impl EntryChoice {
    fn filter(&self) -> Result<AuditFilter, PageError> {
        let wrong = |error: String| PageError::new(StatusCode::UNPROCESSABLE_ENTITY, error);
        let action = Some(&*self.action).filter(|action| !action.is_empty());
        let action = action.map(str::parse::<Action>).transpose();
        let webhook = Some(&*self.webhook_id).filter(|id| !id.is_empty());
        let webhook = webhook.map(WebhookId::new).transpose();
        Ok(AuditFilter {
            action: action.map_err(|error| wrong(error.to_string()))?,
            webhook: webhook.map_err(|error| wrong(error.to_string()))?,
            ..AuditFilter::default()
        })
    }

    fn is_of_all(&self) -> bool {
        self.action.is_empty() && self.webhook_id.is_empty() && self.cursor.is_empty()
    }

    /// Where the part behind `cursor` is.
    fn at(&self, cursor: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("action", &*self.action),
            ("webhook_id", &self.webhook_id),
            ("cursor", cursor),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        format!("/audit?{}", query.finish())
    }
}

/// What was changed in the organization, newest first.
pub async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    Query(wanted): Query<EntryChoice>,
) -> Result<Html<String>, PageError> {
    let filter = wanted.filter()?;
    let cursors = Cursors::of(&app, &visitor.organization).await?;
    let before = cursors.read(&wanted.cursor);
    let log = &app.deployment.audit_log;
    let part = log
        .list(Some(&visitor.organization), &filter, ROWS, before)
        .await?;
    let content = html! {
        h1 { "Audit log" }
        p.quiet { "Who changed a webhook, sent deliveries again or threw dead letters away, and when." }
        (filters(&wanted))
        (entries(&wanted, &part))
        @if let Some(next) = part.next { p { a.button href=(wanted.at(&cursors.seal(next))) { "Older entries" } } }
    };
    Ok(page_at(Area::Audit, "Audit log", Some(&visitor), &content))
}

fn filters(wanted: &EntryChoice) -> Markup {
    html! {
        form.filters method="get" action="/audit" aria-label="Filter" {
            div {
                label for="action" { "What was done" }
                select #action name="action" {
                    option value="" { "anything" }
                    @for action in Action::ALL {
                        option value=(action) selected[action.name() == wanted.action] { (action) }
                    }
                }
            }
            div {
                label for="webhook_id" { "Webhook, by its id" }
                input #webhook_id type="text" name="webhook_id" value=(wanted.webhook_id) autocomplete="off" spellcheck="false";
            }
            button { "Show" }
        }
    }
}

fn entries(wanted: &EntryChoice, part: &AuditPart) -> Markup {
    html! {
        @if part.entries.is_empty() {
            div.card {
                @if part.next.is_some() { p { "Among the newest there is none like that; there are older ones." } }
                @else if wanted.is_of_all() { p { strong { "Nothing was changed yet." } " Whatever is changed here, over the API or by a command appears in this log." } }
                @else { p { "No entry is like that." } }
            }
        } @else {
            div.card.scroll {
                table role="table" aria-label="Audit log" {
                    thead role="rowgroup" { tr role="row" { @for column in COLUMNS { th role="columnheader" scope="col" { (column) } } } }
                    tbody role="rowgroup" { @for entry in &part.entries { (row(entry)) } }
                }
            }
        }
    }
}

fn row(entry: &AuditEntry) -> Markup {
    html! {
        tr role="row" {
            td.number role="cell" data-label=(COLUMNS[0]) { (time(entry.at)) }
            td role="cell" data-label=(COLUMNS[1]) { span { (entry.actor) " " span.small.quiet { (entry.through.name()) } } }
            td.wide role="cell" data-label=(COLUMNS[2]) { code { (entry.action) } }
            td role="cell" data-label=(COLUMNS[3]) { (webhook(entry)) }
            td.wide role="cell" data-label=(COLUMNS[4]) { (entry.details()) }
        }
    }
}

/// The webhook, and the way to everything that was done to it: it may be gone.
fn webhook(entry: &AuditEntry) -> Markup {
    html! {
        @if let Some(id) = &entry.webhook_id {
            a href={ "/audit?webhook_id=" (id) } { (entry.subject()) }
        } @else { span.quiet { "–" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_goes_on_with_the_next_part_and_nonsense_is_told() {
        let choice = EntryChoice {
            action: "webhook.deleted".to_owned(),
            webhook_id: "a:b".to_owned(),
            cursor: "17".to_owned(),
        };
        assert_eq!(
            choice.at("9"),
            "/audit?action=webhook.deleted&webhook_id=a%3Ab&cursor=9"
        );
        assert_eq!(
            choice.filter().unwrap().action,
            Some(Action::WebhookDeleted)
        );
        let nonsense = EntryChoice {
            action: "webhook.moved".to_owned(),
            ..EntryChoice::default()
        };
        assert!(nonsense.filter().is_err());
        assert_eq!(
            EntryChoice::default().filter().unwrap(),
            AuditFilter::default()
        );
    }
}
