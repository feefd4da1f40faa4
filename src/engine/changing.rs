//! Keeps admission up to date with the webhooks: what waits for one, or is put off, may see no new
//! delivery for long, and only these say what their webhook is now.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::sleep;

use super::admission::{WebhookLimiter, now};
use super::ports::Subscriptions;
use crate::domain::ids::Organization;
use crate::domain::webhook::WebhookKey;

/// How late a change may be heeded.
const EVERY: Duration = Duration::from_millis(500);

impl WebhookLimiter {
    /// Looks every now and then what has become of the webhooks that something waits for, for ever.
    pub(super) async fn keep_up(&self, subscriptions: &dyn Subscriptions) {
        loop {
            sleep(EVERY).await;
            let mut concerned: HashMap<Organization, Vec<WebhookKey>> = HashMap::new();
            for webhook in self.shared.concerned() {
                let organization = webhook.organization.clone();
                concerned.entry(organization).or_default().push(webhook);
            }
            for (organization, keys) in concerned {
                let webhooks = subscriptions.webhooks(&organization).await;
                let known = keys
                    .iter()
                    .filter_map(|key| Some((key, webhooks.get(&key.id)?)));
                self.shared.change(|admission| {
                    for (key, webhook) in known {
                        admission.changed(key, &webhook.url, webhook.rate_limit, now());
                    }
                });
            }
        }
    }
}
