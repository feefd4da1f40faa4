//! The settings of a webhook: changing it, whether it is enabled, deleting it.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, RawForm, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::error::PageError;
use super::form::check::{Errors, Fields, Typed, refused};
use super::form::show::{alert, shared};
use super::layout::{flash, time};
use super::secret::secrets;
use super::visitor::Visitor;
use super::webhook::{Tab, about, find};
use crate::domain::endpoint::shown;
use crate::operations::disabling::{BY_HAND, LONGEST_REASON};
use crate::registry::webhooks::{StoredWebhook, Target, Version, WebhookPatch, WebhooksError};
use crate::web::state::AppState;

/// What was just done, as the address says it.
#[derive(Debug, Deserialize)]
pub struct JustDone {
    #[serde(default)]
    said: String,
}

/// The settings as they are.
pub async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(done): Query<JustDone>,
) -> Result<Html<String>, PageError> {
    let webhook = find(&app, &visitor, &id).await?;
    let typed = Typed::of(&webhook.document, webhook.version.as_str());
    let content = html! { (flash(&done.said)) (content(&app, &webhook, &typed, &Errors::new())) };
    Ok(about(&visitor, &webhook, Tab::Settings, &content))
}

/// The settings with what was typed and what is wrong with it.
pub fn page(
    app: &AppState,
    visitor: &Visitor,
    webhook: &StoredWebhook,
    typed: Option<&Typed>,
    errors: &Errors,
) -> Html<String> {
    let stored = Typed::of(&webhook.document, webhook.version.as_str());
    let content = content(app, webhook, typed.unwrap_or(&stored), errors);
    about(visitor, webhook, Tab::Settings, &content)
}

fn content(app: &AppState, webhook: &StoredWebhook, typed: &Typed, errors: &Errors) -> Markup {
    let document = &webhook.document;
    let id = &document.id;
    html! {
        (alert(errors, "It was not saved:"))
        h2 { "Edit" }
        form.card.wide method="post" action={ "/webhooks/" (id) "/settings" } novalidate {
            input type="hidden" name="version" value=(typed.version);
            (shared(app, typed, errors, &html! {}))
            button.first { "Save" }
        }
        h2 #secrets { "Secret" }
        (secrets(webhook, errors))
        h2 #state { @if document.enabled { "Disable" } @else { "Enable" } }
        (switch(webhook))
        h2 { "Delete" }
        div.card.wide {
            p { "The webhook and its Delivery Log go for good. What is on its way to it becomes dead letters." }
            a.button.danger href={ "/webhooks/" (id) "/delete" } { "Delete webhook…" }
        }
        p.small.quiet {
            "Id " code { (id) }
            @if let Some(at) = document.created_at { ", created " (time(at)) }
            @if let Some(at) = document.updated_at { ", last changed " (time(at)) }
            " · " a href={ "/audit?webhook_id=" (id) } { "Who changed it" }
        }
    }
}

fn switch(webhook: &StoredWebhook) -> Markup {
    let document = &webhook.document;
    html! {
        @if document.enabled {
            form.card.wide method="post" action={ "/webhooks/" (document.id) "/disable" } {
                p { "It gets no new deliveries, and what is on its way becomes dead letters, which can be requeued later." }
                div.field {
                    label for="reason" { "Reason" }
                    input #reason type="text" name="reason" value=(BY_HAND) maxlength=(LONGEST_REASON) autocomplete="off";
                }
                button { "Disable webhook" }
            }
        } @else {
            form.card.wide method="post" action={ "/webhooks/" (document.id) "/enable" } {
                p { "It gets deliveries again, and its failures so far are forgotten." }
                button.first { "Enable webhook" }
            }
        }
    }
}

