//! Creating a webhook: the form, with errors beside their fields and nothing typed lost.

use std::collections::BTreeMap;

use axum::extract::{RawForm, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use jiff::Timestamp;
use maud::{Markup, html};

use super::layout::{Trouble, page};
use super::session::Visitor;
use crate::api::Api;
use crate::domain::matching::EventSubscription;
use crate::domain::secret::Secret;
use crate::domain::webhook::InvalidWebhook;
use crate::registry::webhooks::{NewWebhook, WebhooksError};

/// What was typed.
#[derive(Debug, Default, Clone)]
struct Typed {
    name: String,
    url: String,
    secret: String,
    generate: bool,
    description: String,
    events: Vec<String>,
    headers: String,
}

/// What is wrong, by field.
type Errors = BTreeMap<&'static str, String>;

impl Typed {
    fn read(form: &[u8]) -> Self {
        let mut typed = Self::default();
        for (name, value) in url::form_urlencoded::parse(form) {
            let value = value.into_owned();
            match &*name {
                "name" => typed.name = value,
                "url" => typed.url = value.trim().to_owned(),
                "secret" => typed.secret = value,
                "generate" => typed.generate = true,
                "description" => typed.description = value,
                "event" => typed.events.push(value),
                "headers" => typed.headers = value,
                _ => {}
            }
        }
        typed
    }

    /// The webhook, and its secret if that was generated.
    fn webhook(&self) -> Result<(NewWebhook, Option<String>), Errors> {
        let mut errors = Errors::new();
        if self.name.trim().is_empty() {
            errors.insert("name", "Give it a name.".to_owned());
        }
        if self.url.is_empty() {
            errors.insert("url", "Say where to post to.".to_owned());
        }
        let secret = match (self.secret.as_str(), self.generate) {
            ("", false) => None,
            ("", true) => Some(Secret::generate(&mut rand::rng())),
            (_, true) => {
                let both = "Type a secret or have one generated, not both.";
                errors.insert("secret", both.to_owned());
                None
            }
            (typed, false) => Secret::new(typed)
                .map_err(|error| errors.insert("secret", sentence(&error.to_string())))
                .ok(),
        };
        let mut events = Vec::new();
        for name in &self.events {
            match EventSubscription::parse(name) {
                Ok(event) => events.push(event),
                Err(error) => {
                    errors.insert("event", sentence(&error.to_string()));
                }
            }
        }
        let mut headers = BTreeMap::new();
        for line in self.headers.lines().filter(|line| !line.trim().is_empty()) {
            match line.split_once(':') {
                Some((name, value)) => {
                    headers.insert(name.trim().to_owned(), value.trim().to_owned());
                }
                None => {
                    errors.insert("headers", "Write each as Name: value.".to_owned());
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let shown = secret.as_ref().filter(|_| self.generate);
        let shown = shown.map(|secret| secret.expose().to_owned());
        let description = Some(self.description.trim().to_owned());
        let new = NewWebhook {
            name: self.name.clone(),
            url: self.url.clone(),
            secret,
            description: description.filter(|text| !text.is_empty()),
            events,
            headers,
            retry: None,
        };
        Ok((new, shown))
    }
}

pub async fn empty(State(api): State<Api>, visitor: Visitor) -> Html<String> {
    shown(&api, &visitor, &Typed::default(), &Errors::new())
}

pub async fn create(
    State(api): State<Api>,
    visitor: Visitor,
    RawForm(form): RawForm,
) -> Result<Response, Trouble> {
    let typed = Typed::read(&form);
    let refused = |errors: &Errors| {
        let page = shown(&api, &visitor, &typed, errors);
        (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
    };
    let (new, generated) = match typed.webhook() {
        Ok(webhook) => webhook,
        Err(errors) => return Ok(refused(&errors)),
    };
    let creating = api
        .deployment
        .webhooks
        .create(&visitor.organization, new, Timestamp::now());
    let stored = match creating.await {
        Ok(stored) => stored,
        Err(error) => match field(&error) {
            Some(field) => {
                let errors = Errors::from([(field, sentence(&error.to_string()))]);
                return Ok(refused(&errors));
            }
            None => return Err(error.into()),
        },
    };
    let place = format!("/webhooks/{}", stored.document.id);
    match generated {
        None => Ok(Redirect::to(&place).into_response()),
        // Not by way of a redirect: it would stand in an address.
        Some(secret) => {
            let content = created(&stored.document.name, &secret, &place);
            Ok(page("Created", Some(&visitor), &content).into_response())
        }
    }
}

/// The field that an error belongs to.
fn field(error: &WebhooksError) -> Option<&'static str> {
    match error {
        WebhooksError::NameTaken { .. } | WebhooksError::Invalid(InvalidWebhook::Name) => {
            Some("name")
        }
        WebhooksError::Invalid(InvalidWebhook::Url(_)) => Some("url"),
        WebhooksError::Invalid(InvalidWebhook::Description) => Some("description"),
        WebhooksError::Invalid(InvalidWebhook::Header(_)) => Some("headers"),
        WebhooksError::Invalid(InvalidWebhook::Secret { .. }) | WebhooksError::Secret(_) => {
            Some("secret")
        }
        WebhooksError::Invalid(InvalidWebhook::Id(_)) => Some("event"),
        _ => None,
    }
}

/// An error as a sentence of its own.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), characters.as_str())
}

fn created(name: &str, secret: &str, place: &str) -> Markup {
    html! {
        h1 { (name) " is registered" }
        div.card.notice {
            p { "Its secret, shown this once. Give it to the receiver, which verifies requests with it:" }
            pre { (secret) }
        }
        p { a.button.first href=(place) { "To its Delivery Log" } }
    }
}

fn shown(api: &Api, visitor: &Visitor, typed: &Typed, errors: &Errors) -> Html<String> {
    let content = html! {
        h1 { "Create Webhook" }
        @if !errors.is_empty() {
            p.card.notice.bad role="alert" { "It was not created: see below what is missing or wrong." }
        }
        form.card.wide method="post" action="/webhooks" novalidate {
            (line("name", "Name", "What people call it; unique in the organization.", "text", &typed.name, true, errors))
            (line("url", "URL", "Where to post to: https, unless the deployment allows http.", "url", &typed.url, true, errors))
            (line("secret", "Secret (optional)", "Requests are signed with it. Any text, or whsec_ and Base64.", "text", &typed.secret, false, errors))
            label.check { input type="checkbox" name="generate" checked[typed.generate]; "Generate a secret, and show it once" }
            p {}
            (line("description", "Description (optional)", "What it is for.", "text", &typed.description, false, errors))
            fieldset {
                legend { "Event Subscriptions" }
                span.hint.quiet.small { "None: every event type, also those that come later." }
                @for event_type in &api.rules.event_types {
                    label.check {
                        input type="checkbox" name="event" value=(event_type.as_str())
                            checked[typed.events.iter().any(|event| event == event_type.as_str())];
                        (event_type)
                    }
                }
                (error("event", errors))
            }
            div.field {
                label for="headers" { "Request headers (optional)" }
                span.hint #headers-hint { "One a line, as in X-Team: blue." }
                textarea #headers name="headers" rows="3" aria-describedby="headers-hint headers-error"
                    aria-invalid=[errors.contains_key("headers").then_some("true")] { (typed.headers) }
                (error("headers", errors))
            }
            button.first { "Create" }
            " " a.button href="/webhooks" { "Cancel" }
        }
    };
    page("Create Webhook", Some(visitor), &content)
}

fn line(
    name: &'static str,
    label: &str,
    hint: &str,
    kind: &str,
    value: &str,
    required: bool,
    errors: &Errors,
) -> Markup {
    let wrong = errors.contains_key(name).then_some("true");
    html! {
        div.field {
            label for=(name) { (label) }
            span.hint id={ (name) "-hint" } { (hint) }
            input id=(name) type=(kind) name=(name) value=(value) required[required] autocomplete="off"
                aria-describedby={ (name) "-hint " (name) "-error" } aria-invalid=[wrong];
            (error(name, errors))
        }
    }
}

fn error(name: &str, errors: &Errors) -> Markup {
    html! { @if let Some(error) = errors.get(name) { p.error id={ (name) "-error" } { (error) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_wrong_is_said_of_its_field() {
        let typed = Typed::read(b"name=+&url=&secret=x&generate=on&headers=nothing&event=a+b");
        let errors = typed.webhook().unwrap_err();
        let fields: Vec<&str> = errors.keys().copied().collect();
        assert_eq!(fields, ["event", "headers", "name", "secret", "url"]);
    }

    #[test]
    fn a_filled_in_form_is_a_webhook() {
        let form = b"name=Ours&url=https%3A%2F%2Fexample.com%2F&secret=&generate=on\
            &description=&event=request.completed&event=budget.exceeded&headers=X-Team%3A+blue%0D%0A";
        let (new, shown) = Typed::read(form).webhook().unwrap();
        assert_eq!(
            (new.name.as_str(), new.url.as_str()),
            ("Ours", "https://example.com/")
        );
        assert_eq!(new.events.len(), 2);
        assert_eq!(new.headers["X-Team"], "blue");
        assert_eq!(shown.as_deref(), new.secret.as_ref().map(Secret::expose));
        assert_eq!(new.description, None);
    }
}
