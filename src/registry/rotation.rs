//! Rotating the secrets of a registered webhook: staged, promoted, dropped.

use std::time::Duration;

use jiff::Timestamp;

use super::documents;
use super::error::WebhooksError;
use super::fields::Fields;
use super::patch::Effect;
use super::stored::StoredWebhook;
use super::version::Target;
use super::webhooks::Webhooks;
use crate::domain::audit::Action;
use crate::domain::ids::Organization;
use crate::domain::rotation::{Rotation, RotationError, drop_staged, promote, rotate};
use crate::domain::secret::Secret;
use crate::domain::stored_secret::{StoredSecret, active};
use crate::domain::webhook::WebhookKey;

impl Webhooks {
    /// Adds `new` to the webhook's secrets, staged or promoted. One that it has already, and that is
    /// not the current one, begins anew: so a change-over can be taken back.
    pub async fn rotate_secret(
        &self,
        organization: &Organization,
        target: impl Into<Target<'_>>,
        new: &Secret,
        rotation: Rotation,
        now: Timestamp,
    ) -> Result<StoredWebhook, WebhooksError> {
        let edit = |fields: &mut Fields, key: &WebhookKey| {
            let mut secrets = documents::secrets(fields)?;
            let is_new = |stored: &StoredSecret| {
                let opened = self.reader.cipher().decrypt(&stored.value, key);
                opened.is_ok_and(|secret| secret == *new)
            };
            let in_force = active(&secrets, StoredSecret::term, now);
            if in_force.first().is_some_and(|current| is_new(current)) {
                return Err(RotationError::Current.into());
            }
            secrets.retain(|stored| !is_new(stored));
            let encrypted = self.encrypt(new, key)?;
            let rotated = rotate(&secrets, encrypted.clone(), rotation, now)?;
            fields.set("secrets", &rotated)?;
            let in_force = active(&rotated, StoredSecret::term, now);
            let at_once = in_force
                .first()
                .is_some_and(|current| current.value == encrypted);
            Ok(Effect {
                action: match at_once {
                    true => Action::SecretRotated,
                    false => Action::SecretStaged,
                },
                measured: true,
                ..Effect::default()
            })
        };
        self.change(organization, target.into(), now, edit).await
    }

    /// Promotes the newest staged secret. The others sign on for `overlap`; `None`: as was said when
    /// it was staged.
    pub async fn promote_secret(
        &self,
        organization: &Organization,
        target: impl Into<Target<'_>>,
        overlap: Option<Duration>,
        now: Timestamp,
    ) -> Result<StoredWebhook, WebhooksError> {
        let edit = |fields: &mut Fields, _: &WebhookKey| {
            let promoted = promote(&documents::secrets(fields)?, overlap, now)?;
            fields.set("secrets", &promoted)?;
            Ok(Effect {
                action: Action::SecretPromoted,
                ..Effect::default()
            })
        };
        self.change(organization, target.into(), now, edit).await
    }

    /// Drops every staged secret; the current one goes on.
    pub async fn drop_staged_secrets(
        &self,
        organization: &Organization,
        target: impl Into<Target<'_>>,
        now: Timestamp,
    ) -> Result<StoredWebhook, WebhooksError> {
        let edit = |fields: &mut Fields, _: &WebhookKey| {
            fields.set("secrets", &drop_staged(&documents::secrets(fields)?, now)?)?;
            Ok(Effect {
                action: Action::StagedSecretDropped,
                ..Effect::default()
            })
        };
        self.change(organization, target.into(), now, edit).await
    }
}
