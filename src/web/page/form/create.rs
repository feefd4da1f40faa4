//! Creating a webhook.

use axum::extract::{RawForm, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::html;

use super::check::{Errors, Typed, refused};
use super::show::{alert, error, shared};
use crate::registry::webhooks::NewWebhook;
use crate::web::page::error::PageError;
use crate::web::page::layout::page;
use crate::web::page::secret::{generating, shown_once};
use crate::web::page::visitor::Visitor;
use crate::web::state::AppState;

/// The empty form.
pub async fn empty(State(app): State<AppState>, visitor: Visitor) -> Html<String> {
    shown(&app, &visitor, &Typed::default(), &Errors::new())
}

/// Registers what was typed.
pub async fn create(
    State(app): State<AppState>,
    visitor: Visitor,
    RawForm(form): RawForm,
) -> Result<Response, PageError> {
    let typed = Typed::read(&form);
    let again = |errors: &Errors| {
        let page = shown(&app, &visitor, &typed, errors);
        (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
    };
    let check_url = |url: &str| app.deployment.webhooks.check_url(url);
    let (fields, secret) = match (typed.fields(check_url), typed.secret()) {
        (Ok(fields), Ok(secret)) => (fields, secret),
        (fields, secret) => {
            let mut errors = fields.err().unwrap_or_default();
            if let Err(error) = secret {
                errors.insert("secret", error);
            }
            return Ok(again(&errors));
        }
    };
    let (secret, show) = match secret {
        Some((secret, show)) => (Some(secret), show),
        None => (None, false),
    };
    let generated = secret.clone().filter(|_| show);
    let new = NewWebhook {
        name: fields.name,
        url: fields.url,
        secret,
        description: fields.description,
        events: fields.events,
        headers: fields.headers,
        retry: None,
        rate_limit: fields.rate_limit,
    };
    let webhooks = app.deployment.webhooks.by(visitor.actor.clone());
    let creating = webhooks.create(&visitor.organization, new, Timestamp::now());
    let stored = match creating.await {
        Ok(stored) => stored,
        Err(error) => return Ok(again(&refused(error)?)),
    };
    let place = format!("/webhooks/{}/log?said=created", stored.document.id);
    Ok(match generated {
        None => Redirect::to(&place).into_response(),
        // Not by way of a redirect: it would stand in an address.
        Some(secret) => {
            let content = html! {
                h1 { (stored.document.name) " is registered" }
                (shown_once(&stored.document.id, &secret))
            };
            page("Created", Some(&visitor), &content).into_response()
        }
    })
}

fn shown(app: &AppState, visitor: &Visitor, typed: &Typed, errors: &Errors) -> Html<String> {
    let invalid = errors.contains_key("secret").then_some("true");
    let secret = html! {
        div.field {
            label for="secret" { "Secret (optional)" }
            p.hint #secret-hint { "Requests are signed with it, so that the receiver can tell that they are ours. Any text, or " code { "whsec_" } " and Base64." }
            input #secret type="password" name="secret" value=(typed.secret) autocomplete="new-password" spellcheck="false"
                aria-describedby="secret-hint secret-error" aria-invalid=[invalid];
            (error("secret", errors))
            (generating(typed.generate))
        }
    };
    let content = html! {
        p.crumbs { a href="/webhooks" { "Webhooks" } span aria-hidden="true" { " / " } "new" }
        h1 { "Create Webhook" }
        (alert(errors, "It was not created:"))
        form.card.wide method="post" action="/webhooks" novalidate {
            (shared(app, typed, errors, &secret))
            div.actions {
                button.first { "Create" }
                a.button href="/webhooks" { "Cancel" }
            }
        }
    };
    page("Create Webhook", Some(visitor), &content)
}
