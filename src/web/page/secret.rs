//! Secrets on the page: shown once when they are generated, and never again; and rotating one.

use std::time::Duration;

use axum::extract::{Path, RawForm, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use maud::{Markup, html};

use super::error::PageError;
use super::form::{Errors, Typed, error};
use super::settings;
use super::visitor::Visitor;
use super::webhook::{Tab, about, find};
use crate::domain::secret::Secret;
use crate::registry::webhooks::{Target, Version};
use crate::web::state::AppState;

/// The hours that may be chosen for which the old secret signs beside the new one.
const OVERLAPS: [(u64, &str); 4] = [
    (0, "not at all"),
    (1, "for an hour"),
    (24, "for a day"),
    (168, "for a week"),
];

/// The choice to have a secret generated.
pub fn generating(checked: bool) -> Markup {
    html! {
        label.check { input type="checkbox" name="generate" checked[checked]; "Generate a secret, and show it once" }
    }
}

/// A generated secret, this once.
pub fn shown_once(webhook: &str, secret: &Secret) -> Markup {
    html! {
        div.card.notice.good role="status" {
            p { strong { "Its secret, shown this once." } " Copy it now and give it to the receiver, which verifies requests with it:" }
            div.copy { pre #generated-secret { (secret.expose()) } button type="button" data-copy="generated-secret" hidden { "Copy" } }
        }
        div.actions {
            a.button.first href={ "/webhooks/" (webhook) "/verify" } { "How the receiver verifies" }
            a.button href={ "/webhooks/" (webhook) "/log" } { "To the Delivery Log" }
        }
    }
}

/// The form that rotates a secret.
pub fn rotation(webhook: &str, version: &str, signed: bool, errors: &Errors) -> Markup {
    let invalid = errors.contains_key("secret").then_some("true");
    html! {
        form.card.wide method="post" action={ "/webhooks/" (webhook) "/rotate-secret" } novalidate {
            input type="hidden" name="version" value=(version);
            @if !signed { p { "Requests to this webhook are not signed. Give it a secret to sign them:" } }
            div.field {
                label for="secret" { "New secret" }
                p.hint #secret-hint { "Leave it empty to have one generated and shown once." }
                input #secret type="password" name="secret" autocomplete="new-password" spellcheck="false"
                    aria-describedby="secret-hint secret-error" aria-invalid=[invalid];
                (error("secret", errors))
            }
            @if signed {
                div.field {
                    label for="overlap" { "The old secret signs beside it" }
                    select #overlap name="overlap" {
                        @for (hours, name) in OVERLAPS { option value=(hours) selected[hours == 24] { (name) } }
                    }
                }
            }
            button { @if signed { "Rotate secret" } @else { "Set secret" } }
        }
    }
}

/// Rotates a secret.
pub async fn rotate(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    RawForm(form): RawForm,
) -> Result<Response, PageError> {
    let webhook = find(&app, &visitor, &id).await?;
    let mut typed = Typed::read(&form);
    typed.generate = typed.secret.is_empty();
    let (secret, show) = match typed.secret() {
        Ok(Some(secret)) => secret,
        Ok(None) => return Err(PageError::not_found("there is no secret to set")),
        Err(error) => {
            let errors = Errors::from([("secret", error)]);
            let page = settings::page(&app, &visitor, &webhook, None, &errors);
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let hours = url::form_urlencoded::parse(&form).find(|(name, _)| name == "overlap");
    let hours = hours.and_then(|(_, value)| value.parse().ok());
    let allowed = OVERLAPS.iter().find(|(known, _)| Some(*known) == hours);
    let overlap = Duration::from_secs(allowed.map_or(0, |(hours, _)| hours * 3600));
    let version = Version::new(&typed.version);
    let target = Target {
        reference: &webhook.document.id,
        version: Some(&version),
    };
    let webhooks = &app.deployment.webhooks;
    let organization = &visitor.organization;
    let stored = webhooks
        .rotate_secret(organization, target, &secret, overlap, Timestamp::now())
        .await?;
    let content = html! {
        h2 { "The secret is rotated" }
        @if show { (shown_once(&stored.document.id, &secret)) }
        @else {
            p.card.notice.good role="status" { "Requests are signed with the secret that you typed from now on." }
        }
    };
    Ok(about(&visitor, &stored, Tab::Settings, &content).into_response())
}
