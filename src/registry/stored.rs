//! A webhook to be registered, and one that is.

use std::collections::BTreeMap;

use super::version::Version;
use crate::domain::matching::EventSubscription;
use crate::domain::rate_limit::RateLimit;
use crate::domain::retry::RetryOverrides;
use crate::domain::secret::Secret;
use crate::domain::stored_secret::StoredSecret;
use crate::domain::webhook::{InvalidWebhook, Webhook, WebhookDocument};

/// A webhook to be registered.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// The webhook's name; unique in its organization.
    pub name: String,
    /// The endpoint.
    pub url: String,
    /// The signing secret; none: requests are not signed.
    pub secret: Option<Secret>,
    /// The webhook's description.
    pub description: Option<String>,
    /// Which event types it wants; none: all.
    pub events: Vec<EventSubscription>,
    /// Request headers of its own.
    pub headers: BTreeMap<String, String>,
    /// What the webhook changes of the deployment's retry policy.
    pub retry: Option<RetryOverrides>,
    /// How often it may be sent a request, if that is to be limited.
    pub rate_limit: Option<RateLimit>,
}

/// A registered webhook.
#[derive(Debug, Clone)]
pub struct StoredWebhook {
    /// The document as it is stored, its secrets sealed if they are; URL and headers are opened, and
    /// not to be [shown](crate::domain::endpoint::shown) as they are.
    pub document: WebhookDocument,
    /// The webhook that the engine makes of the document.
    pub webhook: Webhook,
    /// Which version of it this is.
    pub version: Version,
}

/// A registered webhook, or a document that describes none.
#[derive(Debug)]
pub enum Listed {
    /// A webhook.
    Valid(Box<StoredWebhook>),
    /// A document that the engine cannot use.
    Invalid {
        /// The field that it stands under.
        id: String,
        /// What is wrong with the document.
        reason: InvalidWebhook,
    },
}

impl StoredWebhook {
    /// The document with everything secret as it is: what moves a webhook somewhere else.
    pub fn exported(self) -> WebhookDocument {
        let opened = self.webhook.secrets.iter();
        let secrets = self.document.secrets.iter().zip(opened);
        let secrets = secrets.map(|(stored, (secret, _))| StoredSecret {
            value: secret.expose().to_owned(),
            ..stored.clone()
        });
        WebhookDocument {
            secrets: secrets.collect(),
            ..self.document
        }
    }
}
