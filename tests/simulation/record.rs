//! The store in memory, just enough for the engine: webhooks, marks, settled sequences.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use prism_webhooks::domain::endpoint::EndpointRules;
use prism_webhooks::domain::ids::{DeliveryId, MessageKey, Organization, WebhookId};
use prism_webhooks::domain::organization::OrganizationWebhooks;
use prism_webhooks::domain::secret::Secret;
use prism_webhooks::domain::streak::Streak;
use prism_webhooks::domain::webhook::{State, Webhook, WebhookDocument, WebhookKey};
use prism_webhooks::engine::ports::Entry;

use super::receivers::Receiver;
use super::scenario::Scenario;
use super::settings::FOR_ALL;

/// What is stored.
#[derive(Debug, Default)]
pub struct Record {
    organizations: HashMap<Organization, Arc<OrganizationWebhooks>>,
    marks: HashMap<(Organization, MessageKey), HashSet<WebhookId>>,
    sequences: HashMap<DeliveryId, u32>,
    claims: HashMap<DeliveryId, u64>,
    failing: HashMap<WebhookKey, Streak>,
}

impl Record {
    pub fn new(scenario: &Scenario) -> Self {
        let mut organizations: HashMap<_, OrganizationWebhooks> = HashMap::new();
        for (number, registered) in scenario.webhooks.iter().enumerate() {
            let organization = Organization::new(&format!("o{}", registered.organization));
            let webhooks = organizations.entry(organization.unwrap()).or_default();
            webhooks
                .webhooks
                .push(Arc::new(webhook(number, registered.receiver)));
        }
        let shared = organizations
            .into_iter()
            .map(|(id, all)| (id, Arc::new(all)));
        Self {
            organizations: shared.collect(),
            ..Self::default()
        }
    }

    pub fn webhooks(&self, organization: &Organization) -> Arc<OrganizationWebhooks> {
        self.organizations[organization].clone()
    }

    /// `true` if it was enabled.
    pub fn disable(&mut self, key: &WebhookKey, reason: &str) -> bool {
        let all = self.organizations.get_mut(&key.organization).unwrap();
        let all = Arc::make_mut(all);
        let found = all.webhooks.iter_mut().find(|one| one.id == key.id);
        let webhook = Arc::make_mut(found.unwrap());
        let enabled = webhook.is_enabled();
        webhook.state = State::Disabled(reason.to_owned());
        enabled
    }

    pub fn write(&mut self, entry: &Entry) {
        if let Some(mark) = &entry.mark {
            let key = (mark.organization.clone(), mark.message.clone());
            let marked = self.marks.entry(key).or_default();
            marked.extend(mark.webhooks.iter().cloned());
        }
        if let Some(record) = &entry.delivery {
            let id = record.delivery.id.clone();
            let known = self.sequences.entry(id).or_default();
            *known = (*known).max(record.delivery.sequence);
        }
        if let Some(served) = &entry.unmark {
            self.marks.remove(served);
        }
    }

    pub fn settled(&self, organization: &Organization, message: &MessageKey) -> HashSet<WebhookId> {
        let key = (organization.clone(), message.clone());
        self.marks.get(&key).cloned().unwrap_or_default()
    }

    pub fn claim(&mut self, delivery: &DeliveryId, hand_out: u64) -> bool {
        let free = !self.sequences.contains_key(delivery);
        let owner = self.claims.entry(delivery.clone());
        let known = matches!(owner, std::collections::hash_map::Entry::Occupied(_));
        (known || free) && *owner.or_insert(hand_out) == hand_out
    }

    pub fn settled_sequence(&self, delivery: &DeliveryId) -> u32 {
        self.sequences.get(delivery).copied().unwrap_or_default()
    }

    pub fn failed(&mut self, webhook: &WebhookKey, now: Timestamp, silence: Duration) -> Streak {
        let before = self.failing.get(webhook).copied();
        let streak = Streak::after_failure(before, None, now, silence);
        self.failing.insert(webhook.clone(), streak);
        streak
    }

    pub fn succeeded(&mut self, webhook: &WebhookKey) {
        self.failing.remove(webhook);
    }
}

/// A webhook with this number: it wants events of its own, and those for all.
fn webhook(number: usize, receiver: Receiver) -> Webhook {
    let id = format!("w{number}");
    let json = format!(
        r#"{{"id":"{id}","name":"{id}","url":"https://example.com/{id}",
            "event_subscriptions":["{id}","{FOR_ALL}"]}}"#
    );
    let mut document: WebhookDocument = serde_json::from_str(&json).unwrap();
    document.rate_limit = receiver.rate_limit();
    Webhook::from_document(&document, EndpointRules::default(), Secret::new).unwrap()
}
