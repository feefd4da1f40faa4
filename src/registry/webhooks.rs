//! The registered webhooks, for commands and the API.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::documents::{self, Change, DocumentReader, DocumentStore, mark_disabled};
pub use super::error::WebhooksError;
use super::fields::Fields;
use super::making::Making;
use super::patch::Effect;
pub use super::patch::WebhookPatch;
use super::secrets::CipherError;
pub use super::stored::{Listed, NewWebhook, StoredWebhook};
pub use super::version::{Target, Version};
use crate::domain::audit::{Action, Actor, AuditEntry};
use crate::domain::ids::{Organization, WebhookId};
use crate::domain::secret::Secret;
use crate::domain::stored_secret::StoredSecret;
use crate::domain::webhook::{InvalidWebhook, WebhookDocument, WebhookKey};

/// How often a change is made anew on top of somebody else's before it is given up.
const TRIES: usize = 5;

/// Registers, lists and changes webhooks. No call waits for a store that is away.
#[derive(Debug, Clone)]
pub struct Webhooks {
    pub(super) documents: Arc<dyn DocumentStore>,
    pub(super) reader: DocumentReader,
    pub(super) actor: Actor,
}

impl Webhooks {
    /// The webhooks whose documents these are, read by `reader`. What is changed is entered as done by
    /// the program itself, unless it is [by](Self::by) somebody.
    pub fn new(documents: Arc<dyn DocumentStore>, reader: DocumentReader) -> Self {
        Self {
            documents,
            reader,
            actor: Actor::program(),
        }
    }

    /// Says whether a webhook could be registered with this URL.
    pub fn check_url(&self, url: &str) -> Result<(), InvalidWebhook> {
        self.reader.check_url(url)
    }

    /// Registers a webhook under a new id.
    pub async fn create(
        &self,
        organization: &Organization,
        new: NewWebhook,
        now: Timestamp,
    ) -> Result<StoredWebhook, WebhooksError> {
        let id = WebhookId::new(&Uuid::now_v7().to_string())?;
        let key = WebhookKey {
            organization: organization.clone(),
            id,
        };
        let secret = new
            .secret
            .map(|secret| self.encrypt(&secret, &key))
            .transpose()?;
        let sealer = self.reader.sealer(&key);
        let document = WebhookDocument {
            id: key.id.to_string(),
            name: new.name.trim().to_owned(),
            url: sealer.url(new.url.trim())?,
            description: new.description,
            event_subscriptions: new.events.iter().map(ToString::to_string).collect(),
            secrets: secret.map(StoredSecret::new).into_iter().collect(),
            headers: sealer.headers(&new.headers)?,
            enabled: true,
            disabled_reason: None,
            disabled_at: None,
            retry: new.retry,
            rate_limit: new.rate_limit.map(|limit| limit.to_string()),
            created_at: Some(now),
            updated_at: Some(now),
        };
        let json = serde_json::to_string(&document)?;
        let stored = self.read(organization, key.id.as_str(), json.as_bytes())?;
        self.reader.check_address(&stored.webhook)?;
        self.reader
            .check_events(&stored.webhook)
            .map_err(InvalidWebhook::from)?;
        let entry = self.entry_of_new(&key, &stored, now);
        match self.store(organization, &document, json, entry).await? {
            Change::Done => Ok(stored),
            Change::NameTaken(id) => Err(WebhooksError::NameTaken {
                name: document.name,
                id,
            }),
            Change::TooMany => Err(self.too_many(organization)),
            Change::Conflict | Change::Gone => Err(WebhooksError::Conflict { id: document.id }),
        }
    }

    /// Registers a webhook as it was somewhere else: id, state and what is secret, which is given as
    /// it is. One with the same id is left as it is, and in the way.
    pub async fn import(
        &self,
        organization: &Organization,
        moved: WebhookDocument,
    ) -> Result<StoredWebhook, WebhooksError> {
        let key = WebhookKey {
            organization: organization.clone(),
            id: WebhookId::new(&moved.id)?,
        };
        let mut document = moved;
        for (index, stored) in document.secrets.iter_mut().enumerate() {
            let secret = Secret::new(&stored.value).map_err(|problem| InvalidWebhook::Secret {
                position: index + 1,
                problem: problem.to_string(),
            })?;
            stored.value = self.encrypt(&secret, &key)?;
        }
        let sealer = self.reader.sealer(&key);
        document.url = sealer.url(&document.url)?;
        document.headers = sealer.headers(&document.headers)?;
        let json = serde_json::to_string(&document)?;
        let stored = self.read(organization, key.id.as_str(), json.as_bytes())?;
        let entry = self.entry_of_new(&key, &stored, Timestamp::now());
        match self.store(organization, &document, json, entry).await? {
            Change::Done => Ok(stored),
            Change::NameTaken(id) => Err(WebhooksError::NameTaken {
                name: document.name,
                id,
            }),
            Change::TooMany => Err(self.too_many(organization)),
            Change::Conflict | Change::Gone => Err(WebhooksError::IdTaken { id: document.id }),
        }
    }

