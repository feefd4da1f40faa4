//! Dead letters: what was given up and why, of one webhook or of all. [`act`] sends them round
//! again, or throws them away.

pub mod act;
mod choice;
mod confirm;

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::response::Html;
use maud::{Markup, html};

use self::choice::LetterChoice;
use crate::domain::dead_letter::Reason;
use crate::operations::jobs::Job;
use crate::registry::webhooks::Listed;
use crate::store::dead_letters::{Action, Found, Summary};
use crate::web::page::error::PageError;
use crate::web::page::layout::{Area, page_at, time};
use crate::web::page::moment::range;
use crate::web::page::visitor::Visitor;
use crate::web::page::webhook::{Tab, about, find};
use crate::web::state::AppState;

/// How many letters a page shows.
const ROWS: usize = 100;

/// Among how many webhooks one can be chosen from a list.
const CHOICES: usize = 200;

/// The names of the organization's webhooks, by id. On a webhook's own page nobody asks for them.
type Names = BTreeMap<String, String>;

/// Those of all webhooks.
pub async fn all(
    State(app): State<AppState>,
    visitor: Visitor,
    Query(wanted): Query<LetterChoice>,
) -> Result<Html<String>, PageError> {
    let found = look(&app, &visitor, &wanted).await?;
    let names = names(&app, &visitor).await?;
    let running = app.jobs.running(&visitor.organization);
    let content = html! {
        h1 { "Dead letters" }
        p.quiet { "What could not be delivered, of every webhook of the organization, and events that break the contract." }
        (under_way(running.as_ref()))
        (content(&app, "/dead-letters", &wanted, &found, Some(&names)))
    };
    Ok(page_at(
        Area::DeadLetters,
        "Dead letters",
        Some(&visitor),
        &content,
    ))
}

/// Those of one webhook.
pub async fn of_webhook(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(wanted): Query<LetterChoice>,
) -> Result<Html<String>, PageError> {
    let webhook = find(&app, &visitor, &id).await?;
    let id = webhook.document.id.clone();
    let place = format!("/webhooks/{id}/dead-letters");
    let wanted = LetterChoice {
        webhook: id,
        ..wanted
    };
    let found = look(&app, &visitor, &wanted).await?;
    let running = app.jobs.running(&visitor.organization);
    let content = html! {
        (under_way(running.as_ref()))
        (content(&app, &place, &wanted, &found, None))
    };
    Ok(about(&visitor, &webhook, Tab::DeadLetters, &content))
}

async fn look(
    app: &AppState,
    visitor: &Visitor,
    wanted: &LetterChoice,
) -> Result<Found, PageError> {
    let letters = &app.deployment.dead_letters;
    let (filter, after) = (wanted.filter(visitor)?, wanted.after()?);
    Ok(letters.list(&filter, after.as_ref(), ROWS).await?)
}

async fn names(app: &AppState, visitor: &Visitor) -> Result<Names, PageError> {
    let listed = app.deployment.webhooks.list(&visitor.organization).await?;
    let named = listed.into_iter().map(|one| match one {
        Listed::Valid(stored) => (stored.document.id, stored.document.name),
        Listed::Invalid { id, .. } => (id.clone(), id),
    });
    Ok(named.collect())
}

/// Shows the job under way.
fn under_way(job: Option<&Job>) -> Markup {
    html! {
        @if let Some(job) = job {
            p.card.notice {
                @match job.action { Action::Requeue => "A requeue", Action::Purge => "A purge" }
                " is under way. "
                a href={ "/dead-letters/jobs/" (job.id) } { "How far it is" }
            }
        }
    }
}

fn content(
    app: &AppState,
    place: &str,
    wanted: &LetterChoice,
    found: &Found,
    names: Option<&Names>,
) -> Markup {
    let of_any = match names {
        Some(_) => wanted.is_any(),
        // Its own webhook is no choice.
        None => LetterChoice {
            webhook: String::new(),
            ..wanted.clone()
        }
        .is_any(),
    };
    html! {
        (filters(app, place, wanted, names))
        @if found.letters.is_empty() {
            div.card {
                @if !found.is_complete() {
                    p { "Among those looked at there is none like that; there are more." }
                } @else if !wanted.cursor.is_empty() {
                    p { "There are no more." }
                } @else if of_any {
                    p { strong { "No dead letters." } " What cannot be delivered within the retry policy appears here, with the reason, and can be sent round again." }
                } @else { p { "No dead letter is like that." } }
            }
        } @else { (letters(wanted, found, names)) }
        (parts(place, wanted, found))
    }
}

/// Leads to the other parts of the list.
fn parts(place: &str, wanted: &LetterChoice, found: &Found) -> Markup {
    let to = |after| format!("{place}?{}", wanted.query(after));
    html! {
        @if found.next.is_some() || !wanted.cursor.is_empty() {
            div.actions {
                @if !wanted.cursor.is_empty() { a.button href=(to(None)) { "From the oldest" } }
                @if let Some(next) = &found.next { a.button href=(to(Some(next))) { "Newer dead letters" } }
            }
        }
    }
}

