//! The Delivery Log of a webhook: every attempt, and new ones as they are made.

use std::collections::HashSet;
use std::convert::Infallible;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Html;
use axum::response::sse::{Event, Sse};
use futures::Stream;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::attempts::{COLUMNS, row};
use super::error::PageError;
use super::layout::flash;
use super::moment::{moment, range};
use super::order;
use super::visitor::Visitor;
use super::webhook::{Tab, about, find, held_back_notice};
use crate::domain::ids::EventType;
use crate::domain::outcome::Outcome;
use crate::registry::webhooks::StoredWebhook;
use crate::store::delivery_log::{AttemptFilter, FAILED, Page, RecordedAttempt};
use crate::store::entry::EntryId;
use crate::web::cursor::Cursors;
use crate::web::live::{self, Listener};
use crate::web::state::AppState;

/// How many attempts a page of the log has.
const ROWS: usize = 50;

/// Which attempts of the log are wanted. An empty choice is none.
#[derive(Debug, Default, Deserialize)]
pub struct LogChoice {
    #[serde(default)]
    event_type: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    since: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    before: String,
    #[serde(default)]
    said: String,
}

impl LogChoice {
    fn filter(
        &self,
        visitor: &Visitor,
        webhook: &StoredWebhook,
    ) -> Result<AttemptFilter, PageError> {
        let id = self.id.trim();
        Ok(AttemptFilter {
            organization: Some(visitor.organization.clone()),
            webhook: Some(webhook.webhook.id.clone()),
            event_type: EventType::new(&self.event_type).ok(),
            outcome: Some(self.outcome.clone()).filter(|outcome| !outcome.is_empty()),
            status_code: None,
            status_class: self.status.parse().ok(),
            id: Some(id.to_owned()).filter(|id| !id.is_empty()),
            since: moment(&self.since)?,
            until: moment(&self.until)?,
            ..AttemptFilter::default()
        })
    }

    fn is_everything(&self) -> bool {
        self.choices().iter().all(|(_, value)| value.is_empty())
    }

