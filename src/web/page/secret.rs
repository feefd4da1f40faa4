//! Secrets on the page: shown once when they are generated, and never again; rotating one in two
//! steps.

use std::time::Duration;

use axum::extract::{Path, RawForm, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};

use super::error::PageError;
use super::form::check::{Errors, Typed, refused};
use super::form::show::error;
use super::layout::time;
use super::settings::page;
use super::visitor::Visitor;
use super::webhook::{Tab, about, find};
use crate::domain::rotation::{Promote, Rotation};
use crate::domain::secret::{Secret, SecretId};
use crate::domain::stored_secret::Standing;
use crate::registry::webhooks::{StoredWebhook, Target, Version, WebhooksError};
use crate::web::state::AppState;

/// The hours that may be chosen for which the old secret signs beside the new one.
const OVERLAPS: [(u64, &str); 4] = [
    (0, "not at all"),
    (1, "for an hour"),
    (24, "for a day"),
    (168, "for a week"),
];

/// The hours that may be chosen after which a new secret is promoted by itself.
const PROMOTIONS: [(u64, &str); 4] = [
    (1, "by itself, in an hour"),
    (24, "by itself, in a day"),
    (168, "by itself, in a week"),
    (0, "at once: the old one leaked"),
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

/// The secrets of a webhook as they stand, and the forms that rotate, promote and drop them.
pub fn secrets(webhook: &StoredWebhook, errors: &Errors) -> Markup {
    let standings = webhook.webhook.secret_standings(Timestamp::now());
    let staged = standings
        .iter()
        .any(|(_, one)| matches!(one, Standing::Staged { .. }));
    html! {
        @if !standings.is_empty() { (standing(&standings)) }
        @if staged { (change_over(webhook)) }
        (rotation(webhook, !standings.is_empty(), errors))
    }
}

/// Which secrets sign, and until when.
fn standing(standings: &[(SecretId, Standing)]) -> Markup {
    html! {
        div.card.wide {
            p { @if standings.len() == 1 { "This secret signs its requests:" } @else { "These secrets sign its requests:" } }
            ul {
                @for (id, one) in standings {
                    li {
                        @match one {
                            Standing::Current { .. } => { strong { "The current one" } ", in both headers" },
                            Standing::Staged { promote_at } => {
                                strong { "One that is staged" } ", in " code { "Webhook-Signature" } "; to be promoted "
                                @match promote_at { Some(at) => { "at " (time(*at)) }, None => "by hand" }
                            },
                            Standing::Old { .. } => { strong { "An old one" } ", in " code { "Webhook-Signature" } },
                        }
                        @if let Some(at) = one.expires_at() { ", until " (time(at)) }
                        "; attempts name it " code { (id) }
                    }
                }
            }
        }
    }
}

/// What is left to do once a secret is staged.
fn change_over(webhook: &StoredWebhook) -> Markup {
    let (id, version) = (&webhook.document.id, webhook.version.as_str());
    html! {
        div.card.wide.notice {
            p { strong { "A new secret is staged." } " So that no request is lost:" }
            ol {
                li { "Teach the receiver the new secret " em { "beside" } " the old one. " a href={ "/webhooks/" (id) "/verify" } { "The sample receivers hold two." } }
                li { "Promote the new secret: " code { "X-Prism-Signature" } " is made with it from then on." }
                li { "Take the old one from the receiver. It signs no more when its time is over." }
            }
            form method="post" action={ "/webhooks/" (id) "/promote-secret" } {
                input type="hidden" name="version" value=(version);
                div.field {
                    label for="promoted-overlap" { "After that the old secret signs beside it" }
                    (overlaps("promoted-overlap"))
                }
                button.first { "Promote the new secret" }
            }
            form method="post" action={ "/webhooks/" (id) "/drop-staged-secret" } {
                input type="hidden" name="version" value=(version);
                button { "Drop what is staged" }
            }
        }
    }
}

/// The form that rotates a secret.
fn rotation(webhook: &StoredWebhook, signed: bool, errors: &Errors) -> Markup {
    let invalid = errors.contains_key("secret").then_some("true");
    let (id, version) = (&webhook.document.id, webhook.version.as_str());
    html! {
        form.card.wide method="post" action={ "/webhooks/" (id) "/rotate-secret" } novalidate {
            input type="hidden" name="version" value=(version);
            @if signed { p { "A new secret is staged first: it signs beside the old one, in " code { "Webhook-Signature" } ", until the receiver knows it and it is promoted." } }
            @else { p { "Requests to this webhook are not signed. Give it a secret to sign them:" } }
            div.field {
                label for="secret" { "New secret" }
                p.hint #secret-hint { "Leave it empty to have one generated and shown once." }
                input #secret type="password" name="secret" autocomplete="new-password" spellcheck="false"
                    aria-describedby="secret-hint secret-error" aria-invalid=[invalid];
                (error("secret", errors))
            }
            @if signed {
                div.field {
                    label for="promote" { "It is promoted" }
                    select #promote name="promote" {
                        option value="" selected { "by hand, once the receiver knows it" }
                        @for (hours, name) in PROMOTIONS { option value=(hours) { (name) } }
                    }
                }
                div.field {
                    label for="overlap" { "After that the old secret signs beside it" }
                    (overlaps("overlap"))
                }
            }
            button { @if signed { "Rotate secret" } @else { "Set secret" } }
        }
    }
}

