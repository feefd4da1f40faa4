//! Sending a test event, and what came back.

use axum::extract::{Path, State};
use axum::response::Html;
use maud::{Markup, html};

use super::attempts::{outcome, status};
use super::error::PageError;
use super::layout::{DROPPED, millis, time};
use super::visitor::Visitor;
use super::webhook::{Tab, about, find};
use crate::domain::attempt::Attempt;
use crate::web::state::AppState;

/// Sends a test event now.
pub async fn send(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Html<String>, PageError> {
    let webhook = find(&app, &visitor, &id).await?;
    let tested = app.tester.test(&visitor.organization, &webhook.webhook);
    let attempt = tested.await?;
    Ok(about(&visitor, &webhook, Tab::Log, &result(&attempt)))
}

fn result(attempt: &Attempt) -> Markup {
    let kind = if attempt.is_delivered() {
        "good"
    } else {
        "bad"
    };
    html! {
        h2 { "Test" }
        div class={ "card notice " (kind) } role="status" {
            p {
                @if attempt.is_delivered() { "The endpoint took the test event." }
                @else { "The endpoint did not take the test event." }
            }
            dl.facts {
                div { dt { "Outcome" } dd { (outcome(attempt)) } }
                div { dt { "HTTP status code" } dd { (status(attempt)) } }
                div { dt { "Duration" } dd { (millis(attempt.duration_ms())) } }
                div { dt { "Timestamp" } dd { (time(attempt.started_at)) } }
            }
            @if let Some(error) = &attempt.error { p { (error) } }
            @if let Some(location) = &attempt.location { p { "It redirects to " code { (location) } ", which is not followed." } }
            @if !attempt.response_body.is_empty() {
                p.small.quiet { "Response body" }
                pre tabindex="0" aria-label="Response body" { (DROPPED) (attempt.response_body) @if attempt.response_truncated { "…" } }
            }
        }
        p { a.button href={ "/webhooks/" (attempt.webhook_id) "/log" } { "To the Delivery Log" } }
    }
}
