//! Disabling a webhook that has no use for deliveries any more, and telling of it.

use crate::domain::delivery::Delivery;
use crate::domain::event::{Disabled, Event};
use crate::domain::verdict::DisableCause;
use crate::domain::webhook::{Webhook, WebhookKey};

use super::Engine;
use super::ports::{FollowUp, Stopped};

impl Engine {
    /// Tells the gateway and the organization's other webhooks that `webhook` is disabled, and
    /// disables it. In this order: a crash in between tells twice, under the same event id, where
    /// the other order would never tell. One at a time, so that of many requests that find an
    /// endpoint gone one speaks for all; and not if the webhook has another endpoint by now.
    pub(super) async fn disable(
        &self,
        delivery: &Delivery,
        webhook: &Webhook,
        key: &WebhookKey,
        cause: DisableCause,
    ) -> Result<(), Stopped> {
        let _alone = self.disabling.lock().await;
        let subscriptions = &self.ports.subscriptions;
        let webhooks = subscriptions.webhooks(&key.organization).await;
        let current = webhooks.get(&key.id);
        if !current.is_some_and(|current| current.is_enabled() && current.url == webhook.url) {
            return Ok(());
        }
        let now = self.settings.clock.now();
        let reason = cause.sentence();
        let disabled = Disabled {
            webhook: &key.id,
            name: &webhook.name,
            reason: &reason,
            at: now,
        };
        let event = Event::disabled(&key.organization, &disabled, &delivery.id);
        self.ports
            .handover
            .hand_over(FollowUp::Publish(event))
            .await?;
        if subscriptions.disable(key, &reason, now).await {
            let WebhookKey { organization, id } = key;
            tracing::warn!(%organization, webhook_id = %id, reason, "webhook disabled");
        }
        Ok(())
    }
}
