//! Checking the form of a webhook: what was typed, and what is wrong with it.

use std::collections::BTreeMap;

use crate::domain::endpoint::shown;
use crate::domain::matching::EventSubscription;
use crate::domain::rate_limit::{InvalidRateLimit, RateLimit};
use crate::domain::secret::Secret;
use crate::domain::webhook::WebhookDocument;
use crate::registry::webhooks::WebhooksError;
use crate::web::problem::field;

/// The form's fields as they were typed.
#[derive(Debug, Default, Clone)]
pub struct Typed {
    pub name: String,
    pub url: String,
    pub secret: String,
    pub generate: bool,
    pub description: String,
    pub events: Vec<String>,
    pub headers: String,
    pub rate_limit: String,
    /// The headers that there are already and that stay, by name.
    pub kept_headers: Vec<String>,
    /// The version of the webhook that the form was filled with.
    pub version: String,
}

/// The mistakes in a form, by field.
pub type Errors = BTreeMap<&'static str, String>;

/// The form's fields, checked.
pub struct Fields {
    pub name: String,
    pub url: String,
    pub description: Option<String>,
    pub events: Vec<EventSubscription>,
    pub headers: BTreeMap<String, String>,
    pub rate_limit: Option<RateLimit>,
}

impl Typed {
    /// Reads a form as it is sent.
    pub fn read(form: &[u8]) -> Self {
        let mut typed = Self::default();
        for (name, value) in url::form_urlencoded::parse(form) {
            let value = value.into_owned();
            match &*name {
                "name" => typed.name = value,
                "url" => typed.url = value.trim().to_owned(),
                "secret" => typed.secret = value,
                "generate" => typed.generate = true,
                // Browsers send every line break as two characters.
                "description" => typed.description = value.replace("\r\n", "\n"),
                "event" => typed.events.push(value),
                "headers" => typed.headers = value,
                "rate_limit" => typed.rate_limit = value.trim().to_owned(),
                "keep_header" => typed.kept_headers.push(value),
                "version" => typed.version = value,
                _ => {}
            }
        }
        typed
    }

    /// The form of a webhook that is registered.
    pub fn of(document: &WebhookDocument, version: &str) -> Self {
        Self {
            name: document.name.clone(),
            url: shown(&document.url),
            description: document.description.clone().unwrap_or_default(),
            events: document.event_subscriptions.clone(),
            rate_limit: document.rate_limit.clone().unwrap_or_default(),
            kept_headers: document.headers.keys().cloned().collect(),
            version: version.to_owned(),
            ..Self::default()
        }
    }

    /// Checks the fields. `check_url` tells what is wrong with a URL.
    pub fn fields<E: std::fmt::Display>(
        &self,
        check_url: impl Fn(&str) -> Result<(), E>,
    ) -> Result<Fields, Errors> {
        let mut errors = Errors::new();
        if self.name.trim().is_empty() {
            errors.insert("name", "Give it a name.".to_owned());
        }
        if self.url.is_empty() {
            errors.insert("url", "Say where to post to.".to_owned());
        } else if let Err(error) = check_url(&self.url) {
            errors.insert("url", sentence(&error.to_string()));
        }
        let mut events = Vec::new();
        for name in &self.events {
            match EventSubscription::parse(name) {
                Ok(event) => events.push(event),
                Err(error) => {
                    errors.insert("event_subscriptions", sentence(&error.to_string()));
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
        let mut rate_limit = None;
        if !self.rate_limit.is_empty() {
            match self.rate_limit.parse() {
                Ok(limit) => rate_limit = Some(limit),
                Err(error) => {
                    errors.insert("rate_limit", sentence(&InvalidRateLimit::to_string(&error)));
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let description = self.description.trim();
        Ok(Fields {
            name: self.name.clone(),
            url: self.url.clone(),
            description: (!description.is_empty()).then(|| description.to_owned()),
            events,
            headers,
            rate_limit,
        })
    }

    /// The secret that was typed or is to be generated, and whether it is to be shown.
    pub fn secret(&self) -> Result<Option<(Secret, bool)>, String> {
        match (self.secret.as_str(), self.generate) {
            ("", false) => Ok(None),
            ("", true) => Ok(Some((Secret::generate(&mut rand::rng()), true))),
            (_, true) => Err("Type a secret or have one generated, not both.".to_owned()),
            (typed, false) => Secret::choose(typed)
                .map(|secret| Some((secret, false)))
                .map_err(|error| sentence(&error.to_string())),
        }
    }
}

/// The store's refusal, beside its field; the error itself if it belongs to none.
pub fn refused(error: WebhooksError) -> Result<Errors, WebhooksError> {
    match field(&error) {
        Some(field) => Ok(Errors::from([(field, sentence(&error.to_string()))])),
        None => Err(error),
    }
}

/// An error as a sentence of its own.
pub fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well(_: &str) -> Result<(), String> {
        Ok(())
    }

    #[test]
    fn what_is_missing_or_wrong_is_said_of_its_field() {
        let typed = Typed::read(
            b"name=+&url=&secret=x&generate=on&headers=nothing&event=a+b&rate_limit=ten",
        );
        let errors = typed.fields(well).err().unwrap();
        let fields: Vec<&str> = errors.keys().copied().collect();
        let wrong = [
            "event_subscriptions",
            "headers",
            "name",
            "rate_limit",
            "url",
        ];
        assert_eq!(fields, wrong);
        assert!(errors["rate_limit"].contains("10/s"), "{errors:?}");
        assert!(typed.secret().is_err());
    }

    #[test]
    fn a_filled_in_form_is_a_webhook() {
        let form = b"name=Ours&url=https%3A%2F%2Fexample.com%2F&secret=&generate=on\
            &description=&event=request.completed&event=budget.exceeded&headers=X-Team%3A+blue%0D%0A&rate_limit=+300%2Fmin";
        let typed = Typed::read(form);
        let fields = typed.fields(well).ok().unwrap();
        assert_eq!(
            (fields.name.as_str(), fields.url.as_str()),
            ("Ours", "https://example.com/")
        );
        assert_eq!(fields.events.len(), 2);
        assert_eq!(fields.headers["X-Team"], "blue");
        assert_eq!(fields.description, None);
        assert_eq!(fields.rate_limit, "300/min".parse().ok());
        assert!(matches!(typed.secret(), Ok(Some((_, true)))));
    }
}
