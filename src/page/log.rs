//! The Delivery Log of a webhook: every attempt, new ones as they are made, and retrying by hand.

use std::convert::Infallible;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, Redirect};
use futures::{Stream, StreamExt as _};
use maud::{Markup, html};
use serde::Deserialize;

use super::attempts::{COLUMNS, row};
use super::layout::{Trouble, page};
use super::session::Visitor;
use crate::api::Api;
use crate::domain::ids::{DeliveryId, EventType};
use crate::domain::outcome::Outcome;
use crate::operations::retry::{self, RetryError};
use crate::records::{AttemptFilter, Page};
use crate::registry::webhooks::StoredWebhook;

/// How many attempts a page of the log has.
const ROWS: usize = 50;

/// What of the log is wanted. An empty choice is none.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    event_type: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    before: String,
}

impl Wanted {
    fn filter(&self, visitor: &Visitor, webhook: &StoredWebhook) -> AttemptFilter {
        AttemptFilter {
            organization: Some(visitor.organization.clone()),
            webhook: Some(webhook.webhook.id.clone()),
            event_type: EventType::new(&self.event_type).ok(),
            outcome: Some(self.outcome.clone()).filter(|outcome| !outcome.is_empty()),
            status_class: self.status.parse().ok(),
            ..AttemptFilter::default()
        }
    }

    /// The query of the same choice, behind the entry `before`.
    fn query(&self, before: &str) -> String {
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("event_type", &self.event_type)
            .append_pair("outcome", &self.outcome)
            .append_pair("status", &self.status)
            .append_pair("before", before)
            .finish()
    }
}

async fn find(api: &Api, visitor: &Visitor, id: &str) -> Result<StoredWebhook, Trouble> {
    let webhooks = &api.deployment.webhooks;
    Ok(webhooks.get(&visitor.organization, id).await?)
}

pub async fn show(
    State(api): State<Api>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Html<String>, Trouble> {
    let webhook = find(&api, &visitor, &id).await?;
    let filter = wanted.filter(&visitor, &webhook);
    let before = Some(wanted.before.as_str()).filter(|entry| !entry.is_empty());
    let records = &api.deployment.records;
    let found = records.attempts(&filter, ROWS, before).await?;
    let document = &webhook.document;
    let content = html! {
        p { a href="/webhooks" { "All webhooks" } }
        div.head {
            h1 { (document.name) }
            @if document.enabled { span.badge.good { "enabled" } } @else { span.badge.off { "disabled" } }
        }
        p { code { (document.url) } }
        @if let Some(reason) = &document.disabled_reason { p.card.notice.bad { "Disabled: " (reason) } }
        @if let Some(description) = &document.description { p.quiet { (description) } }
        h2 { "Delivery Log" }
        (filters(&api, &document.id, &wanted))
        (log(&document.id, &wanted, &found))
    };
    Ok(page(&document.name, Some(&visitor), &content))
}

fn log(id: &str, wanted: &Wanted, found: &Page) -> Markup {
    // Older pages and chosen ones do not change while they are read.
    let live = wanted.query("") == Wanted::default().query("");
    let stream = live.then(|| format!("/webhooks/{id}/stream"));
    let none = found.attempts.is_empty();
    html! {
        @if none {
            div.card data-empty {
                @if live {
                    p { "No attempts yet. They appear here as they are made; publish an event to see one:" }
                    pre { "prism-webhooks publish request.completed" }
                } @else { p { "No attempt on record is like that." } }
            }
        }
        div.card.scroll tabindex="0" role="region" aria-label="Delivery Log" {
            table hidden[none] {
                thead { tr { @for column in COLUMNS { th scope="col" { (column) } } } }
                tbody aria-live="polite" data-stream=[stream] {
                    @for one in &found.attempts { (row(&one.attempt)) }
                }
            }
        }
        @if let Some(next) = &found.next {
            p { a.button href={ "/webhooks/" (id) "?" (wanted.query(next)) } { "Older attempts" } }
        }
    }
}

fn filters(api: &Api, id: &str, wanted: &Wanted) -> Markup {
    html! {
        form.head method="get" action={ "/webhooks/" (id) } {
            label { "Event type "
                select name="event_type" {
                    option value="" { "any" }
                    @for event_type in &api.rules.event_types {
                        option value=(event_type.as_str()) selected[event_type.as_str() == wanted.event_type] { (event_type) }
                    }
                }
            }
            label { "Status "
                select name="status" {
                    option value="" { "any" }
                    @for class in ["2", "3", "4", "5"] {
                        option value=(class) selected[class == wanted.status] { (class) "xx" }
                    }
                }
            }
            label { "Outcome "
                select name="outcome" {
                    option value="" { "any" }
                    @for outcome in Outcome::NAMES {
                        option value=(outcome) selected[outcome == wanted.outcome] { (outcome) }
                    }
                }
            }
            button { "Show" }
        }
    }
}

/// New attempts as they are recorded, as rows.
pub async fn stream(
    State(api): State<Api>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Trouble> {
    let webhook = find(&api, &visitor, &id).await?;
    let filter = Wanted::default().filter(&visitor, &webhook);
    let attempts = api.deployment.records.follow(filter, None).await?;
    let rows = attempts.map(|one| Ok(Event::default().data(row(&one.attempt).into_string())));
    let rows = rows.take_until(api.stop.clone().cancelled_owned());
    Ok(Sse::new(rows).keep_alive(KeepAlive::default()))
}

pub async fn retry(
    State(api): State<Api>,
    visitor: Visitor,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<Redirect, Trouble> {
    let webhook = find(&api, &visitor, &id).await?;
    let unknown =
        |error: &dyn std::fmt::Display| Trouble::new(StatusCode::NOT_FOUND, error.to_string());
    let delivery = DeliveryId::new(&delivery).map_err(|error| unknown(&error))?;
    let retried = retry::retry(&api.deployment, &visitor.organization, &delivery, false).await;
    match retried {
        Ok(()) => Ok(Redirect::to(&format!("/webhooks/{}", webhook.document.id))),
        Err(RetryError::Unavailable(error)) => Err(error.into()),
        Err(RetryError::Unknown(_)) => Err(unknown(&RetryError::Unknown(delivery))),
        Err(error) => Err(Trouble::new(StatusCode::CONFLICT, error.to_string())),
    }
}