fn filters(app: &AppState, place: &str, wanted: &LetterChoice, names: Option<&Names>) -> Markup {
    let names = names.filter(|names| names.len() <= CHOICES);
    html! {
        form.filters method="get" action=(place) aria-label="Filter" {
            @if let Some(names) = names {
                div {
                    label for="webhook" { "Webhook" }
                    select #webhook name="webhook" {
                        option value="" { "any" }
                        @for (id, name) in names { option value=(id) selected[*id == wanted.webhook] { (name) } }
                        @if !wanted.webhook.is_empty() && !names.contains_key(&wanted.webhook) {
                            option value=(wanted.webhook) selected { "deleted: " (wanted.webhook) }
                        }
                    }
                }
            }
            div {
                label for="reason" { "Reason" }
                select #reason name="reason" {
                    option value="" { "any" }
                    @for reason in Reason::ALL {
                        option value=(reason.name()) selected[reason.name() == wanted.reason] { (reason.name().replace('-', " ")) }
                    }
                }
            }
            div {
                label for="event_type" { "Event type" }
                select #event_type name="event_type" {
                    option value="" { "any" }
                    @for event_type in &app.rules.event_types {
                        option value=(event_type.as_str()) selected[event_type.as_str() == wanted.event_type] { (event_type) }
                    }
                }
            }
            (range(&wanted.since, &wanted.until))
            button { "Filter" }
        }
    }
}

const COLUMNS: [&str; 5] = [
    "Given up",
    "Reason",
    "Event type",
    "Last attempt",
    "Delivery",
];

fn letters(wanted: &LetterChoice, found: &Found, names: Option<&Names>) -> Markup {
    html! {
        form method="post" action="/dead-letters" {
            input type="hidden" name="reason" value=(wanted.reason);
            input type="hidden" name="event_type" value=(wanted.event_type);
            input type="hidden" name="webhook" value=(wanted.webhook);
            input type="hidden" name="since" value=(wanted.since);
            input type="hidden" name="until" value=(wanted.until);
            div.card.panel {
                div.actions {
                    button.first name="do" value="requeue-selected" { "Requeue selected" }
                    button name="do" value="requeue-all" { "Requeue all that match…" }
                    button.danger name="do" value="purge-selected" { "Purge selected…" }
                    button.danger name="do" value="purge-all" { "Purge all that match…" }
                }
                div.rate {
                    label for="rate" { "At most so many a second (optional)" }
                    input #rate type="number" name="rate" min="0.1" step="any" inputmode="decimal" aria-describedby="rate-hint";
                    span.small.quiet #rate-hint { "Spares a receiver that has just come back. A requeued delivery starts again from attempt 1." }
                }
            }
            div.card.scroll {
                table role="table" aria-label="Dead letters" {
                    thead role="rowgroup" { tr role="row" {
                        th role="columnheader" scope="col" { span.unseen { "Select" } }
                        @for column in COLUMNS { th role="columnheader" scope="col" { (column) } }
                    } }
                    tbody role="rowgroup" { @for letter in &found.letters { (row(letter, names)) } }
                }
            }
        }
    }
}

fn row(letter: &Summary, names: Option<&Names>) -> Markup {
    let id = letter.id().unwrap_or("");
    html! {
        tr role="row" {
            td role="cell" data-label="Select" {
                @if !id.is_empty() {
                    input type="checkbox" name="id" value=(id) aria-label={ "Select " (id) };
                }
            }
            td.number role="cell" data-label=(COLUMNS[0]) { @if let Some(at) = letter.dead_at { (time(at)) } }
            td.wide role="cell" data-label=(COLUMNS[1]) {
                @if let Some(reason) = letter.reason { span.badge.bad { (reason.name().replace('-', " ")) } }
                @if let Some(detail) = &letter.detail { div.small { (detail) } }
            }
            td.type role="cell" data-label=(COLUMNS[2]) { @if let Some(name) = &letter.event_type { code { (name) } } }
            td role="cell" data-label=(COLUMNS[3]) {
                @if let Some(outcome) = &letter.last_outcome {
                    (outcome.replace('_', " "))
                    @if let Some(status) = letter.last_status { ", status " (status) }
                    @if let Some(attempts) = letter.attempts { div.small.quiet { "attempt " (attempts) } }
                } @else { span.quiet { "none" } }
            }
            td role="cell" data-label=(COLUMNS[4]) {
                @match (&letter.webhook, &letter.delivery) {
                    (Some(webhook), Some(delivery)) if names.is_none_or(|names| names.contains_key(webhook)) => a href={ "/webhooks/" (webhook) "/deliveries/" (delivery) } { code.id { (delivery) } },
                    _ => code.id { (id) },
                }
                @if let (Some(webhook), Some(names)) = (&letter.webhook, names) { (named(webhook, names)) }
            }
        }
    }
}

fn named(webhook: &str, names: &Names) -> Markup {
    html! {
        div.small {
            @match names.get(webhook) {
                Some(name) => { "to " a href={ "/webhooks/" (webhook) } { (name) } },
                None => span.quiet { "to a deleted webhook, " (webhook) },
            }
        }
    }
}
