//! Dead letters: what was given up and why, of one webhook or of all; sending them round again, or
//! throwing them away.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::{Path, Query, RawForm, State};
use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{Place, page_at, time};
use super::session::Visitor;
use super::trouble::Trouble;
use super::webhook::{Tab, about, find};
use crate::api::Api;
use crate::dead_letters::{Action, Filter, Found, Options, Summary};
use crate::domain::dead_letter::Reason;

/// How many letters a page shows.
const ROWS: usize = 100;

/// How long the answer to a form waits for a pass that is soon through.
const SOON: Duration = Duration::from_millis(800);

/// Which letters are wanted. An empty choice is none.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    event_type: String,
    #[serde(default)]
    webhook: String,
}

impl Wanted {
    fn filter(&self, visitor: &Visitor) -> Filter {
        let chosen = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let reason = self.reason.parse().ok();
        // A reason that does not exist is that of none: of all would be a purge of all.
        let none = reason.is_none() && !self.reason.is_empty();
        Filter {
            reason,
            webhook: chosen(&self.webhook),
            event_type: chosen(&self.event_type),
            organization: Some(visitor.organization.to_string()),
            ids: none.then(BTreeSet::new),
        }
    }
}

/// Those of all webhooks.
pub async fn all(
    State(api): State<Api>,
    visitor: Visitor,
    Query(wanted): Query<Wanted>,
) -> Result<Html<String>, Trouble> {
    let found = look(&api, &visitor, &wanted).await?;
    let content = html! {
        h1 { "Dead letters" }
        p.quiet { "What could not be delivered, of every webhook of the organization, and events that break the contract." }
        (content(&api, "/dead-letters", &wanted, &found))
    };
    Ok(page_at(
        Place::DeadLetters,
        "Dead letters",
        Some(&visitor),
        &content,
    ))
}

/// Those of one webhook.
pub async fn of_webhook(
    State(api): State<Api>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Html<String>, Trouble> {
    let webhook = find(&api, &visitor, &id).await?;
    let id = webhook.document.id.clone();
    let place = format!("/webhooks/{id}/dead-letters");
    let wanted = Wanted {
        webhook: id,
        ..wanted
    };
    let found = look(&api, &visitor, &wanted).await?;
    let content = content(&api, &place, &wanted, &found);
    Ok(about(&visitor, &webhook, Tab::DeadLetters, &content))
}

async fn look(api: &Api, visitor: &Visitor, wanted: &Wanted) -> Result<Found, Trouble> {
    let letters = &api.deployment.dead_letters;
    Ok(letters.list(&wanted.filter(visitor), ROWS).await?)
}

fn content(api: &Api, place: &str, wanted: &Wanted, found: &Found) -> Markup {
    html! {
        (filters(api, place, wanted))
        @if found.letters.is_empty() {
            div.card {
                @if wanted.reason.is_empty() && wanted.event_type.is_empty() {
                    p { strong { "No dead letters." } " What cannot be delivered within the retry policy appears here, with the reason, and can be sent round again." }
                } @else { p { "No dead letter is like that." } }
            }
        } @else { (letters(wanted, found)) }
    }
}

fn filters(api: &Api, place: &str, wanted: &Wanted) -> Markup {
    html! {
        form.filters method="get" action=(place) aria-label="Filter" {
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
                    @for event_type in &api.rules.event_types {
                        option value=(event_type.as_str()) selected[event_type.as_str() == wanted.event_type] { (event_type) }
                    }
                }
            }
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

fn letters(wanted: &Wanted, found: &Found) -> Markup {
    let more = !found.complete;
    html! {
        form method="post" action="/dead-letters" {
            input type="hidden" name="reason" value=(wanted.reason);
            input type="hidden" name="event_type" value=(wanted.event_type);
            input type="hidden" name="webhook" value=(wanted.webhook);
            div.card.panel {
                div.actions {
                    button.first name="do" value="requeue-selected" { "Requeue selected" }
                    button name="do" value="requeue-all" { "Requeue all that match" }
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
                    tbody role="rowgroup" { @for letter in &found.letters { (row(letter, wanted)) } }
                }
            }
            @if more { p.small.quiet { "These are the oldest " (found.letters.len()) "; there are more." } }
        }
    }
}

fn row(letter: &Summary, wanted: &Wanted) -> Markup {
    let id = letter.id().unwrap_or("");
    // On a webhook's own page all letters are its own.
    let webhook = letter.webhook.as_deref();
    let webhook = webhook.filter(|id| *id != wanted.webhook);
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
                    (Some(webhook), Some(delivery)) => a href={ "/webhooks/" (webhook) "/deliveries/" (delivery) } { code.id { (delivery) } },
                    _ => code.id { (id) },
                }
                @if let Some(webhook) = webhook { div.small { a href={ "/webhooks/" (webhook) } { "its webhook" } } }
            }
        }
    }
}

