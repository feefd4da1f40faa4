//! What may be changed of a registered webhook, and what else a change brings about.

use std::collections::BTreeMap;

use super::error::WebhooksError;
use super::fields::Fields;
use super::sealing::Sealer;
use crate::domain::audit::Action;
use crate::domain::endpoint::{is_hidden, shown};
use crate::domain::matching::EventSubscription;
use crate::domain::rate_limit::RateLimit;
use crate::domain::retry::RetryOverrides;

/// The changes to a webhook; what is `None` stays. An inner `None` removes.
#[derive(Debug, Clone, Default)]
pub struct WebhookPatch {
    /// A new name.
    pub name: Option<String>,
    /// A new endpoint.
    pub url: Option<String>,
    /// A new description.
    pub description: Option<Option<String>>,
    /// Other event subscriptions.
    pub events: Option<Vec<EventSubscription>>,
    /// Other headers, all of them.
    pub headers: Option<BTreeMap<String, String>>,
    /// Another retry policy.
    pub retry: Option<Option<RetryOverrides>>,
    /// Another rate limit.
    pub rate_limit: Option<Option<RateLimit>>,
}

impl WebhookPatch {
    /// The patch as it is to be stored in a document: what is secret is sealed. A URL that is given as
    /// it is shown, without its query, stays what it is.
    pub(super) fn to_be_stored(
        &self,
        fields: &Fields,
        sealer: &Sealer<'_>,
    ) -> Result<Self, WebhooksError> {
        let stored = fields.get::<String>("url").unwrap_or_default();
        let as_shown = |url: &String| is_hidden(url.trim()) && url.trim() == shown(&stored);
        let url = self.url.as_ref().filter(|url| !as_shown(url));
        let url = url.map(|url| sealer.url(url.trim())).transpose()?;
        let headers = self.headers.as_ref();
        let headers = headers.map(|headers| sealer.headers(headers)).transpose()?;
        Ok(Self {
            url,
            headers,
            ..self.clone()
        })
    }

    /// Changes a document's fields.
    pub(super) fn apply(&self, fields: &mut Fields) -> Result<Effect, serde_json::Error> {
        if let Some(name) = &self.name {
            fields.set("name", name.trim())?;
        }
        if let Some(url) = &self.url {
            fields.set("url", url.trim())?;
        }
        if let Some(description) = &self.description {
            fields.set("description", description)?;
        }
        if let Some(events) = &self.events {
            fields.set("event_subscriptions", events)?;
        }
        if let Some(headers) = &self.headers {
            fields.set("headers", headers)?;
        }
        if let Some(retry) = &self.retry {
            fields.set("retry", retry)?;
        }
        if let Some(limit) = &self.rate_limit {
            fields.set("rate_limit", &limit.map(|limit| limit.to_string()))?;
        }
        Ok(Effect {
            action: Action::WebhookChanged,
            // Failures of another endpoint are not held against this one.
            forget_health: self.url.is_some(),
            new_name: self.name.is_some(),
            new_url: self.url.is_some(),
            new_events: self.events.is_some(),
            measured: true,
        })
    }
}

/// What a webhook's change means beyond the document.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Effect {
    /// As what it is entered in the audit log.
    pub(super) action: Action,
    /// The record of its failures begins anew.
    pub(super) forget_health: bool,
    /// Its name must be free.
    pub(super) new_name: bool,
    /// Its endpoint must be one that may be posted to.
    pub(super) new_url: bool,
    /// Its event subscriptions must cover something.
    pub(super) new_events: bool,
    /// It must not be too large. What is can still be disabled.
    pub(super) measured: bool,
}

impl Effect {
    /// Whatever it failed at before does not count any more.
    pub(super) fn fresh_start(action: Action) -> Self {
        Self {
            action,
            forget_health: true,
            ..Self::default()
        }
    }
}
