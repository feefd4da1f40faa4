//! What a webhook is, and which documents describe one.
//!
//! A [`WebhookDocument`] is the JSON in Redis: the gateway's control plane may write it as well as
//! our own commands, so it is a published contract, and read with suspicion. A [`Webhook`] is what
//! the engine works with: everything checked, parsed and decrypted once.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::custom_headers::{self, InvalidHeader};
use super::egress::Refusal;
use super::endpoint::{EndpointRules, InvalidUrl, endpoint};
use super::ids::{EventType, InvalidId, Organization, WebhookId};
use super::matching::{self, CoversNothing, EventSubscription};
use super::rate_limit::{InvalidRateLimit, RateLimit};
use super::retry::RetryOverrides;
use super::secret::SecretId;
use super::secret::{InvalidSecret, Secret};
use super::stored_secret::{MOST_ACTIVE, Standing, StoredSecret, Term, active, standings};

/// A webhook as it is stored: the value in the hash of its organization, under its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(expecting = "a webhook, which is a JSON object")]
#[schemars(title = "Webhook")]
pub struct WebhookDocument {
    /// The id, equal to the field of the hash that the document stands under.
    pub id: String,
    /// What people call it: 1 to 200 characters, unique in its organization.
    pub name: String,
    /// The endpoint: an absolute URL without credentials; https unless the deployment allows http. Its
    /// query is stored in its encrypted form when secrets are encrypted at rest.
    pub url: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Event types to receive: exact names, `guardrail.*`, or `*`. Empty: every event type.
    #[serde(default, deserialize_with = "null_is_none")]
    pub event_subscriptions: Vec<String>,
    /// The signing secrets; none: requests are not signed. The first that is active and not staged signs
    /// X-Prism-Signature, up to ten that are active sign Webhook-Signature.
    #[serde(default, deserialize_with = "null_is_none")]
    pub secrets: Vec<StoredSecret>,
    /// Request headers of the webhook's own. Their values are stored in their encrypted form when
    /// secrets are encrypted at rest.
    #[serde(default, deserialize_with = "null_is_none")]
    pub headers: BTreeMap<String, String>,
    /// Whether it gets deliveries.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Why it is disabled, if it is: a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<String>,
    /// When it was disabled (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub disabled_at: Option<Timestamp>,
    /// What differs from the deployment's retry policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryOverrides>,
    /// How often it may be sent a request, all workers together: `10/s`, `300/min` or `50/h`, evenly
    /// spaced. Absent: as often as it answers in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = "^[1-9][0-9]{0,3}/(s|min|h)$"))]
    pub rate_limit: Option<String>,
    /// When it was created (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub created_at: Option<Timestamp>,
    /// When it was last changed (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub updated_at: Option<Timestamp>,
}

/// Reads a collection of which null means that it has nothing in it.
pub fn null_is_none<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn yes() -> bool {
    true
}

/// A webhook that the engine can deliver to.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// The webhook's name.
    pub name: String,
    /// The endpoint.
    pub url: Url,
    /// Which event types it wants; none: all.
    pub event_subscriptions: Vec<EventSubscription>,
    /// The signing secrets, with when each signs.
    pub secrets: Vec<(Secret, Term)>,
    /// Request headers of its own.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether it gets deliveries, and if not, why.
    pub state: State,
    /// What the webhook changes of the deployment's retry policy.
    pub retry: RetryOverrides,
    /// How often it may be sent a request, if that is limited.
    pub rate_limit: Option<RateLimit>,
}

/// Whether a webhook gets deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The webhook gets deliveries.
    Enabled,
    /// The webhook gets no deliveries, for this reason.
    Disabled(String),
}

