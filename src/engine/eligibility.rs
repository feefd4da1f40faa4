//! What the registered webhooks say about a delivery on its way: whether it is still wanted, and
//! where.
//!
//! A delivery may wait for long before its attempt, in a queue or in this worker, and its webhook be
//! moved, disabled or deleted meanwhile. So it is looked up whenever one has waited, last of all
//! when it may be sent.

use std::sync::Arc;

use crate::domain::dead_letter::Reason;
use crate::domain::delivery::Delivery;
use crate::domain::webhook::{State, Webhook};

use super::Engine;

/// What becomes of a delivery on its way.
pub(super) enum Eligibility {
    /// The delivery is wanted, and this is its webhook as it is now.
    Wanted(Arc<Webhook>),
    /// It is not known, for this process lacks the key that opens the webhook.
    Unopened,
    /// Nobody wants it any more: why, in a word and a sentence.
    Over(Reason, String),
}

impl Engine {
    /// Asks the registered webhooks whether a delivery is still wanted.
    pub(super) async fn eligibility(&self, delivery: &Delivery) -> Eligibility {
        let webhooks = self
            .ports
            .subscriptions
            .webhooks(&delivery.event.organization)
            .await;
        if let Some(webhook) = webhooks.get(&delivery.webhook) {
            return match &webhook.state {
                State::Enabled => Eligibility::Wanted(webhook.clone()),
                State::Disabled(why) => Eligibility::Over(Reason::WebhookDisabled, why.clone()),
            };
        }
        if webhooks.lacks_key(&delivery.webhook) {
            return Eligibility::Unopened;
        }
        match webhooks.problem(&delivery.webhook) {
            Some(problem) => Eligibility::Over(Reason::WebhookInvalid, problem.to_owned()),
            None => {
                let detail = "the webhook is no longer registered".to_owned();
                Eligibility::Over(Reason::WebhookDeleted, detail)
            }
        }
    }
}
