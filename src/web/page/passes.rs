//! How far a pass through the dead letters is.

use axum::extract::{Path, State};
use axum::response::{Html, Redirect};
use maud::{Markup, html};
use uuid::Uuid;

use super::error::PageError;
use super::layout::{passing_page, time};
use super::visitor::Visitor;
use crate::operations::passes::{Pass, PassState};
use crate::store::dead_letters::Action;
use crate::web::state::AppState;

/// How often the page of a pass under way is loaded again where no script looks, in seconds.
const AGAIN: u32 = 2;

/// A pass.
pub async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
) -> Result<Html<String>, PageError> {
    let pass = app.passes.get(&visitor.organization, id);
    let unknown = "there is no such pass: it ended long ago, or another process has it";
    let pass = pass.ok_or_else(|| PageError::not_found(unknown))?;
    let again = (pass.state == PassState::Running).then_some(AGAIN);
    Ok(passing_page(
        "Dead letters",
        &visitor,
        again,
        &content(&pass),
    ))
}

/// Stops a pass.
pub async fn stop(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
) -> Result<Redirect, PageError> {
    if !app.passes.stop(&visitor.organization, id) {
        return Err(PageError::not_found("there is no such pass any more"));
    }
    Ok(Redirect::to(&format!("/dead-letters/passes/{id}")))
}

fn content(pass: &Pass) -> Markup {
    let (title, did) = match pass.action {
        Action::Requeue => ("Requeue", "requeued"),
        Action::Purge => ("Purge", "purged"),
    };
    let progress = &pass.progress;
    let running = pass.state == PassState::Running;
    html! {
        p.crumbs { a href="/dead-letters" { "Dead letters" } span aria-hidden="true" { " / " } (title) }
        h1 { (title) " " (badge(&pass.state)) }
        div.card.wide role="status" data-watch[running] {
            p { strong { (progress.done) " " (did) } ", " (progress.looked_at) " of " (progress.total) " looked at" }
            progress max=(progress.total.max(1)) value=(progress.looked_at) aria-label="Dead letters looked at" {}
            @if progress.unusable > 0 {
                p { (progress.unusable) " cannot be requeued: they are no deliveries. They stay." }
            }
            @if let PassState::Failed(error) = &pass.state { p.error { (error) } }
            @if !progress.by_reason.is_empty() {
                dl.facts { @for (reason, count) in &progress.by_reason {
                    div { dt { (reason.replace('-', " ")) } dd { (count) } }
                } }
            }
            p.small.quiet { "Began " (time(pass.started_at)) }
        }
        div.actions {
            @if running {
                form.inline method="post" action={ "/dead-letters/passes/" (pass.id) "/stop" } { button { "Stop" } }
            }
            a.button href="/dead-letters" { "To the dead letters" }
        }
    }
}

fn badge(state: &PassState) -> Markup {
    html! {
        @match state {
            PassState::Running => span.badge.off { "running" },
            PassState::Done => span.badge.good { "done" },
            PassState::Stopped => span.badge.off { "stopped" },
            PassState::Failed(_) => span.badge.bad { "failed" },
        }
    }
}