/// Why a document describes no webhook. Quotes no secret.
#[derive(Debug, thiserror::Error)]
pub enum InvalidWebhook {
    /// The JSON is not such a document.
    #[error("the document cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// The id inside differs from the hash field.
    #[error("the document's id {inside:?} differs from its field {field:?} in the hash")]
    IdDiffers {
        /// The id in the document.
        inside: String,
        /// The field that the document stands under.
        field: String,
    },
    /// An id or event subscription breaks its rules.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// An event subscription covers no event type.
    #[error(transparent)]
    CoversNothing(#[from] CoversNothing),
    /// The name is empty or too long.
    #[error("the name must have 1 to 200 characters")]
    Name,
    /// The description is too long.
    #[error("the description must have at most 2000 characters")]
    Description,
    /// The URL is not one that can be posted to.
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    /// The URL's host is an address that may not be posted to.
    #[error("the URL cannot be posted to: {0}")]
    Address(#[from] Refusal),
    /// A header cannot be added.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// A secret cannot be used.
    #[error("secret {position} cannot be used: {problem}")]
    Secret {
        /// Counted from 1.
        position: usize,
        /// Why.
        problem: String,
    },
    /// Something sealed in it cannot be opened.
    #[error("{what} cannot be read: {problem}")]
    Unopened {
        /// Which part of it, for people.
        what: String,
        /// Why.
        problem: Unopened,
    },
    /// The retry overrides make no sense.
    #[error("retry: {0}")]
    Retry(String),
    /// The rate limit is none.
    #[error(transparent)]
    RateLimit(#[from] InvalidRateLimit),
}

/// Why something that is stored sealed could not be opened, in the cipher's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// This process may lack the key: that is its own fault, and no fault of the webhook's.
    #[error("{0}")]
    ForWantOfKey(String),
    /// What is stored is wrong.
    #[error("{0}")]
    Wrong(String),
}

impl From<InvalidSecret> for Unopened {
    fn from(error: InvalidSecret) -> Self {
        Self::Wrong(error.to_string())
    }
}

impl InvalidWebhook {
    /// Whether the document may be in order, and this process lacks the key that opens it.
    pub fn is_for_want_of_key(&self) -> bool {
        let Self::Unopened { problem, .. } = self else {
            return false;
        };
        matches!(problem, Unopened::ForWantOfKey(_))
    }
}

impl Webhook {
    /// Checks a stored document, whose URL and headers are open. `open` turns a stored secret's value
    /// into the secret.
    pub fn from_document<E: Into<Unopened>>(
        document: &WebhookDocument,
        rules: EndpointRules,
        open: impl Fn(&str) -> Result<Secret, E>,
    ) -> Result<Self, InvalidWebhook> {
        let name = document.name.trim();
        if name.is_empty() || name.chars().count() > 200 {
            return Err(InvalidWebhook::Name);
        }
        if document
            .description
            .as_ref()
            .is_some_and(|text| text.chars().count() > 2000)
        {
            return Err(InvalidWebhook::Description);
        }
        let secrets = document.secrets.iter().enumerate().map(|(index, stored)| {
            let position = index + 1;
            let secret = open(&stored.value).map_err(|error| match error.into() {
                Unopened::Wrong(problem) => InvalidWebhook::Secret { position, problem },
                problem => InvalidWebhook::Unopened {
                    what: format!("secret {position}"),
                    problem,
                },
            })?;
            Ok((secret, stored.term()))
        });
        let event_subscriptions = document
            .event_subscriptions
            .iter()
            .map(|entry| EventSubscription::parse(entry))
            .collect::<Result<_, _>>()?;
        let retry = document.retry.clone().unwrap_or_default();
        retry.check().map_err(InvalidWebhook::Retry)?;
        let rate_limit = document.rate_limit.as_deref().map(str::parse).transpose()?;
        let reason = || {
            document
                .disabled_reason
                .clone()
                .unwrap_or_else(|| "disabled".to_owned())
        };
        Ok(Self {
            id: WebhookId::new(&document.id)?,
            name: name.to_owned(),
            url: endpoint(&document.url, rules)?,
            event_subscriptions,
            secrets: secrets.collect::<Result<_, InvalidWebhook>>()?,
            headers: custom_headers::check(&document.headers)?,
            state: if document.enabled {
                State::Enabled
            } else {
                State::Disabled(reason())
            },
            retry,
            rate_limit,
        })
    }

    /// The secrets that sign at `now`, the current one first.
    pub fn active_secrets(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        let active = active(&self.secrets, |(_, term)| *term, now);
        active
            .into_iter()
            .take(MOST_ACTIVE)
            .map(|(secret, _)| secret)
    }

    /// What each of its active secrets does at `now`, the current one first.
    pub fn secret_standings(&self, now: Timestamp) -> Vec<(SecretId, Standing)> {
        let terms: Vec<Term> = self.secrets.iter().map(|(_, term)| *term).collect();
        let active = active(&self.secrets, |(_, term)| *term, now);
        let ids = active.into_iter().map(|(secret, _)| secret.id());
        ids.zip(standings(&terms, now)).collect()
    }

    /// Whether its requests are signed at `now`.
    pub fn is_signed(&self, now: Timestamp) -> bool {
        self.secrets.iter().any(|(_, term)| term.is_active(now))
    }

    /// Whether the webhook gets deliveries at all.
    pub fn is_enabled(&self) -> bool {
        self.state == State::Enabled
    }

    /// Whether an event of this type is to be delivered to it.
    pub fn wants(&self, event_type: &EventType) -> bool {
        self.is_enabled() && matching::wants(&self.event_subscriptions, event_type)
    }
}

/// The organization and webhook that something of a webhook belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WebhookKey {
    /// The tenant.
    pub organization: Organization,
    /// The webhook.
    pub id: WebhookId,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> WebhookDocument {
        serde_json::from_str(r#"{"id":"w1","name":"n","url":"https://example.com/h"}"#).unwrap()
    }

    fn check(document: &WebhookDocument) -> Result<Webhook, InvalidWebhook> {
        Webhook::from_document(document, EndpointRules::default(), Secret::new)
    }

    #[test]
    fn the_smallest_document_is_an_enabled_webhook_for_everything() {
        let webhook = check(&document()).unwrap();
        assert!(webhook.wants(&EventType::new("anything.at.all").unwrap()));
        assert_eq!(webhook.active_secrets(Timestamp::UNIX_EPOCH).count(), 0);
    }

    #[test]
    fn a_disabled_webhook_wants_nothing() {
        let webhook = check(&WebhookDocument {
            enabled: false,
            ..document()
        })
        .unwrap();
        assert!(!webhook.wants(&EventType::new("anything").unwrap()));
    }

    #[test]
    fn unknown_fields_are_left_alone_so_that_versions_can_run_side_by_side() {
        let json = r#"{"id":"w1","name":"n","url":"https://example.com","from_the_future":1}"#;
        assert!(serde_json::from_str::<WebhookDocument>(json).is_ok());
    }

    #[test]
    fn urls_that_cannot_be_endpoints_are_refused_with_the_mend() {
        for (url, expected) in [
            ("example.com/hook", "write it in full"),
            ("http://example.com", "only https is allowed"),
            ("ftp://example.com", "it must be https"),
            ("https://user:pw@example.com", "must not carry"),
            ("https://", "write it in full"),
        ] {
            let error = check(&WebhookDocument {
                url: url.to_owned(),
                ..document()
            })
            .unwrap_err();
            assert!(error.to_string().contains(expected), "{url}: {error}");
            assert!(!error.to_string().contains("pw"));
        }
        let long = format!("https://example.com/{}", "x".repeat(2048));
        assert!(endpoint(&long, EndpointRules::default()).is_err());
        let allowed = endpoint("http://example.com", EndpointRules { allow_http: true });
        assert!(allowed.is_ok());
    }

    #[test]
    fn a_document_that_makes_no_sense_is_refused_without_quoting_secrets() {
        let secrets = vec![StoredSecret::new("whsec_hunter2!".to_owned())];
        let error = check(&WebhookDocument {
            secrets,
            ..document()
        })
        .unwrap_err()
        .to_string();
        assert!(error.starts_with("secret 1 cannot be used"), "{error}");
        assert!(!error.contains("hunter2"));
        let name = "  ".to_owned();
        assert!(check(&WebhookDocument { name, ..document() }).is_err());
        let event_subscriptions = vec!["Nope".to_owned()];
        assert!(
            check(&WebhookDocument {
                event_subscriptions,
                ..document()
            })
            .is_err()
        );
    }
}
