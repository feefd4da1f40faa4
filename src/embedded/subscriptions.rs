//! The registered webhooks, for the engine: read once, and again after every change.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::documents::Documents;
use super::pauses::EmbeddedPauses;
use crate::domain::ids::Organization;
use crate::domain::organization::OrganizationWebhooks;
use crate::domain::webhook::WebhookKey;
use crate::engine::ports::Subscriptions;
use crate::registry::documents::DocumentReader;

/// The webhooks that the engine delivers to.
#[derive(Debug, Clone)]
pub struct EmbeddedSubscriptions {
    documents: Documents,
    reader: DocumentReader,
    pauses: EmbeddedPauses,
}

impl EmbeddedSubscriptions {
    pub(super) fn new(
        documents: Documents,
        reader: DocumentReader,
        pauses: EmbeddedPauses,
    ) -> Self {
        Self {
            documents,
            reader,
            pauses,
        }
    }
}

#[async_trait]
impl Subscriptions for EmbeddedSubscriptions {
    async fn webhooks(&self, organization: &Organization) -> Arc<OrganizationWebhooks> {
        let cell = self.documents.known(organization);
        let load = || async {
            let all = self.documents.all_retrying(organization).await;
            self.pauses.recall(organization).await;
            Arc::new(self.reader.read_all(organization, all))
        };
        cell.get_or_init(load).await.clone()
    }

    async fn disable(&self, webhook: &WebhookKey, reason: &str, now: Timestamp) -> bool {
        self.documents.disable(webhook, reason, now).await
    }
}