/// Saves what was typed, unless somebody else was faster.
pub async fn save(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    RawForm(form): RawForm,
) -> Result<Response, PageError> {
    let webhook = find(&app, &visitor, &id).await?;
    let mut typed = Typed::read(&form);
    let again = |typed: &Typed, errors: &Errors| {
        let page = page(&app, &visitor, &webhook, Some(typed), errors);
        (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
    };
    // One that is registered stays as it is.
    let check_url = |url: &str| match url == shown(&webhook.document.url) {
        true => Ok(()),
        false => app.deployment.webhooks.check_url(url),
    };
    let fields = match typed.fields(check_url) {
        Ok(fields) => fields,
        Err(errors) => return Ok(again(&typed, &errors)),
    };
    let patch = patch(&webhook, &typed, fields);
    let version = Version::new(&typed.version);
    let target = Target::seen(&webhook.document.id, &version);
    let webhooks = app.deployment.webhooks.by(visitor.actor.clone());
    let saving = webhooks.update(&visitor.organization, target, &patch, Timestamp::now());
    match saving.await {
        Ok(stored) => {
            let place = format!("/webhooks/{}/settings?said=saved", stored.document.id);
            Ok(Redirect::to(&place).into_response())
        }
        Err(WebhooksError::Changed { .. }) => {
            typed.version = webhook.version.as_str().to_owned();
            let theirs = "Somebody else changed the webhook meanwhile. Below is what you typed: save \
                          again to put it in the place of theirs, or open the page anew to see theirs.";
            Ok(again(&typed, &Errors::from([("name", theirs.to_owned())])))
        }
        Err(error) => Ok(again(&typed, &refused(error)?)),
    }
}

fn patch(webhook: &StoredWebhook, typed: &Typed, fields: Fields) -> WebhookPatch {
    let own = webhook.document.headers.iter();
    let kept = own.filter(|(name, _)| typed.kept_headers.contains(name));
    let mut headers: BTreeMap<String, String> = kept
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    headers.extend(fields.headers);
    let document = &webhook.document;
    WebhookPatch {
        name: (fields.name.trim() != document.name).then_some(fields.name),
        url: (fields.url != shown(&document.url)).then_some(fields.url),
        description: (fields.description != document.description).then_some(fields.description),
        events: Some(fields.events),
        headers: Some(headers),
        retry: None,
        rate_limit: Some(fields.rate_limit),
    }
}

/// Lets it have deliveries again.
pub async fn enable(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Redirect, PageError> {
    let webhooks = app.deployment.webhooks.by(visitor.actor.clone());
    let organization = &visitor.organization;
    let stored = webhooks.enable(organization, &id, Timestamp::now()).await?;
    let place = format!("/webhooks/{}/settings?said=enabled", stored.document.id);
    Ok(Redirect::to(&place))
}

/// Stops its deliveries.
pub async fn disable(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    RawForm(form): RawForm,
) -> Result<Redirect, PageError> {
    let given = url::form_urlencoded::parse(&form).find(|(name, _)| name == "reason");
    let given = given.map(|(_, value)| value.chars().take(LONGEST_REASON).collect::<String>());
    let reason = given.filter(|reason| !reason.trim().is_empty());
    let reason = reason.unwrap_or_else(|| BY_HAND.to_owned());
    let webhooks = app.deployment.webhooks.by(visitor.actor.clone());
    let organization = &visitor.organization;
    let stored = webhooks
        .disable(organization, &id, &reason, Timestamp::now())
        .await?;
    let place = format!("/webhooks/{}/settings?said=disabled", stored.document.id);
    Ok(Redirect::to(&place))
}

/// Asks whether it is really to go.
pub async fn confirm(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Html<String>, PageError> {
    let webhook = find(&app, &visitor, &id).await?;
    let place = format!("/webhooks/{}", webhook.document.id);
    let content = html! {
        h2 { "Delete " (webhook.document.name) "?" }
        form.card.wide.notice.bad method="post" action={ (place) "/delete" } {
            input type="hidden" name="version" value=(webhook.version.as_str());
            p { "The webhook and its Delivery Log go for good; deliveries on their way to it become dead letters. This cannot be undone." }
            div.actions {
                button.danger { "Delete for good" }
                a.button href={ (place) "/settings" } { "Keep it" }
            }
        }
    };
    Ok(about(&visitor, &webhook, Tab::Settings, &content))
}

/// Deletes it, if it is still what was shown.
pub async fn delete(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    RawForm(form): RawForm,
) -> Result<Redirect, PageError> {
    let version = Version::new(&Typed::read(&form).version);
    let target = Target {
        reference: &id,
        version: Some(&version),
    };
    let webhooks = app.deployment.webhooks.by(visitor.actor.clone());
    webhooks.delete(&visitor.organization, target).await?;
    Ok(Redirect::to("/webhooks?said=deleted"))
}
