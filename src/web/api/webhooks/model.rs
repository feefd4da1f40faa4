//! Webhooks as the API takes and shows them.

use jiff::Timestamp;
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::given_headers::GivenHeaders;
use super::held_back::HeldBackView;
use super::secret::SecretView;
use crate::domain::endpoint::shown;
use crate::domain::held_back::HeldBack;
use crate::domain::matching::EventSubscription;
use crate::domain::rate_limit::InvalidRateLimit;
use crate::domain::retry::RetryOverrides;
use crate::domain::secret::Secret;
use crate::domain::webhook::null_is_none;
use crate::registry::webhooks::{NewWebhook, StoredWebhook, WebhookPatch};
use crate::web::api::texts::{EventSubscriptionText, OwnHeaders, RateLimitText, SecretText};
use crate::web::api::whole;
use crate::web::problem::{PartProblem, Problem};

/// A webhook to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web::api) struct CreateWebhook {
    /// What people call it: 1 to 200 characters, unique in its organization.
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    name: String,
    /// The endpoint: an absolute URL without credentials; https unless the deployment allows http.
    #[schema(
        example = "https://example.com/hooks/prism",
        format = "uri",
        min_length = 1,
        max_length = 2048
    )]
    url: String,
    /// The signing secret: any text, or the Standard Webhooks form `whsec_<base64>`.
    #[schema(write_only, value_type = Option<SecretText>)]
    secret: Option<String>,
    /// Whether a secret is to be generated; it is in the answer, this once.
    #[serde(default)]
    generate_secret: bool,
    /// What it is for.
    #[schema(max_length = 2000)]
    description: Option<String>,
    /// Event types to receive: exact names, `guardrail.*`, or `*`. Empty or null: every event type.
    #[serde(default, deserialize_with = "null_is_none")]
    #[schema(example = json!(["request.completed", "guardrail.*"]), value_type = Option<Vec<EventSubscriptionText>>)]
    event_subscriptions: Vec<String>,
    /// Request headers of the webhook's own, at most 32. Their values are never shown again: they
    /// may be credentials.
    #[serde(default, deserialize_with = "null_is_none")]
    #[schema(value_type = Option<OwnHeaders>, inline)]
    headers: GivenHeaders,
    /// What differs from the deployment's retry policy.
    retry: Option<RetryPolicy>,
    /// How often it may be sent a request, all workers together, evenly spaced: so many a second (`s`),
    /// minute (`min`) or hour (`h`). Null: as often as it answers in time.
    #[schema(value_type = Option<RateLimitText>)]
    rate_limit: Option<String>,
}

/// What is to change of a webhook. What is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web::api) struct UpdateWebhook {
    /// A new name: 1 to 200 characters, unique in its organization.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200, pattern = r"\S")]
    name: Option<String>,
    /// A new endpoint. The one that is shown, with `***` for its query, changes nothing.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, format = "uri", min_length = 1, max_length = 2048)]
    url: Option<String>,
    /// A new description; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 2000)]
    description: Option<Option<String>>,
    /// Other event subscriptions; empty or null: every event type.
    #[serde(default, deserialize_with = "present_or_null")]
    #[schema(value_type = Option<Vec<EventSubscriptionText>>)]
    event_subscriptions: Option<Vec<String>>,
    /// Other request headers of its own, all of them; null: none.
    #[serde(default, deserialize_with = "present_or_null")]
    #[schema(value_type = Option<OwnHeaders>, inline)]
    headers: Option<GivenHeaders>,
    /// Another retry policy; null: the deployment's.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<RetryPolicy>)]
    retry: Option<Option<RetryPolicy>>,
    /// Another rate limit; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<RateLimitText>)]
    rate_limit: Option<Option<String>>,
}

/// Reads a field that is there, null included.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The same of a collection of which null means that it has nothing in it.
fn present_or_null<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    null_is_none(deserializer).map(Some)
}

/// What differs from the deployment's retry policy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web::api) struct RetryPolicy {
    /// The mean delay after the first attempt, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 604800)]
    initial_seconds: Option<f64>,
    /// By how much the delay grows with each attempt: 1 to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10)]
    factor: Option<f64>,
    /// The longest mean delay between attempts, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 604800)]
    max_delay_seconds: Option<f64>,
    /// How many attempts there are in all: 1 to 100.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "whole::optional"
    )]
    #[schema(minimum = 1, maximum = 100)]
    max_attempts: Option<u32>,
}

