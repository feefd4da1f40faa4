//! How far a job through the dead letters is.

use axum::extract::{Path, State};
use axum::response::{Html, Redirect};
use maud::{Markup, html};
use uuid::Uuid;

use super::error::PageError;
use super::layout::{passing_page, time};
use super::visitor::Visitor;
use crate::operations::jobs::{Job, JobState};
use crate::store::dead_letters::Action;
use crate::web::state::AppState;

/// How often the page of a job under way is loaded again where no script looks, in seconds.
const AGAIN: u32 = 2;

/// A job.
pub async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
) -> Result<Html<String>, PageError> {
    let job = app.jobs.get(&visitor.organization, id)?;
    let again = (job.state == JobState::Running).then_some(AGAIN);
    Ok(passing_page(
        "Dead letters",
        &visitor,
        again,
        &content(&job),
    ))
}

/// Stops a job.
pub async fn stop(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<Uuid>,
) -> Result<Redirect, PageError> {
    if !app.jobs.stop(&visitor.organization, id) {
        return Err(PageError::not_found("there is no such job any more"));
    }
    Ok(Redirect::to(&format!("/dead-letters/jobs/{id}")))
}

fn content(job: &Job) -> Markup {
    let (title, did) = match job.action {
        Action::Requeue => ("Requeue", "requeued"),
        Action::Purge => ("Purge", "purged"),
    };
    let progress = &job.progress;
    // More may have come to it since it was counted.
    let meant = job.meant.map(|meant| meant.max(progress.done));
    let running = job.state == JobState::Running;
    html! {
        p.crumbs { a href="/dead-letters" { "Dead letters" } span aria-hidden="true" { " / " } (title) }
        h1 { (title) " " (badge(&job.state)) }
        div.card.wide role="status" data-watch[running] {
            @match meant {
                Some(meant) => p { strong { (progress.done) " of " (meant) " " (did) } },
                None => p { strong { (progress.done) " " (did) } ", " (progress.own) " looked at" },
            }
            @if running {
                @match meant {
                    Some(meant) => progress aria-label={ "Dead letters " (did) } max=(meant.max(1)) value=(progress.done) {},
                    // How many there are to look at is known of all organizations together alone.
                    None => progress aria-label="Dead letters looked at" {},
                }
            }
            @if progress.unusable > 0 {
                p { (progress.unusable) " cannot be requeued: they are no deliveries. They stay." }
            }
            @if let JobState::Failed(error) = &job.state { p.error { (error) } }
            @if !progress.by_reason.is_empty() {
                dl.facts { @for (reason, count) in &progress.by_reason {
                    div { dt { (reason.replace('-', " ")) } dd { (count) } }
                } }
            }
            p.small.quiet { "Began " (time(job.started_at)) }
        }
        div.actions {
            @if running {
                form.inline method="post" action={ "/dead-letters/jobs/" (job.id) "/stop" } { button { "Stop" } }
            }
            a.button href="/dead-letters" { "To the dead letters" }
        }
    }
}

fn badge(state: &JobState) -> Markup {
    html! {
        @match state {
            JobState::Running => span.badge.off { "running" },
            JobState::Done => span.badge.good { "done" },
            JobState::Stopped => span.badge.off { "stopped" },
            JobState::Failed(_) => span.badge.bad { "failed" },
        }
    }
}
