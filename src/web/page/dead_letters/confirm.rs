//! What a job through the dead letters would do, said before it begins.

use axum::response::Html;
use jiff::Timestamp;
use maud::{Markup, html};

use super::act::JobForm;
use super::choice::LetterChoice;
use crate::registry::webhooks::WebhooksError;
use crate::store::dead_letters::{Action, Filter, Options, Progress};
use crate::web::page::error::PageError;
use crate::web::page::layout::{Area, page_at};
use crate::web::page::visitor::Visitor;
use crate::web::state::AppState;

/// Counts what is meant now, and asks whether to begin: with these, not with what is given up while
/// somebody makes up their mind.
pub(super) async fn confirm(
    app: &AppState,
    visitor: &Visitor,
    form: &[u8],
    asked: &JobForm,
    filter: Filter,
) -> Result<Html<String>, PageError> {
    let seen = Timestamp::now();
    let filter = Filter {
        seen: Some(seen),
        ..filter
    };
    let options = Options {
        dry_run: true,
        ..Options::default()
    };
    let letters = &app.deployment.dead_letters;
    let mut silent = |_: &Progress| {};
    let counting = letters.process(asked.action, &filter, &options, &mut silent);
    let counted = counting.await?;
    let webhook = named(app, visitor, &asked.wanted).await?;
    let back = format!("/dead-letters?{}", asked.wanted.query(None));
    let title = match asked.action {
        Action::Requeue => "Requeue",
        Action::Purge => "Purge",
    };
    let content = html! {
        h1 { (title) " " (number(counted.done)) "?" }
        @if counted.done == 0 {
            div.card { p { "Nothing is like that any more, so there is nothing to do." } }
            div.actions { a.button href=(back) { "To the dead letters" } }
        } @else {
            form.card.wide.notice.bad[asked.action == Action::Purge] method="post" action="/dead-letters" {
                @for (name, value) in url::form_urlencoded::parse(form) {
                    input type="hidden" name=(name) value=(value);
                }
                input type="hidden" name="meant" value=(counted.done);
                input type="hidden" name="seen" value=(seen);
                (meant(asked, webhook.as_deref(), &counted))
                @match asked.action {
                    Action::Requeue => p { "Each starts again from attempt 1. What is given up meanwhile is not taken." },
                    Action::Purge => p { "They are thrown away for good, and their events never reach the receiver. This cannot be undone. What is given up meanwhile stays." },
                }
                div.actions {
                    @match asked.action {
                        Action::Requeue => button.first { "Requeue " (number(counted.done)) },
                        Action::Purge => button.danger { "Purge for good" },
                    }
                    a.button href=(back) { "Keep them" }
                }
            }
        }
    };
    Ok(page_at(Area::DeadLetters, title, Some(visitor), &content))
}

fn number(letters: u64) -> String {
    match letters {
        0 => "nothing".to_owned(),
        1 => "1 dead letter".to_owned(),
        more => format!("{more} dead letters"),
    }
}

/// Which they are: what was chosen, and why they were given up.
fn meant(asked: &JobForm, webhook: Option<&str>, counted: &Progress) -> Markup {
    let wanted = &asked.wanted;
    let chosen = [
        ("Webhook", webhook.unwrap_or("any")),
        ("Event type", or(&wanted.event_type, "any")),
        ("Since (UTC)", or(&wanted.since, "the oldest")),
        ("Until (UTC)", or(&wanted.until, "now")),
    ];
    html! {
        dl.facts {
            @if asked.ids.is_some() { div { dt { "Which" } dd { "those selected" } } }
            @else { @for (label, value) in chosen { div { dt { (label) } dd { (value) } } } }
            @for (reason, count) in &counted.by_reason {
                div { dt { "Reason: " (reason.replace('-', " ")) } dd { (count) } }
            }
            @if let Some(rate) = asked.rate { div { dt { "At most" } dd { (rate) " a second" } } }
        }
        @if counted.unusable > 0 {
            p { (counted.unusable) " more match and cannot be requeued: they are no deliveries. They stay." }
        }
    }
}

fn or<'a>(text: &'a str, empty: &'a str) -> &'a str {
    if text.is_empty() { empty } else { text }
}

/// The name of the webhook that is chosen; its id, if it is not there any more.
async fn named(
    app: &AppState,
    visitor: &Visitor,
    wanted: &LetterChoice,
) -> Result<Option<String>, PageError> {
    if wanted.webhook.is_empty() {
        return Ok(None);
    }
    let webhooks = &app.deployment.webhooks;
    match webhooks.get(&visitor.organization, &wanted.webhook).await {
        Ok(stored) => Ok(Some(stored.document.name)),
        Err(WebhooksError::NotFound { .. } | WebhooksError::Invalid(_)) => {
            Ok(Some(wanted.webhook.clone()))
        }
        Err(error) => Err(error.into()),
    }
}