/// A webhook. Secrets, the values of headers and the query of the URL are never shown.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct WebhookView {
    /// Its id.
    pub id: String,
    /// What people call it.
    name: String,
    /// The endpoint. A query is shown as `***`, for it may hold a credential.
    url: String,
    /// What it is for.
    description: Option<String>,
    /// Event types that it receives; empty: every one.
    event_subscriptions: Vec<String>,
    /// Whether its requests are signed.
    signed: bool,
    /// The secrets that sign, the current one first.
    secrets: Vec<SecretView>,
    /// The names of its own request headers.
    headers: Vec<String>,
    /// Whether it gets deliveries.
    enabled: bool,
    /// Why it is disabled, if it is.
    disabled_reason: Option<String>,
    /// When it was disabled.
    #[schema(value_type = Option<String>, format = DateTime)]
    disabled_at: Option<Timestamp>,
    /// What differs from the deployment's retry policy.
    retry: Option<RetryPolicy>,
    /// How often it may be sent a request, if that is limited.
    #[schema(value_type = Option<String>, example = "10/s")]
    rate_limit: Option<String>,
    /// That its deliveries are held back, if they are.
    held_back: Option<HeldBackView>,
    /// When it was created.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
    /// When it was last changed.
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
    /// Its version: the `ETag`, without the quotes.
    version: String,
    /// The generated secret, this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl CreateWebhook {
    /// The webhook to be registered, and its secret if that is to be generated from `random`.
    pub fn into_new(
        self,
        random: &mut impl CryptoRng,
    ) -> Result<(NewWebhook, Option<String>), Problem> {
        let mut errors = Vec::new();
        let mut wrong = |part: &str, detail: String| {
            let part = part.to_owned();
            errors.push(PartProblem { part, detail });
        };
        if self.secret.is_some() && self.generate_secret {
            let detail = "give a secret or have one generated, not both";
            wrong("generate_secret", detail.to_owned());
        }
        let given = self.secret.as_deref().map(Secret::choose).transpose();
        let given = given.unwrap_or_else(|error| {
            wrong("secret", error.to_string());
            None
        });
        let events = subscriptions(&self.event_subscriptions).unwrap_or_else(|error| {
            wrong("event_subscriptions", error);
            Vec::new()
        });
        let rate_limit = self.rate_limit.as_deref().map(str::parse).transpose();
        let rate_limit = rate_limit.unwrap_or_else(|error: InvalidRateLimit| {
            wrong("rate_limit", error.to_string());
            None
        });
        if !errors.is_empty() {
            let detail = "the webhook cannot be registered as it is";
            return Err(Problem::unprocessable(detail).with_errors(errors));
        }
        let secret = given.or_else(|| self.generate_secret.then(|| Secret::generate(random)));
        let shown = secret.as_ref().filter(|_| self.generate_secret);
        let shown = shown.map(|secret| secret.expose().to_owned());
        let new = NewWebhook {
            name: self.name,
            url: self.url,
            secret,
            description: self.description,
            events,
            headers: self.headers.0,
            retry: self.retry.map(RetryOverrides::from),
            rate_limit,
        };
        Ok((new, shown))
    }
}

impl UpdateWebhook {
    /// Returns the patch that makes these changes.
    pub fn into_patch(self) -> Result<WebhookPatch, Problem> {
        let events = self.event_subscriptions.as_deref().map(subscriptions);
        let events = events.transpose();
        let limit = |text: Option<String>| text.as_deref().map(str::parse).transpose();
        let rate_limit = self.rate_limit.map(limit).transpose();
        Ok(WebhookPatch {
            name: self.name,
            url: self.url,
            description: self.description,
            events: events.map_err(|error| Problem::field("event_subscriptions", error))?,
            headers: self.headers.map(|given| given.0),
            retry: self.retry.map(|retry| retry.map(RetryOverrides::from)),
            rate_limit: rate_limit.map_err(|error: InvalidRateLimit| {
                Problem::field("rate_limit", error.to_string())
            })?,
        })
    }
}

fn subscriptions(texts: &[String]) -> Result<Vec<EventSubscription>, String> {
    let parsed = texts.iter().map(|text| EventSubscription::parse(text));
    parsed
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

impl WebhookView {
    /// Returns what is shown of a registered webhook.
    pub fn of(stored: StoredWebhook) -> Self {
        let standings = stored.webhook.secret_standings(Timestamp::now());
        let document = stored.document;
        Self {
            id: document.id,
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
            retry: document.retry.map(RetryPolicy::from),
            rate_limit: document.rate_limit,
            held_back: None,
            created_at: document.created_at,
            updated_at: document.updated_at,
            version: stored.version.as_str().to_owned(),
            secret: None,
        }
    }

    /// The same, with what is known of its deliveries.
    pub fn held_back(self, held: Option<HeldBack>) -> Self {
        Self {
            held_back: held.map(HeldBackView::from),
            ..self
        }
    }

    /// The same, with the secret that was generated for it.
    pub fn with_secret(self, secret: Option<String>) -> Self {
        Self { secret, ..self }
    }
}

impl From<RetryPolicy> for RetryOverrides {
    fn from(policy: RetryPolicy) -> Self {
        Self {
            initial_seconds: policy.initial_seconds,
            factor: policy.factor,
            max_delay_seconds: policy.max_delay_seconds,
            max_attempts: policy.max_attempts,
        }
    }
}

impl From<RetryOverrides> for RetryPolicy {
    fn from(overrides: RetryOverrides) -> Self {
        Self {
            initial_seconds: overrides.initial_seconds,
            factor: overrides.factor,
            max_delay_seconds: overrides.max_delay_seconds,
            max_attempts: overrides.max_attempts,
        }
    }
}
