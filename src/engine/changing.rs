//! Keeps admission up to date with the webhooks: what waits for one, or is put off, may see no new
//! delivery for long, and only these say what their webhook is now.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::sleep;

use super::admission::{WebhookLimiter, now};
use super::ports::Subscriptions;
use crate::domain::ids::Organization;
use crate::domain::webhook::{State, WebhookKey};

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
                self.shared.change(|admission| {
                    for key in &keys {
                        match webhooks.get(&key.id) {
                            Some(webhook) if webhook.state == State::Enabled => {
                                let (url, rate) = (&webhook.url, webhook.rate_limit);
                                admission.changed(key, url, rate, now());
                            }
                            _ => admission.unwanted(key, now()),
                        }
                    }
                });
            }
        }
    }
}
