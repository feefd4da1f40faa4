//! What a store of webhook documents does, and how a document is read.
//!
//! Every change compares with what was read, is entered in the audit log and is told to everybody, in
//! one step: two people who change the same webhook do not undo each other, no change goes untold, and
//! none is without an entry, nor an entry without a change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::de::Error as _;

use super::fields::Fields;
use super::limits::Limits;
use super::sealing::Sealer;
use super::secrets::SecretCipher;
use crate::domain::audit::AuditEntry;
use crate::domain::egress::Egress;
use crate::domain::endpoint::{EndpointRules, endpoint};
use crate::domain::ids::{EventType, Organization, WebhookId};
use crate::domain::matching::{self, CoversNothing};
use crate::domain::organization::{OrganizationWebhooks, Unusable};
use crate::domain::stored_secret::StoredSecret;
use crate::domain::webhook::{InvalidWebhook, Webhook, WebhookDocument, WebhookKey};
use crate::store::Unavailable;

/// The result of changing a document.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// The change was made.
    Done,
    /// The document is no longer the one that was read.
    Conflict,
    /// There is no such webhook any more.
    Gone,
    /// Another webhook has the name: this one.
    NameTaken(String),
    /// The organization has as many webhooks as it may.
    TooMany,
}

/// A document to be put in another's place.
#[derive(Debug)]
pub struct Replacement<'a> {
    /// The document that was read.
    pub old: &'a [u8],
    /// The document to be stored.
    pub new: &'a str,
    /// The name, if it changes: it must be free.
    pub name: Option<&'a str>,
    /// Whether the record of its failures is to begin anew.
    pub forget_health: bool,
    /// What is entered in the audit log; `None` of what changes nothing of what it says.
    pub entry: Option<&'a AuditEntry>,
    /// Whether it says the same, so that nobody need be told.
    pub means_the_same: bool,
}

/// A part of the organizations that have webhooks.
#[derive(Debug, Default)]
pub struct SomeOrganizations {
    /// Which; one may be in several parts.
    pub organizations: Vec<Organization>,
    /// What to ask for the next part with; `None`: this was the last.
    pub next: Option<String>,
}

/// Keeps the documents of all organizations.
#[async_trait]
pub trait DocumentStore: std::fmt::Debug + Send + Sync {
    /// Some of the organizations that have webhooks; the first part is asked for with an empty text.
    async fn organizations(&self, after: &str) -> Result<SomeOrganizations, Unavailable>;

    /// Every document of an organization with the id that it stands under, ordered by that.
    async fn all(
        &self,
        organization: &Organization,
    ) -> Result<BTreeMap<String, Vec<u8>>, Unavailable>;

    /// One document as it is stored.
    async fn get(
        &self,
        organization: &Organization,
        id: &str,
    ) -> Result<Option<Vec<u8>>, Unavailable>;

    /// Stores a new document unless its id or its name is taken, or the organization has `most`
    /// already, and enters `entry`. What that costs does not grow with how many there are.
    async fn create(
        &self,
        organization: &Organization,
        document: &WebhookDocument,
        json: &str,
        most: u64,
        entry: &AuditEntry,
    ) -> Result<Change, Unavailable>;

    /// Replaces a document if it is still the one that was read.
    async fn replace(
        &self,
        webhook: &WebhookKey,
        replacement: &Replacement<'_>,
    ) -> Result<Change, Unavailable>;

    /// Removes a webhook with everything that is its own, if its document is still the one that was
    /// read, and enters `entry`.
    async fn delete(
        &self,
        webhook: &WebhookKey,
        old: &[u8],
        entry: &AuditEntry,
    ) -> Result<Change, Unavailable>;
}

/// Reads and checks documents.
#[derive(Debug, Clone)]
pub struct DocumentReader {
    cipher: SecretCipher,
    rules: EndpointRules,
    limits: Limits,
    registering: Option<Arc<Registering>>,
}

/// What is asked of a webhook when it is registered or changed, and of none that stands.
#[derive(Debug)]
struct Registering {
    egress: Egress,
    event_types: BTreeSet<EventType>,
}

impl DocumentReader {
    /// Decrypts with `cipher` what is secret, and allows the endpoints that `rules` allow.
    pub fn new(cipher: SecretCipher, rules: EndpointRules) -> Self {
        Self {
            cipher,
            rules,
            limits: Limits::NONE,
            registering: None,
        }
    }

    /// The same, and nobody registers more than `limits` allow.
    pub fn limited(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same, and nobody registers an endpoint that stands for an address that `egress` does not
    /// permit, or an event subscription that covers none of `event_types`. Of what is registered
    /// already, addresses are judged at each connection, and a worker warns of event subscriptions.
    pub fn registering_only(self, egress: Egress, event_types: BTreeSet<EventType>) -> Self {
        let registering = Some(Arc::new(Registering {
            egress,
            event_types,
        }));
        Self {
            registering,
            ..self
        }
    }

    /// Refuses a URL that cannot be an endpoint here.
    pub(super) fn check_url(&self, url: &str) -> Result<(), InvalidWebhook> {
        let url = endpoint(url, self.rules)?;
        match &self.registering {
            Some(registering) => Ok(registering.egress.permits_url(&url)?),
            None => Ok(()),
        }
    }

    /// Refuses an endpoint that nothing could ever be posted to.
    pub(super) fn check_address(&self, webhook: &Webhook) -> Result<(), InvalidWebhook> {
        match &self.registering {
            Some(registering) => Ok(registering.egress.permits_url(&webhook.url)?),
            None => Ok(()),
        }
    }

    /// Refuses event subscriptions that would never bring anything.
    pub(super) fn check_events(&self, webhook: &Webhook) -> Result<(), CoversNothing> {
        match &self.registering {
            Some(registering) => {
                matching::check(&webhook.event_subscriptions, &registering.event_types)
            }
            None => Ok(()),
        }
    }

    /// How much may be registered.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) fn cipher(&self) -> &SecretCipher {
        &self.cipher
    }