    /// Every webhook of the organization, oldest id first, those that cannot be used included.
    pub async fn list(&self, organization: &Organization) -> Result<Vec<Listed>, WebhooksError> {
        let all = self.documents.all(organization).await?;
        let read = |(id, json): (String, Vec<u8>)| match self.read_one(organization, &id, &json) {
            Ok(stored) => Listed::Valid(Box::new(stored)),
            Err(reason) => Listed::Invalid { id, reason },
        };
        Ok(all.into_iter().map(read).collect())
    }

    /// The webhook with this id or else this name.
    pub async fn get(
        &self,
        organization: &Organization,
        reference: &str,
    ) -> Result<StoredWebhook, WebhooksError> {
        let (id, json) = self.find(organization, reference).await?;
        self.read(organization, &id, &json)
    }

    /// Changes a webhook. A document that is invalid as it is can be mended so.
    pub async fn update(
        &self,
        organization: &Organization,
        target: impl Into<Target<'_>>,
        patch: &WebhookPatch,
        now: Timestamp,
    ) -> Result<StoredWebhook, WebhooksError> {
        let edit = |fields: &mut Fields, key: &WebhookKey| {
            let patch = patch.to_be_stored(fields, &self.reader.sealer(key))?;
            Ok(patch.apply(fields)?)
        };
        self.change(organization, target.into(), now, edit).await
    }

    /// Enables a webhook, and forgets its failures so far.
    pub async fn enable(
        &self,
        organization: &Organization,
        target: impl Into<Target<'_>>,
        now: Timestamp,
    ) -> Result<StoredWebhook, WebhooksError> {
        let edit = |fields: &mut Fields, _: &WebhookKey| {
            fields.set("enabled", &true)?;
            fields.set("disabled_reason", &())?;
            fields.set("disabled_at", &())?;
            Ok(Effect::fresh_start(Action::WebhookEnabled))
        };
        self.change(organization, target.into(), now, edit).await
    }

    /// Disables a webhook, saying why.
    pub async fn disable(
        &self,
        organization: &Organization,
        target: impl Into<Target<'_>>,
        reason: &str,
        now: Timestamp,
    ) -> Result<StoredWebhook, WebhooksError> {
        let edit = |fields: &mut Fields, _: &WebhookKey| {
            mark_disabled(fields, reason, now)?;
            Ok(Effect::fresh_start(Action::WebhookDisabled))
        };
        self.change(organization, target.into(), now, edit).await
    }

    /// Removes a webhook with the record of its attempts. Returns its id.
    pub async fn delete(
        &self,
        organization: &Organization,
        target: impl Into<Target<'_>>,
    ) -> Result<WebhookId, WebhooksError> {
        let Target { reference, version } = target.into();
        let (id, mut old) = self.find(organization, reference).await?;
        let key = WebhookKey {
            organization: organization.clone(),
            id: WebhookId::new(&id)?,
        };
        for _ in 0..TRIES {
            is_still(version, &old, &id)?;
            let entry = self.entry_of_deletion(&key, &old, Timestamp::now());
            let making = Making::Delete {
                webhook: key.clone(),
                old,
            };
            match self.make(making, entry).await? {
                Change::Done => return Ok(key.id),
                Change::Gone => return Err(not_found(organization, reference)),
                Change::Conflict | Change::NameTaken(_) | Change::TooMany => {
                    match self.documents.get(organization, &id).await? {
                        Some(json) => old = json,
                        None => return Err(not_found(organization, reference)),
                    }
                }
            }
        }
        Err(WebhooksError::Conflict { id })
    }

    /// Stores a new document, within the limits.
    async fn store(
        &self,
        organization: &Organization,
        document: &WebhookDocument,
        json: String,
        entry: AuditEntry,
    ) -> Result<Change, WebhooksError> {
        let limits = self.reader.limits();
        limits.check(&json)?;
        let making = Making::Create {
            organization: organization.clone(),
            document: Box::new(document.clone()),
            json,
            most: limits.per_organization,
        };
        Ok(self.make(making, entry).await?)
    }

