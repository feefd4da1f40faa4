//! The list of an organization's webhooks.

use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::response::Html;
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

use super::attempts::outcome;
use super::chart::sparkline;
use super::error::PageError;
use super::layout::{flash, page, time};
use super::overview::success_rate;
use super::visitor::Visitor;
use super::webhook::{held_back_badge, last_attempt, state};
use crate::domain::attempt::Attempt;
use crate::domain::endpoint::shown;
use crate::domain::held_back::HeldBack;
use crate::domain::ids::WebhookId;
use crate::domain::webhook::WebhookDocument;
use crate::operations::listing;
use crate::operations::statistics::{Period, Statistics, statistics};
use crate::registry::webhooks::Listed;
use crate::store::Unavailable;
use crate::store::statistics::Detail;
use crate::web::state::AppState;

/// How many webhooks a page of the list has.
const ROWS: usize = 100;

/// Which part is wanted, and what was just done.
#[derive(Debug, Deserialize)]
pub struct ListPart {
    #[serde(default)]
    said: String,
    #[serde(default)]
    after: String,
}

const COLUMNS: [&str; 6] = [
    "Name",
    "URL",
    "Event subscriptions",
    "State",
    "Last day",
    "Last attempt",
];

/// The list.
pub async fn list(
    State(app): State<AppState>,
    visitor: Visitor,
    Query(wanted): Query<ListPart>,
) -> Result<Html<String>, PageError> {
    let (organization, after) = (&visitor.organization, &wanted.after);
    let part = listing::part(&app.deployment, organization, after, ROWS).await?;
    let log = &app.deployment.delivery_log;
    let held = log.held_back(organization, &part.usable()).await?;
    let rows = part
        .webhooks
        .iter()
        .map(|one| row(&app, &visitor, one, &held));
    let rows = try_join_all(rows).await?;
    let content = html! {
        (flash(&wanted.said))
        div.head {
            div {
                h1 { "Webhooks" }
                p.quiet { "Every event of the gateway is posted, signed, to the webhooks that subscribe to it." }
            }
            a.button.first href="/webhooks/new" { "+ Create Webhook" }
        }
        @if rows.is_empty() { (empty()) } @else {
            div.card.scroll {
                table role="table" aria-label="Webhooks" {
                    thead role="rowgroup" { tr role="row" { @for column in COLUMNS { th role="columnheader" scope="col" { (column) } } } }
                    tbody role="rowgroup" { @for row in &rows { (row) } }
                }
            }
        }
        @if let Some(next) = part.next { p { a.button href={ "/webhooks?after=" (next) } { "More webhooks" } } }
    };
    Ok(page("Webhooks", Some(&visitor), &content))
}

async fn row(
    app: &AppState,
    visitor: &Visitor,
    listed: &Listed,
    held: &HashMap<WebhookId, HeldBack>,
) -> Result<Markup, Unavailable> {
    let stored = match listed {
        Listed::Valid(stored) => stored,
        Listed::Invalid { id, reason } => return Ok(invalid(id, &reason.to_string())),
    };
    let (deployment, organization) = (&app.deployment, &visitor.organization);
    let day = Period::last(24, SignedDuration::from_hours(1), Timestamp::now());
    let id = &stored.webhook.id;
    let last = last_attempt(app, visitor, id).await?;
    let counted = statistics(deployment, organization, id, day, Detail::Outcomes).await?;
    Ok(valid(
        &stored.document,
        held.get(id),
        &counted,
        last.as_ref(),
    ))
}

/// The last day: how much arrived, and when.
fn last_day(counted: &Statistics) -> Markup {
    let total = &counted.total;
    html! {
        @match success_rate(total) {
            Some(rate) => {
                span {
                    (sparkline(&counted.buckets, &format!("{} delivered, {} failed in the last day", total.delivered(), total.failed())))
                    strong { (rate) } span.small.quiet { " of " (total.attempts()) }
                }
            },
            None => span.quiet { "nothing sent" },
        }
    }
}

fn valid(
    webhook: &WebhookDocument,
    held: Option<&HeldBack>,
    counted: &Statistics,
    last: Option<&Attempt>,
) -> Markup {
    html! {
        tr role="row" {
            td.name role="cell" data-label=(COLUMNS[0]) {
                span {
                    a href={ "/webhooks/" (webhook.id) } { (webhook.name) }
                    @if let Some(description) = &webhook.description { div.small.quiet { (description) } }
                }
            }
            td.wide role="cell" data-label=(COLUMNS[1]) { code { (shown(&webhook.url)) } }
            td role="cell" data-label=(COLUMNS[2]) {
                @if webhook.event_subscriptions.is_empty() { span.quiet { "all" } }
                @else { span.chips { @for name in &webhook.event_subscriptions { code { (name) } } } }
            }
            td role="cell" data-label=(COLUMNS[3]) {
                span {
                    (state(webhook.enabled))
                    @if let Some(held) = held { " " (held_back_badge(held)) }
                    @if let Some(reason) = &webhook.disabled_reason { div.small.quiet { (reason) } }
                }
            }
            td.number role="cell" data-label=(COLUMNS[4]) { (last_day(counted)) }
            td.number role="cell" data-label=(COLUMNS[5]) {
                @if let Some(last) = last { span { (time(last.started_at)) div { (outcome(last)) } } }
                @else { span.quiet { "none yet" } }
            }
        }
    }
}

fn invalid(id: &str, reason: &str) -> Markup {
    html! {
        tr role="row" {
            td.name role="cell" data-label=(COLUMNS[0]) { (id) }
            td role="cell" colspan="5" data-label=(COLUMNS[3]) {
                span { span.badge.bad { "unusable" } " " (reason) ". Its events become dead letters until the document is mended." }
            }
        }
    }
}

fn empty() -> Markup {
    html! {
        div.card {
            h2 { "No webhooks yet" }
            p { "A webhook is an address of yours that the gateway's events are posted to, signed, as they happen." }
            p { a.button.first href="/webhooks/new" { "Create your first webhook" } }
            p.quiet { "Then publish an event to see it arrive:" }
            pre { "prism-webhooks publish request.completed" }
        }
    }
}
