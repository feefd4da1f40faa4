//! Showing the form of a webhook: each error stands beside its field, and nothing typed is lost.

use maud::{Markup, html};

use super::check::{Errors, Typed};
use crate::domain::endpoint::is_hidden;
use crate::web::page::layout::DROPPED;
use crate::web::state::AppState;

/// Says above a form that something in it is wrong, and leads there.
pub fn alert(errors: &Errors, text: &str) -> Markup {
    html! {
        @if !errors.is_empty() {
            div.card.notice.bad role="alert" {
                p { strong { (text) } }
                ul { @for (field, error) in errors { li { a href={ "#" (field) } { (error) } } } }
            }
        }
    }
}

/// The fields that creating and changing have in common, but for the secret.
pub fn shared(app: &AppState, typed: &Typed, errors: &Errors, secret: &Markup) -> Markup {
    html! {
        (line("name", "Name", "What people call it; unique in the organization.", "text", &typed.name, true, errors))
        (line("url", "URL", where_to(typed), "url", &typed.url, true, errors))
        (secret)
        (description(typed, errors))
        (events(app, typed, errors))
        (headers(typed, errors))
        (line("rate_limit", "Rate limit (optional)", "At most so many requests, evenly spaced: 10/s, 300/min or 50/h. Empty: as many as the receiver answers in time.", "text", &typed.rate_limit, false, errors))
    }
}

fn where_to(typed: &Typed) -> &'static str {
    match is_hidden(&typed.url) {
        true => {
            "Where to post to. Its query is not shown, for it may be a credential: leave the URL as it is, or write it in full."
        }
        false => "Where to post to: https, unless the deployment allows http.",
    }
}

fn description(typed: &Typed, errors: &Errors) -> Markup {
    let invalid = errors.contains_key("description").then_some("true");
    html! {
        div.field {
            label for="description" { "Description (optional)" }
            p.hint #description-hint { "What it is for." }
            textarea.prose #description name="description" rows="2" aria-describedby="description-hint description-error" aria-invalid=[invalid] {
                (DROPPED) (typed.description)
            }
            (error("description", errors))
        }
    }
}

fn events(app: &AppState, typed: &Typed, errors: &Errors) -> Markup {
    let known: Vec<&str> = app
        .rules
        .event_types
        .iter()
        .map(|name| name.as_str())
        .collect();
    let others = typed
        .events
        .iter()
        .filter(|event| !known.contains(&event.as_str()));
    let check = |name: &str, checked: bool| {
        html! {
            label.check { input type="checkbox" name="event" value=(name) checked[checked]; code { (name) } }
        }
    };
    html! {
        fieldset #event_subscriptions tabindex="-1" aria-describedby="event_subscriptions-hint event_subscriptions-error" {
            legend { "Event Subscriptions" }
            p.hint #event_subscriptions-hint { "None checked: every event type, also those that come later." }
            div.checks {
                @for name in &known { (check(name, typed.events.iter().any(|event| event == name))) }
                @for name in others { (check(name, true)) }
            }
            (error("event_subscriptions", errors))
        }
    }
}

fn headers(typed: &Typed, errors: &Errors) -> Markup {
    let invalid = errors.contains_key("headers").then_some("true");
    html! {
        @if !typed.kept_headers.is_empty() {
            fieldset {
                legend { "Request headers" }
                p.hint { "Their values are not shown: they may be credentials. Uncheck one to remove it." }
                @for name in &typed.kept_headers {
                    label.check { input type="checkbox" name="keep_header" value=(name) checked; code { (name) } }
                }
            }
        }
        div.field {
            label for="headers" { @if typed.kept_headers.is_empty() { "Request headers (optional)" } @else { "More request headers (optional)" } }
            p.hint #headers-hint { "Sent with every request; one a line, as in " code { "X-Team: blue" } "." }
            textarea #headers name="headers" rows="3" spellcheck="false" aria-describedby="headers-hint headers-error" aria-invalid=[invalid] { (typed.headers) }
            (error("headers", errors))
        }
    }
}

/// One line to type into.
pub fn line(
    name: &'static str,
    label: &str,
    hint: &str,
    kind: &str,
    value: &str,
    required: bool,
    errors: &Errors,
) -> Markup {
    let wrong = errors.contains_key(name).then_some("true");
    html! {
        div.field {
            label for=(name) { (label) }
            p.hint id={ (name) "-hint" } { (hint) }
            input id=(name) type=(kind) name=(name) value=(value) required[required] autocomplete="off"
                aria-describedby={ (name) "-hint " (name) "-error" } aria-invalid=[wrong];
            (error(name, errors))
        }
    }
}

/// Shows what is wrong with a field.
pub fn error(name: &str, errors: &Errors) -> Markup {
    html! { @if let Some(error) = errors.get(name) { p.error id={ (name) "-error" } { (error) } } }
}