    fn too_many(&self, organization: &Organization) -> WebhooksError {
        WebhooksError::TooMany {
            organization: organization.clone(),
            most: self.reader.limits().per_organization,
        }
    }

    pub(super) fn encrypt(
        &self,
        secret: &Secret,
        webhook: &WebhookKey,
    ) -> Result<String, CipherError> {
        self.reader.cipher().encrypt(secret, webhook)
    }

    fn read(
        &self,
        organization: &Organization,
        id: &str,
        json: &[u8],
    ) -> Result<StoredWebhook, WebhooksError> {
        Ok(self.read_one(organization, id, json)?)
    }

    fn read_one(
        &self,
        organization: &Organization,
        id: &str,
        json: &[u8],
    ) -> Result<StoredWebhook, InvalidWebhook> {
        let (document, webhook) = self.reader.read(organization, id, json)?;
        Ok(StoredWebhook {
            document,
            webhook,
            version: Version::of(json)?,
        })
    }

    async fn find(
        &self,
        organization: &Organization,
        reference: &str,
    ) -> Result<(String, Vec<u8>), WebhooksError> {
        if let Some(json) = self.documents.get(organization, reference).await? {
            return Ok((reference.to_owned(), json));
        }
        let wanted = Some(reference.trim());
        let called = |json: &[u8]| documents::name(json).as_deref() == wanted;
        let all = self.documents.all(organization).await?;
        let mut found: Vec<_> = all.into_iter().filter(|(_, json)| called(json)).collect();
        match (found.pop(), found.is_empty()) {
            (Some(one), true) => Ok(one),
            (Some((last, _)), false) => Err(WebhooksError::Ambiguous {
                name: reference.to_owned(),
                ids: found.into_iter().map(|(id, _)| id).chain([last]).collect(),
            }),
            (None, _) => Err(not_found(organization, reference)),
        }
    }

    /// Applies `edit` to what is stored, again on top of what others stored meanwhile.
    pub(super) async fn change(
        &self,
        organization: &Organization,
        target: Target<'_>,
        now: Timestamp,
        edit: impl Fn(&mut Fields, &WebhookKey) -> Result<Effect, WebhooksError>,
    ) -> Result<StoredWebhook, WebhooksError> {
        let Target { reference, version } = target;
        let (id, mut old) = self.find(organization, reference).await?;
        let key = WebhookKey {
            organization: organization.clone(),
            id: WebhookId::new(&id)?,
        };
        for _ in 0..TRIES {
            let mut fields = documents::fields(&old)?;
            let effect = edit(&mut fields, &key)?;
            fields.set("updated_at", &now)?;
            let new = fields.to_json()?;
            let stored = self.read(organization, &id, new.as_bytes())?;
            // Nonsense is refused first: it would make no sense on the newest version either.
            is_still(version, &old, &id)?;
            // What was too large already can be made smaller by and by.
            if effect.measured && new.len() > old.len() {
                self.reader.limits().check(&new)?;
            }
            if effect.new_url {
                self.reader.check_address(&stored.webhook)?;
            }
            if effect.new_events {
                let events = self.reader.check_events(&stored.webhook);
                events.map_err(InvalidWebhook::from)?;
            }
            let texts = (&*old, &*new);
            let entry = self.entry_of_change(&key, effect.action, texts, &stored, now);
            let making = Making::Replace {
                webhook: key.clone(),
                old,
                new,
                name: effect.new_name.then(|| stored.document.name.clone()),
                forget_health: effect.forget_health,
            };
            match self.make(making, entry).await? {
                Change::Done => return Ok(stored),
                Change::Gone => return Err(not_found(organization, reference)),
                Change::NameTaken(id) => {
                    let name = stored.document.name;
                    return Err(WebhooksError::NameTaken { name, id });
                }
                Change::Conflict | Change::TooMany => {
                    match self.documents.get(organization, &id).await? {
                        Some(json) => old = json,
                        None => return Err(not_found(organization, reference)),
                    }
                }
            }
        }
        Err(WebhooksError::Conflict { id })
    }
}

/// Refuses a document that is no longer the version that is meant.
fn is_still(version: Option<&Version>, json: &[u8], id: &str) -> Result<(), WebhooksError> {
    match version {
        Some(meant) if Version::of(json).ok().as_ref() != Some(meant) => {
            Err(WebhooksError::Changed { id: id.to_owned() })
        }
        _ => Ok(()),
    }
}

fn not_found(organization: &Organization, reference: &str) -> WebhooksError {
    WebhooksError::NotFound {
        organization: organization.clone(),
        reference: reference.to_owned(),
    }
}