fn overlaps(id: &str) -> Markup {
    html! {
        select id=(id) name="overlap" {
            @for (hours, name) in OVERLAPS { option value=(hours) selected[hours == 24] { (name) } }
        }
    }
}

/// The hours that were chosen in `field` among those that may be.
fn hours(form: &[u8], field: &str, allowed: &[(u64, &str)]) -> Option<u64> {
    let chosen = url::form_urlencoded::parse(form).find(|(name, _)| name == field);
    let chosen: u64 = chosen.and_then(|(_, value)| value.parse().ok())?;
    let allowed = allowed.iter().any(|(hours, _)| *hours == chosen);
    allowed.then_some(chosen)
}

/// For how long the old secret signs beside the new one, as was chosen.
fn overlap(form: &[u8]) -> Duration {
    Duration::from_hours(hours(form, "overlap", &OVERLAPS).unwrap_or(24))
}

/// Stages a new secret, or promotes it at once.
pub async fn rotate(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    RawForm(form): RawForm,
) -> Result<Response, PageError> {
    let webhook = find(&app, &visitor, &id).await?;
    let again = |errors: &Errors| {
        let page = page(&app, &visitor, &webhook, None, errors);
        (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
    };
    let mut typed = Typed::read(&form);
    typed.generate = typed.secret.is_empty();
    let (secret, show) = match typed.secret() {
        Ok(Some(secret)) => secret,
        Ok(None) => return Err(PageError::not_found("there is no secret to set")),
        Err(error) => return Ok(again(&Errors::from([("secret", error)]))),
    };
    let now = Timestamp::now();
    let rotation = Rotation {
        promote: match hours(&form, "promote", &PROMOTIONS) {
            None => Promote::ByHand,
            Some(0) => Promote::Now,
            Some(hours) => Promote::At(now + Duration::from_hours(hours)),
        },
        overlap: overlap(&form),
    };
    let version = Version::new(&typed.version);
    let target = Target::seen(&webhook.document.id, &version);
    let webhooks = app.deployment.webhooks.by(visitor.actor.clone());
    let organization = &visitor.organization;
    let rotating = webhooks.rotate_secret(organization, target, &secret, rotation, now);
    let stored = match rotating.await {
        Ok(stored) => stored,
        Err(error) => return Ok(again(&refused(error)?)),
    };
    Ok(rotated(&visitor, &stored, show.then_some(&secret), now))
}

/// What came of a rotation, and what is to do next.
fn rotated(
    visitor: &Visitor,
    stored: &StoredWebhook,
    generated: Option<&Secret>,
    now: Timestamp,
) -> Response {
    let standings = stored.webhook.secret_standings(now);
    let staged = |(_, one): &(SecretId, Standing)| matches!(one, Standing::Staged { .. });
    let id = &stored.document.id;
    let content = html! {
        @if standings.iter().any(staged) {
            h2 { "The new secret is staged" }
            @match generated {
                Some(secret) => (shown_once(id, secret)),
                None => p.card.notice.good role="status" { "The secret that you typed signs beside the old one from now on." },
            }
            (standing(&standings))
            (change_over(stored))
        } @else {
            h2 { "The secret is rotated" }
            @match generated {
                Some(secret) => (shown_once(id, secret)),
                None => p.card.notice.good role="status" { "Requests are signed with the secret that you typed from now on." },
            }
        }
    };
    about(visitor, stored, Tab::Settings, &content).into_response()
}

/// Promotes the secret that is staged.
pub async fn promote(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    RawForm(form): RawForm,
) -> Result<Redirect, PageError> {
    let version = Version::new(&Typed::read(&form).version);
    let webhooks = app.deployment.webhooks.by(visitor.actor.clone());
    let organization = &visitor.organization;
    let (target, overlap) = (Target::seen(&id, &version), Some(overlap(&form)));
    let now = Timestamp::now();
    let promoted = webhooks
        .promote_secret(organization, target, overlap, now)
        .await;
    done(promoted, "promoted")
}

/// Drops the secret that is staged.
pub async fn drop_staged(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    RawForm(form): RawForm,
) -> Result<Redirect, PageError> {
    let version = Version::new(&Typed::read(&form).version);
    let webhooks = app.deployment.webhooks.by(visitor.actor.clone());
    let organization = &visitor.organization;
    let (target, now) = (Target::seen(&id, &version), Timestamp::now());
    let dropped = webhooks
        .drop_staged_secrets(organization, target, now)
        .await;
    done(dropped, "dropped")
}

fn done(changed: Result<StoredWebhook, WebhooksError>, word: &str) -> Result<Redirect, PageError> {
    let id = changed?.document.id;
    Ok(Redirect::to(&format!(
        "/webhooks/{id}/settings?said={word}"
    )))
}
