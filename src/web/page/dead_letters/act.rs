//! Sending dead letters round again, and throwing them away.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::{RawForm, State};
use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use maud::html;

use super::LetterChoice;
use crate::operations::jobs::{JobAsked, RATES};
use crate::store::dead_letters::{Action, Filter, Options};
use crate::web::page::error::PageError;
use crate::web::page::layout::{Area, page_at};
use crate::web::page::visitor::Visitor;
use crate::web::state::AppState;

/// How long the answer to a form waits for a job that is soon through.
const SOON: Duration = Duration::from_millis(800);

/// What a form asks to be done.
struct JobForm {
    action: Action,
    wanted: LetterChoice,
    ids: Option<BTreeSet<String>>,
    rate: Option<f64>,
    sure: bool,
}

impl JobForm {
    fn read(form: &[u8]) -> Result<Self, PageError> {
        let wrong = |detail: &str| PageError::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        let (mut wanted, mut ids, mut what) =
            (LetterChoice::default(), BTreeSet::new(), String::new());
        let (mut rate, mut sure) = (None, false);
        for (name, value) in url::form_urlencoded::parse(form) {
            match &*name {
                "reason" => wanted.reason = value.into_owned(),
                "event_type" => wanted.event_type = value.into_owned(),
                "webhook" => wanted.webhook = value.into_owned(),
                "since" => wanted.since = value.into_owned(),
                "until" => wanted.until = value.into_owned(),
                "id" => drop(ids.insert(value.into_owned())),
                "do" => what = value.into_owned(),
                "sure" => sure = true,
                "rate" if !value.trim().is_empty() => {
                    let number = value.trim().parse().ok();
                    let number = number.filter(|rate| RATES.contains(rate));
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

/// Begins a job, and leads to its progress. Throwing away is asked about first.
pub async fn act(
    State(app): State<AppState>,
    visitor: Visitor,
    RawForm(form): RawForm,
) -> Result<Result<Redirect, Html<String>>, PageError> {
    let asked = JobForm::read(&form)?;
    if asked.action == Action::Purge && !asked.sure {
        return Ok(Err(confirm(&visitor, &form, &asked)));
    }
    let wanted = asked.wanted.filter(&visitor)?;
    let filter = Filter {
        ids: asked.ids.or(wanted.ids),
        ..wanted
    };
    let options = Options {
        rate: asked.rate,
        ..Options::default()
    };
    let asked = JobAsked {
        organization: visitor.organization,
        actor: visitor.actor,
        action: asked.action,
        filter,
        options,
    };
    let jobs = &app.jobs;
    let started = jobs.start(&app.deployment, asked, &app.stop);
    let job = jobs.wait(started?, SOON).await;
    Ok(Ok(Redirect::to(&format!("/dead-letters/jobs/{}", job.id))))
}

fn confirm(visitor: &Visitor, form: &[u8], asked: &JobForm) -> Html<String> {
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
    page_at(Area::DeadLetters, "Purge", Some(visitor), &content)
}