    /// The query of the same choice, behind the entry `before`.
    fn query(&self, before: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.choices().into_iter().chain([("before", before)]) {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }

    fn choices(&self) -> [(&'static str, &str); 6] {
        [
            ("id", &self.id),
            ("event_type", &self.event_type),
            ("outcome", &self.outcome),
            ("status", &self.status),
            ("since", &self.since),
            ("until", &self.until),
        ]
    }
}

/// The log.
pub async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(wanted): Query<LogChoice>,
) -> Result<Html<String>, PageError> {
    let webhook = find(&app, &visitor, &id).await?;
    let filter = wanted.filter(&visitor, &webhook)?;
    let cursors = Cursors::of(&app, &visitor.organization).await?;
    let before = cursors.read(&wanted.before);
    let delivery_log = &app.deployment.delivery_log;
    let found = delivery_log.attempts(&filter, ROWS, before).await?;
    let content = html! {
        (flash(&wanted.said))
        (held_back_notice(&app, &visitor, &webhook).await?)
        (filters(&app, &webhook, &wanted))
        (log(&webhook.document.id, &wanted, &cursors, before.is_none(), &found))
    };
    Ok(about(&visitor, &webhook, Tab::Log, &content))
}

fn log(id: &str, wanted: &LogChoice, cursors: &Cursors, newest: bool, found: &Page) -> Markup {
    // Older pages and chosen ones do not change while they are read.
    let live = newest && wanted.is_everything();
    // An attempt between this answer and the stream's first must not be missed.
    let last = found.attempts.first();
    let last = last.map_or(EntryId::BEGINNING, |one| one.entry);
    let stream = live.then(|| format!("/webhooks/{id}/stream?after={}", cursors.seal(last)));
    let none = found.attempts.is_empty();
    let now = Timestamp::now();
    html! {
        @if none {
            div.card data-empty {
                @if live {
                    p { strong { "No attempts yet." } " They appear here as they are made. Publish an event to see one:" }
                    pre { "prism-webhooks publish request.completed" }
                    p { "Or send a test with the button above." }
                } @else if found.next.is_some() {
                    p { "No attempt among those looked through is like that. There are older ones." }
                } @else { p { "No attempt on record is like that." } }
            }
        }
        div.card.scroll hidden[none] data-log {
            @if live { p.small.quiet.live data-live hidden { "Live: new attempts appear at the top." } }
            table role="table" aria-label="Delivery Log" {
                thead role="rowgroup" { tr role="row" { @for column in COLUMNS { th role="columnheader" scope="col" { (column) } } } }
                tbody role="rowgroup" data-stream=[stream] {
                    @for (one, followed) in found.attempts.iter().zip(followed(found)) { (row(one, cursors, now, followed)) }
                }
            }
        }
        @if let Some(next) = &found.next {
            p { a.button href={ "/webhooks/" (id) "/log?" (wanted.query(&cursors.seal(*next))) } { "Older attempts" } }
        }
    }
}

/// Of each attempt, whether a later one of the same delivery stands above it.
fn followed(found: &Page) -> Vec<bool> {
    let mut seen = HashSet::new();
    let deliveries = found.attempts.iter().map(|one| &one.attempt.delivery_id);
    deliveries.map(|delivery| !seen.insert(delivery)).collect()
}

fn filters(app: &AppState, webhook: &StoredWebhook, wanted: &LogChoice) -> Markup {
    let place = format!("/webhooks/{}/log", webhook.document.id);
    html! {
        form.filters method="get" action=(place) aria-label="Filter" {
            div {
                label for="event_type" { "Event type" }
                select #event_type name="event_type" {
                    option value="" { "any" }
                    @for event_type in &app.rules.event_types {
                        option value=(event_type.as_str()) selected[event_type.as_str() == wanted.event_type] { (event_type) }
                    }
                    option value="test" selected[wanted.event_type == "test"] { "test" }
                }
            }
            div {
                label for="status" { "HTTP status" }
                select #status name="status" {
                    option value="" { "any" }
                    @for class in ["2", "3", "4", "5"] {
                        option value=(class) selected[class == wanted.status] { (class) "xx" }
                    }
                }
            }
            div {
                label for="outcome" { "Outcome" }
                select #outcome name="outcome" {
                    option value="" { "any" }
                    option value=(FAILED) selected[wanted.outcome == FAILED] { "failed: any but delivered" }
                    @for outcome in Outcome::NAMES {
                        option value=(outcome) selected[outcome == wanted.outcome] { (outcome.replace('_', " ")) }
                    }
                }
            }
            (range(&wanted.since, &wanted.until))
            div {
                label for="id" { "Event or delivery" }
                input #id name="id" value=(wanted.id) placeholder="its id" autocomplete="off" spellcheck="false";
            }
            button { "Filter" }
            @if !wanted.is_everything() { a.button href=(place) { "Show all" } }
        }
    }
}

/// Where a stream begins.
#[derive(Debug, Deserialize)]
pub struct After {
    #[serde(default)]
    after: String,
}

/// New attempts as they are recorded, as rows. A browser that lost the connection goes on behind
/// the last row that it had.
pub async fn stream(
    State(app): State<AppState>,
    visitor: Visitor,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(After { after }): Query<After>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, PageError> {
    let webhook = find(&app, &visitor, &id).await?;
    let filter = LogChoice::default().filter(&visitor, &webhook)?;
    let listener = Listener::new(&app, visitor.holder, &visitor.organization).await?;
    let last = listener.last_event_id(&headers);
    let after = last.unwrap_or_else(|| listener.cursors.read(&after));
    let sessions = app.sessions.clone();
    let over = async move {
        match visitor.session {
            Some(session) => sessions.ended(&session).await,
            None => std::future::pending().await,
        }
    };
    let show = |one: RecordedAttempt, cursors: &Cursors| {
        order::kept(row(&one, cursors, Timestamp::now(), false).into_string())
    };
    let rows = live::attempts(&app, listener, filter, after, None, over, show);
    Ok(rows.await?)
}