    /// Seals and opens the parts of a webhook.
    pub(super) fn sealer<'a>(&'a self, webhook: &'a WebhookKey) -> Sealer<'a> {
        let cipher = &self.cipher;
        Sealer { cipher, webhook }
    }

    /// Reads and checks the document that stands under `field`. Its URL and headers are opened.
    pub fn read(
        &self,
        organization: &Organization,
        field: &str,
        json: &[u8],
    ) -> Result<(WebhookDocument, Webhook), InvalidWebhook> {
        let mut document = parse(json)?;
        if document.id != field {
            return Err(InvalidWebhook::IdDiffers {
                inside: document.id,
                field: field.to_owned(),
            });
        }
        let key = WebhookKey {
            organization: organization.clone(),
            id: WebhookId::new(field)?,
        };
        let sealer = self.sealer(&key);
        document.url = sealer.open_url(&document.url)?;
        document.headers = sealer.open_headers(document.headers)?;
        let decrypt = |stored: &str| self.cipher.decrypt(stored, &key);
        let webhook = Webhook::from_document(&document, self.rules, decrypt)?;
        Ok((document, webhook))
    }

    /// Reads an organization's documents for the engine: one that cannot be used is reported,
    /// gets no deliveries, and hurts no other.
    pub fn read_all(
        &self,
        organization: &Organization,
        all: BTreeMap<String, Vec<u8>>,
    ) -> OrganizationWebhooks {
        let mut known = OrganizationWebhooks::default();
        for (id, json) in all {
            match self.read(organization, &id, &json) {
                Ok((_, webhook)) => {
                    if let Err(warning) = self.check_events(&webhook) {
                        tracing::warn!(%organization, webhook_id = id, "{warning}");
                    }
                    known.webhooks.push(Arc::new(webhook));
                }
                Err(reason) if reason.is_for_want_of_key() => {
                    tracing::error!(
                        %organization, webhook_id = id, %reason,
                        "a webhook cannot be opened; its deliveries are put off until it can be"
                    );
                    known.invalid.push(Unusable::of(id, &json, &reason));
                }
                Err(reason) => {
                    tracing::error!(
                        %organization, webhook_id = id, %reason,
                        "a webhook's document cannot be used; it gets no deliveries"
                    );
                    known.invalid.push(Unusable::of(id, &json, &reason));
                }
            }
        }
        known
    }
}

/// Returns the name of a document's webhook, if that much of it can be read.
pub(crate) fn name(json: &[u8]) -> Option<String> {
    let name: String = fields(json).ok()?.get("name").ok()?;
    Some(name.trim().to_owned())
}

/// Reads a document. The fields that may hold something secret are read first, because the JSON
/// library quotes a text that stands where something else should.
fn parse(json: &[u8]) -> Result<WebhookDocument, serde_json::Error> {
    let fields = fields(json)?;
    secrets(&fields)?;
    fields
        .get::<BTreeMap<String, String>>("headers")
        .map_err(|error| quiet(&error, "headers must be an object of texts"))?;
    serde_json::from_slice(json)
}

/// The fields of a document.
pub(super) fn fields(json: &[u8]) -> Result<Fields, serde_json::Error> {
    Fields::read(json).map_err(|error| quiet(&error, "it must be a JSON object"))
}

/// The secrets among a document's fields.
pub(super) fn secrets(fields: &Fields) -> Result<Vec<StoredSecret>, serde_json::Error> {
    fields.get("secrets").map_err(|error| {
        let problem = "secrets must be a list of {\"value\": text, \"expires_at\": time}";
        quiet(&error, problem)
    })
}

/// Marks a document as disabled, without saying when it was changed.
pub(super) fn mark_disabled(
    fields: &mut Fields,
    reason: &str,
    now: Timestamp,
) -> Result<(), serde_json::Error> {
    fields.set("enabled", &false)?;
    fields.set("disabled_reason", reason)?;
    fields.set("disabled_at", &now)
}

/// An error of the JSON library that quotes nothing of what it read.
pub(super) fn quiet(error: &serde_json::Error, problem: &str) -> serde_json::Error {
    let place = format!("line {} column {}", error.line(), error.column());
    serde_json::Error::custom(format!("{problem} ({place})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_with_a_secret_in_the_wrong_place_is_refused_without_quoting_it() {
        for json in [
            r#"{"id":"w","name":"n","url":"u","secrets":"hunter2"}"#,
            r#"{"id":"w","name":"n","url":"u","secrets":["hunter2"]}"#,
            r#"{"id":"w","name":"n","url":"u","secrets":[{"value":"a","expires_at":"hunter2"}]}"#,
            r#"{"id":"w","name":"n","url":"u","headers":"hunter2"}"#,
            r#""hunter2""#,
        ] {
            let error = parse(json.as_bytes()).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        let error = parse(br#"{"id":"w","name":"n"}"#).unwrap_err();
        assert!(error.to_string().contains("missing field `url`"), "{error}");
    }
}