// ----------------------------------------------------------------------- sending round, throwing away

/// What a form asks to be done.
struct Asked {
    action: Action,
    wanted: Wanted,
    ids: Option<BTreeSet<String>>,
    rate: Option<f64>,
    sure: bool,
}

impl Asked {
    fn read(form: &[u8]) -> Result<Self, Trouble> {
        let wrong = |detail: &str| Trouble::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        let (mut wanted, mut ids, mut what) = (Wanted::default(), BTreeSet::new(), String::new());
        let (mut rate, mut sure) = (None, false);
        for (name, value) in url::form_urlencoded::parse(form) {
            match &*name {
                "reason" => wanted.reason = value.into_owned(),
                "event_type" => wanted.event_type = value.into_owned(),
                "webhook" => wanted.webhook = value.into_owned(),
                "id" => drop(ids.insert(value.into_owned())),
                "do" => what = value.into_owned(),
                "sure" => sure = true,
                "rate" if !value.trim().is_empty() => {
                    let number = value.trim().parse().ok();
                    let number = number.filter(|rate: &f64| (0.001..=1e6).contains(rate));
                    let detail = "The rate is a number of dead letters a second, above 0.";
                    rate = Some(number.ok_or_else(|| wrong(detail))?);
                }
                _ => {}
            }
        }
        let (action, which) = what.split_once('-').unwrap_or((&what, ""));
        let action = match action {
            "requeue" => Action::Requeue,
            "purge" => Action::Purge,
            _ => return Err(wrong("Say what is to be done.")),
        };
        let ids = match which {
            "all" => None,
            _ if ids.is_empty() => {
                return Err(wrong(
                    "Select at least one dead letter first, or take all that match.",
                ));
            }
            _ => Some(ids),
        };
        Ok(Self {
            action,
            wanted,
            ids,
            rate,
            sure,
        })
    }
}

/// Begins a pass, and leads to its progress. Throwing away is asked about first.
pub async fn act(
    State(api): State<Api>,
    visitor: Visitor,
    RawForm(form): RawForm,
) -> Result<Result<Redirect, Html<String>>, Trouble> {
    let asked = Asked::read(&form)?;
    if asked.action == Action::Purge && !asked.sure {
        return Ok(Err(confirm(&visitor, &form, &asked)));
    }
    let wanted = asked.wanted.filter(&visitor);
    let filter = Filter {
        ids: asked.ids.or(wanted.ids),
        ..wanted
    };
    let options = Options {
        rate: asked.rate,
        ..Options::default()
    };
    let letters = api.deployment.dead_letters.clone();
    let organization = &visitor.organization;
    let passes = &api.passes;
    let started = passes.start(
        letters,
        organization,
        asked.action,
        filter,
        options,
        &api.stop,
    );
    let pass = started.map_err(|error| Trouble::new(StatusCode::CONFLICT, error.to_string()))?;
    let pass = passes.wait(pass, SOON).await;
    Ok(Ok(Redirect::to(&format!(
        "/dead-letters/passes/{}",
        pass.id
    ))))
}

fn confirm(visitor: &Visitor, form: &[u8], asked: &Asked) -> Html<String> {
    let which = match &asked.ids {
        Some(ids) if ids.len() == 1 => "the selected dead letter".to_owned(),
        Some(ids) => format!("{} selected dead letters", ids.len()),
        None => "all dead letters that match".to_owned(),
    };
    let content = html! {
        h1 { "Purge " (which) "?" }
        form.card.wide.notice.bad method="post" action="/dead-letters" {
            @for (name, value) in url::form_urlencoded::parse(form) {
                input type="hidden" name=(name) value=(value);
            }
            input type="hidden" name="sure" value="true";
            p { "They are thrown away for good, and their events never reach the receiver. This cannot be undone." }
            div.actions {
                button.danger { "Purge for good" }
                a.button href="/dead-letters" { "Keep them" }
            }
        }
    };
    page_at(Place::DeadLetters, "Purge", Some(visitor), &content)
}
