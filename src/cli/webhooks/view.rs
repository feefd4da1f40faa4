//! How the commands show a webhook.

use std::io::Write;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::table;
use crate::domain::endpoint::shown;
use crate::domain::held_back::{HeldBack, Phase};
use crate::domain::retry::RetryOverrides;
use crate::domain::secret::{Secret, SecretId};
use crate::domain::stored_secret::Standing;
use crate::registry::webhooks::{Listed, StoredWebhook};

/// A webhook as the commands show it: everything but secrets, which are write-only, and the values
/// of its headers and the query of its URL, which may be credentials.
#[derive(Debug, Serialize)]
pub(super) struct View {
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) invalid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", flatten)]
    pub(super) webhook: Option<ValidView>,
    /// A generated secret, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct ValidView {
    name: String,
    url: String,
    description: Option<String>,
    event_subscriptions: Vec<String>,
    signed: bool,
    secrets: Vec<SecretView>,
    headers: Vec<String>,
    enabled: bool,
    disabled_reason: Option<String>,
    disabled_at: Option<Timestamp>,
    retry: Option<RetryOverrides>,
    rate_limit: Option<String>,
    held_back: Option<HeldBackView>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    version: String,
}

/// That deliveries are held back, as the API shows it.
#[derive(Debug, Serialize)]
struct HeldBackView {
    reason: &'static str,
    detail: String,
    since: Timestamp,
    until: Timestamp,
    phase: &'static str,
    #[serde(skip)]
    said: String,
}

impl From<HeldBack> for HeldBackView {
    fn from(held: HeldBack) -> Self {
        let is = match held.phase {
            Phase::ComingBack => "no longer, what was comes back",
            Phase::Held | Phase::Tried => "yes",
        };
        Self {
            reason: held.why.name(),
            detail: held.to_string(),
            since: held.since,
            until: held.until,
            phase: held.phase.name(),
            said: format!("{is}, since {:.0}: {held}", held.since),
        }
    }
}

impl View {
    pub(super) fn of(stored: StoredWebhook, now: Timestamp) -> Self {
        let standings = stored.webhook.secret_standings(now);
        let document = stored.document;
        Self {
            id: document.id,
            invalid: None,
            webhook: Some(ValidView {
                name: document.name,
                url: shown(&document.url),
                description: document.description,
                event_subscriptions: document.event_subscriptions,
                signed: !standings.is_empty(),
                secrets: standings.into_iter().map(SecretView::from).collect(),
                headers: document.headers.into_keys().collect(),
                enabled: document.enabled,
                disabled_reason: document.disabled_reason,
                disabled_at: document.disabled_at,
                retry: document.retry,
                rate_limit: document.rate_limit,
                held_back: None,
                created_at: document.created_at,
                updated_at: document.updated_at,
                version: stored.version.as_str().to_owned(),
            }),
            secret: None,
        }
    }

    /// Adds what is known of its deliveries.
    pub(super) fn held_back(&mut self, held: Option<HeldBack>) {
        if let Some(webhook) = &mut self.webhook {
            webhook.held_back = held.map(HeldBackView::from);
        }
    }

    /// The same, with the secret that was generated for it.
    pub(super) fn with_secret(self, secret: Option<&Secret>) -> Self {
        let secret = secret.map(|secret| secret.expose().to_owned());
        Self { secret, ..self }
    }

    pub(super) fn listed(listed: Listed, now: Timestamp) -> Self {
        match listed {
            Listed::Valid(stored) => Self::of(*stored, now),
            Listed::Invalid { id, reason } => Self {
                id,
                invalid: Some(reason.to_string()),
                webhook: None,
                secret: None,
            },
        }
    }

    pub(super) fn row(&self) -> Vec<String> {
        let state = self.state();
        match &self.webhook {
            None => vec![
                self.id.clone(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
                state,
            ],
            Some(webhook) => vec![
                self.id.clone(),
                webhook.name.clone(),
                webhook.url.clone(),
                webhook.events(),
                if webhook.signed { "yes" } else { "no" }.to_owned(),
                state,
            ],
        }
    }

    fn state(&self) -> String {
        match (&self.webhook, &self.invalid) {
            (_, Some(problem)) => format!("invalid: {problem}"),
            (Some(webhook), None) if !webhook.enabled => {
                let reason = webhook
                    .disabled_reason
                    .as_deref()
                    .unwrap_or("no reason given");
                format!("disabled: {reason}")
            }
            (Some(_), None) => "enabled".to_owned(),
            (None, None) => "deleted".to_owned(),
        }
    }

    pub(super) fn print(&self, json: bool, out: &mut impl Write) -> Result<(), Failure> {
        if json {
            let text = serde_json::to_string_pretty(self).map_err(std::io::Error::from)?;
            return Ok(writeln!(out, "{text}")?);
        }
        let mut rows = vec![("id", self.id.clone())];
        if let Some(webhook) = &self.webhook {
            rows.push(("name", webhook.name.clone()));
            rows.push(("url", webhook.url.clone()));
            rows.extend(
                webhook
                    .description
                    .clone()
                    .map(|text| ("description", text)),
            );
            rows.push(("events", webhook.events()));
            rows.push((
                "signed",
                if webhook.signed { "yes" } else { "no" }.to_owned(),
            ));
            if !webhook.secrets.is_empty() {
                let secrets: Vec<_> = webhook.secrets.iter().map(SecretView::text).collect();
                rows.push(("secrets", secrets.join(", ")));
            }
            if !webhook.headers.is_empty() {
                rows.push(("headers", webhook.headers.join(", ")));
            }
            if let Some(retry) = &webhook.retry {
                let text = serde_json::to_string(retry).map_err(std::io::Error::from)?;
                rows.push(("retry", text));
            }
            if let Some(limit) = &webhook.rate_limit {
                rows.push(("rate limit", limit.clone()));
            }
        }
        rows.push(("state", self.state()));
        let held = self.webhook.as_ref().and_then(|one| one.held_back.as_ref());
        if let Some(held) = held {
            rows.push(("held back", held.said.clone()));
        }
        if let Some(secret) = &self.secret {
            rows.push(("secret", format!("{secret}  (shown this once: keep it)")));
        }
        for (label, text) in rows {
            writeln!(out, "{label:<12} {}", table::one_line(text))?;
        }
        Ok(())
    }
}

/// What a secret does, without the secret.
#[derive(Debug, Serialize)]
struct SecretView {
    id: String,
    state: &'static str,
    promote_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

impl From<(SecretId, Standing)> for SecretView {
    fn from((id, standing): (SecretId, Standing)) -> Self {
        Self {
            id: id.to_string(),
            state: standing.name(),
            promote_at: standing.promote_at(),
            expires_at: standing.expires_at(),
        }
    }
}

impl SecretView {
    fn text(&self) -> String {
        let Self { id, state, .. } = self;
        match (self.promote_at, self.expires_at) {
            (Some(at), _) => format!("{state} {id} (promoted at {at:.0})"),
            (None, Some(at)) => format!("{state} {id} (ends at {at:.0})"),
            (None, None) => format!("{state} {id}"),
        }
    }
}

impl ValidView {
    fn events(&self) -> String {
        if self.event_subscriptions.is_empty() {
            "all".to_owned()
        } else {
            self.event_subscriptions.join(", ")
        }
    }
}
