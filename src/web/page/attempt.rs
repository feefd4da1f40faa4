//! One attempt opened: the request, the answer, and the delivery's other attempts on a time line;
//! and sending a delivery again.

use axum::extract::{Path, RawForm, State};
use axum::http::StatusCode;
use axum::response::{Html, Redirect};
use maud::{Markup, html};

use super::attempts::{outcome, retry as retry_button, status};
use super::error::PageError;
use super::layout::{DROPPED, millis, time};
use super::visitor::Visitor;
use super::webhook::{Tab, about, find};
use crate::domain::attempt::Attempt;
use crate::domain::delivery::Trigger;
use crate::domain::delivery_state::DeliveryState;
use crate::domain::ids::DeliveryId;
use crate::domain::secret::SecretId;
use crate::operations::inspect::{self, Inspected};
use crate::operations::retry::{self, RetryError};
use crate::operations::sent::{HIDDEN, SentRequest, Signed, sent};
use crate::store::delivery_log::AttemptFilter;
use crate::store::search;
use crate::web::cursor::Cursors;
use crate::web::state::AppState;

/// An attempt, whole.
pub async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    Path((id, entry)): Path<(String, String)>,
) -> Result<Html<String>, PageError> {
    let webhook = find(&app, &visitor, &id).await?;
    let gone = || PageError::not_found("this attempt is not on record, or not any more");
    let cursors = Cursors::of(&app, &visitor.organization).await?;
    let entry = cursors.read(&entry).ok_or_else(gone)?;
    let (organization, key) = (&visitor.organization, &webhook.webhook.id);
    let log = &app.deployment.delivery_log;
    let found = log.attempt(organization, key, entry).await?;
    let attempt = found.ok_or_else(gone)?.attempt;
    let delivery = inspect::inspect(
        &app.deployment,
        organization,
        &attempt.delivery_id,
        Some(key),
    );
    let delivery = delivery.await?;
    let sent = sent(&attempt, &webhook.webhook, delivery.kept());
    let content = html! {
        p { a href={ "/webhooks/" (id) "/log" } { "Back to the Delivery Log" } }
        h2 { "Attempt " (attempt.attempt) " of delivery " code { (attempt.delivery_id) } }
        (facts(&attempt))
        (line(&attempt, &delivery))
        div.two {
            section aria-labelledby="request" { h2 #request { "Request" } (request(&sent)) }
            section aria-labelledby="response" { h2 #response { "Response" } (response(&attempt)) }
        }
    };
    Ok(about(&visitor, &webhook, Tab::Log, &content))
}

fn facts(attempt: &Attempt) -> Markup {
    html! {
        dl.card.facts {
            div { dt { "Timestamp" } dd { (time(attempt.started_at)) } }
            div { dt { "Outcome" } dd { (outcome(attempt)) } }
            div { dt { "HTTP status code" } dd { (status(attempt)) } }
            div { dt { "Duration" } dd { (millis(attempt.duration_ms())) } }
            div { dt { "Event type" } dd { code { (attempt.event_type) } } }
            div { dt { "Event id" } dd { code { (attempt.event_id) } } }
            div { dt { "Set off by" } dd { (set_off(attempt.trigger)) } }
            div { dt { "Sent to" } dd { @match attempt.remote_addr { Some(address) => (address), None => "no connection" } } }
            div { dt { "Worker" } dd { (attempt.worker) } }
        }
    }
}

fn set_off(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Event => "the event",
        Trigger::Retry => "the retry policy",
        Trigger::Manual => "a person",
        Trigger::Test => "a test",
    }
}

fn line(opened: &Attempt, delivery: &Inspected) -> Markup {
    html! {
        h2 { "All attempts of this delivery" }
        ol.line {
            @for attempt in &delivery.attempts {
                li aria-current=[(attempt == opened).then_some("true")] {
                    (time(attempt.started_at)) " "
                    (outcome(attempt)) " "
                    span { "attempt " (attempt.attempt) @if let Some(status) = attempt.status_code { ", status " (status) }
                        ", " (millis(attempt.duration_ms())) ", set off by " (set_off(attempt.trigger)) }
                }
            }
            @match delivery.state() {
                Some(DeliveryState::Waiting(at)) => li.next { (time(at)) " the next attempt is due" },
                Some(DeliveryState::Dead(reason)) => li.next { "given up: " (reason) },
                Some(DeliveryState::Delivered) | None => {},
            }
        }
        @if opened.trigger != Trigger::Test { (again(opened, delivery)) }
    }
}

fn again(opened: &Attempt, delivery: &Inspected) -> Markup {
    let delivered = match delivery.state() {
        Some(state) => state == DeliveryState::Delivered,
        None => opened.is_delivered(),
    };
    html! {
        @if delivery.kept().is_none() {
            p.small.quiet {
                "It cannot be sent again: its body is not kept. With delivery_log.keep_bodies = \"all\" the bodies of deliveries that never failed are kept too; beyond delivery_log.bodies_per_organization the oldest go. A delivery that was given up can be requeued from its dead letter."
            }
        } @else if delivered {
            p { "It was delivered. " (retry_button(opened, true)) }
        } @else { p { (retry_button(opened, false)) } }
    }
}

fn request(sent: &SentRequest) -> Markup {
    html! {
        pre.card tabindex="0" aria-label="Request headers" {
            "POST " (sent.url) "\n"
            @for (name, value) in &sent.headers {
                (name) ": " @if value == HIDDEN { span.quiet { (value) } } @else { (value) } "\n"
            }
        }
        @if !sent.own_headers_known {
            p.small.quiet { "Which headers of the webhook's own it carried is not on record: an earlier version sent it." }
        }
        p.small.quiet { (signed(&sent.signed)) }
        @match &sent.body {
            Some(body) => pre.card tabindex="0" aria-label="Request body" { (DROPPED) (String::from_utf8_lossy(body)) },
            None => p.small.quiet { "The body is not kept: only what fails is, unless delivery_log.keep_bodies says \"all\", and of each organization no more than delivery_log.bodies_per_organization." },
        }
    }
}

fn signed(signed: &Signed) -> Markup {
    let by = |ids: &[SecretId]| {
        html! {
            "It was signed with the secret" @if ids.len() > 1 { "s" }
            @for id in ids { " " code { (id) } }
        }
    };
    html! {
        @match signed {
            Signed::Not => "It was not signed: no secret of the webhook was active then.",
            Signed::By(ids) => { (by(ids)) "." }
            Signed::BodyGone(ids) => { (by(ids)) ". The signatures are not shown, because the body is not kept." }
            Signed::SecretsGone(ids) => { (by(ids)) ". The signatures are not shown, because the webhook has not all of these any more." }
            Signed::Unrecorded => "Whether it was signed, and with what, is not on record: an earlier version sent it.",
        }
    }
}

fn response(attempt: &Attempt) -> Markup {
    html! {
        @if let Some(error) = &attempt.error { p.card.notice.bad { (error) } }
        @if let Some(status) = attempt.status_code { p { "Status " strong { (status) } } }
        @else { p { "There was no whole answer." } }
        @if let Some(location) = &attempt.location {
            p { "It redirects to " code { (location) } ", which is not followed: give the webhook the URL that answers itself." }
        }
        @if attempt.response_body.is_empty() { p.quiet { "The body is empty." } }
        @else {
            pre.card tabindex="0" aria-label="Response body" { (DROPPED) (attempt.response_body) @if attempt.response_truncated { "…" } }
        }
        @if attempt.response_truncated { p.small.quiet { "The body went on; only its beginning is kept." } }
    }
}

/// Leads to the last attempt of a delivery.
pub async fn last(
    State(app): State<AppState>,
    visitor: Visitor,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<Redirect, PageError> {
    let webhook = find(&app, &visitor, &id).await?;
    let delivery =
        DeliveryId::new(&delivery).map_err(|error| PageError::not_found(error.to_string()))?;
    let filter = AttemptFilter {
        organization: Some(visitor.organization.clone()),
        webhook: Some(webhook.webhook.id.clone()),
        delivery: Some(delivery),
        ..AttemptFilter::default()
    };
    let found = search::all(&*app.deployment.delivery_log, &filter, 1).await?;
    let none = "no attempt of this delivery is on record, or not any more";
    let last = found.attempts.first();
    let last = last.ok_or_else(|| PageError::not_found(none))?;
    let cursors = Cursors::of(&app, &visitor.organization).await?;
    let entry = cursors.seal(last.entry);
    let place = format!("/webhooks/{}/attempts/{entry}", webhook.document.id);
    Ok(Redirect::to(&place))
}

/// Sends a delivery again.
pub async fn retry(
    State(app): State<AppState>,
    visitor: Visitor,
    Path((id, delivery)): Path<(String, String)>,
    RawForm(form): RawForm,
) -> Result<Redirect, PageError> {
    let webhook = find(&app, &visitor, &id).await?;
    let force = url::form_urlencoded::parse(&form).any(|(name, _)| name == "force");
    let delivery =
        DeliveryId::new(&delivery).map_err(|error| PageError::not_found(error.to_string()))?;
    let Visitor {
        actor,
        organization,
        ..
    } = &visitor;
    match retry::retry(&app.deployment, actor, organization, &delivery, force).await {
        Ok(()) => {
            let id = &webhook.document.id;
            Ok(Redirect::to(&format!("/webhooks/{id}/log?said=retried")))
        }
        Err(RetryError::Delivered(_)) => Err(PageError::new(
            StatusCode::CONFLICT,
            "It was delivered meanwhile. Open its last attempt to send it again all the same.",
        )),
        Err(error) => Err(error.into()),
    }
}
