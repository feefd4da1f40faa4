//! Would a webhook get events of a type, and if not, why: asked of what is registered now, and of what
//! is known of its deliveries.

use super::deployment::Deployment;
use crate::domain::egress::Egress;
use crate::domain::event::EventRules;
use crate::domain::explanation::{self, Explanation, Obstacle};
use crate::domain::held_back::HeldBack;
use crate::domain::ids::{EventType, Organization};
use crate::registry::webhooks::WebhooksError;
use crate::store::Unavailable;

/// What becomes of events of one type at one webhook.
#[derive(Debug)]
pub struct Explained {
    /// Whether it gets them.
    pub explanation: Explanation,
    /// That its deliveries are held back, if they are: what it gets, it gets later.
    pub held_back: Option<HeldBack>,
}

/// Why that could not be said.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The webhook cannot be looked at.
    #[error(transparent)]
    Webhooks(#[from] WebhooksError),
    /// The record cannot be read.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Explains what becomes of events of `event_type` at the webhook with this id or name.
pub async fn explain(
    deployment: &Deployment,
    organization: &Organization,
    webhook: &str,
    event_type: &EventType,
    rules: &EventRules,
    egress: &Egress,
) -> Result<Explained, ExplainError> {
    match deployment.webhooks.get(organization, webhook).await {
        Ok(stored) => {
            let webhook = &stored.webhook;
            let held_back = deployment
                .delivery_log
                .held_back_one(organization, &webhook.id);
            Ok(Explained {
                explanation: explanation::explain(webhook, event_type, rules, egress),
                held_back: held_back.await?,
            })
        }
        Err(WebhooksError::Invalid(reason)) => Ok(Explained {
            explanation: Explanation {
                covered_by: None,
                obstacles: vec![match reason.is_for_want_of_key() {
                    true => Obstacle::Unopened(reason.to_string()),
                    false => Obstacle::Invalid(reason.to_string()),
                }],
            },
            held_back: None,
        }),
        Err(error) => Err(error.into()),
    }
}
