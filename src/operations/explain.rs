//! Would a webhook get events of a type, and if not, why: asked of what is registered now.

use crate::deployment::Deployment;
use crate::domain::egress::Egress;
use crate::domain::event::EventRules;
use crate::domain::explanation::{self, Explanation, Obstacle};
use crate::domain::ids::{EventType, Organization};
use crate::registry::webhooks::WebhooksError;

/// Explains what becomes of events of `event_type` at the webhook with this id or name.
pub async fn explain(
    deployment: &Deployment,
    organization: &Organization,
    webhook: &str,
    event_type: &EventType,
    rules: &EventRules,
    egress: &Egress,
) -> Result<Explanation, WebhooksError> {
    match deployment.webhooks.get(organization, webhook).await {
        Ok(stored) => Ok(explanation::explain(
            &stored.webhook,
            event_type,
            rules,
            egress,
        )),
        Err(WebhooksError::Invalid(reason)) => Ok(Explanation {
            covered_by: None,
            obstacles: vec![Obstacle::Invalid(reason.to_string())],
        }),
        Err(error) => Err(error),
    }
}
