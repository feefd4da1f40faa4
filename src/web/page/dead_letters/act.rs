//! Sending dead letters round again, and throwing them away.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::{RawForm, State};
use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use jiff::Timestamp;

use super::choice::LetterChoice;
use super::confirm::confirm;
use crate::operations::jobs::{JobAsked, RATES};
use crate::store::dead_letters::{Action, Filter, Options};
use crate::web::page::error::PageError;
use crate::web::page::visitor::Visitor;
use crate::web::state::AppState;

/// How long the answer to a form waits for a job that is soon through.
const SOON: Duration = Duration::from_millis(800);

/// What a form asks to be done.
#[derive(Debug)]
pub(super) struct JobForm {
    pub(super) action: Action,
    pub(super) wanted: LetterChoice,
    pub(super) ids: Option<BTreeSet<String>>,
    pub(super) rate: Option<f64>,
    /// How many there were when it was asked about.
    meant: Option<u64>,
    /// When they were counted, once it was asked about.
    seen: Option<Timestamp>,
}

impl JobForm {
    fn read(form: &[u8]) -> Result<Self, PageError> {
        let wrong = |detail: &str| PageError::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        let (mut wanted, mut ids, mut what) =
            (LetterChoice::default(), BTreeSet::new(), String::new());
        let (mut rate, mut meant, mut seen) = (None, None, None);
        for (name, value) in url::form_urlencoded::parse(form) {
            match &*name {
                "reason" => wanted.reason = value.into_owned(),
                "event_type" => wanted.event_type = value.into_owned(),
                "webhook" => wanted.webhook = value.into_owned(),
                "since" => wanted.since = value.into_owned(),
                "until" => wanted.until = value.into_owned(),
                "id" => drop(ids.insert(value.into_owned())),
                "do" => what = value.into_owned(),
                "meant" => meant = value.parse().ok(),
                "seen" => seen = value.parse().ok(),
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
                return Err(PageError::incomplete(
                    "No dead letter is selected",
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
            meant,
            seen,
        })
    }
}

/// Begins a job, and leads to its progress. It asks first, unless what was selected one by one is to be
/// sent round again.
pub async fn act(
    State(app): State<AppState>,
    visitor: Visitor,
    RawForm(form): RawForm,
) -> Result<Result<Redirect, Html<String>>, PageError> {
    let asked = JobForm::read(&form)?;
    let wanted = asked.wanted.filter(&visitor)?;
    let filter = Filter {
        ids: asked.ids.clone().or(wanted.ids),
        seen: asked.seen,
        ..wanted
    };
    let at_once = asked.action == Action::Requeue && asked.ids.is_some();
    if asked.seen.is_none() && !at_once {
        let page = confirm(&app, &visitor, &form, &asked, filter).await?;
        return Ok(Err(page));
    }
    let options = Options {
        rate: asked.rate,
        ..Options::default()
    };
    let selected = asked.ids.as_ref().map(|ids| ids.len() as u64);
    let asked = JobAsked {
        meant: asked.meant.or(selected),
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
