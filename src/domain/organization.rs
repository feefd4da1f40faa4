//! The webhooks of one organization: those that can be delivered to, and what is known of those that
//! cannot.

use std::sync::Arc;

use serde::Deserialize;

use super::ids::{EventType, WebhookId};
use super::matching::{self, EventSubscription};
use super::webhook::{InvalidWebhook, Webhook};

/// The webhooks of one organization, checked and ready.
#[derive(Debug, Clone, Default)]
pub struct OrganizationWebhooks {
    /// Every webhook whose document is valid, disabled ones included.
    pub webhooks: Vec<Arc<Webhook>>,
    /// The documents that are not valid.
    pub invalid: Vec<Unusable>,
    /// Why the webhooks of the organization cannot be read at all, if so.
    pub unreadable: Option<String>,
}

/// A document that describes no webhook that could be delivered to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// The id that it stands under.
    pub id: String,
    /// What is wrong with the document.
    pub problem: String,
    /// Whether nothing may be wrong with it, and this process lacks the key that opens it: then its
    /// deliveries are put off.
    pub for_want_of_key: bool,
    /// The event subscriptions, if that much can be read of an enabled webhook: its deliveries are
    /// kept as dead letters until the document is mended.
    pub event_subscriptions: Option<Vec<EventSubscription>>,
}

impl Unusable {
    /// Describes what can be read of a document that is unusable for this reason.
    pub fn of(id: String, json: &[u8], problem: &InvalidWebhook) -> Self {
        #[derive(Deserialize)]
        struct Gist {
            #[serde(default)]
            enabled: Option<bool>,
            #[serde(default)]
            event_subscriptions: Vec<EventSubscription>,
        }

        let gist: Option<Gist> = serde_json::from_slice(json).ok();
        let event_subscriptions = gist
            .filter(|gist| gist.enabled != Some(false))
            .map(|gist| gist.event_subscriptions);
        Self {
            id,
            problem: problem.to_string(),
            for_want_of_key: problem.is_for_want_of_key(),
            event_subscriptions,
        }
    }

    /// Whether an event of this type would be delivered to it, were the document in order.
    pub fn wants(&self, event_type: &EventType) -> bool {
        let subscriptions = self.event_subscriptions.as_ref();
        subscriptions.is_some_and(|entries| matching::wants(entries, event_type))
    }
}

impl OrganizationWebhooks {
    /// The webhook with this id, if it is registered.
    pub fn get(&self, id: &WebhookId) -> Option<&Arc<Webhook>> {
        self.webhooks.iter().find(|webhook| webhook.id == *id)
    }

    /// Returns what is wrong with the document of this id, if something is.
    pub fn problem(&self, id: &WebhookId) -> Option<&str> {
        let problem = self.unusable(id).map(|unusable| unusable.problem.as_str());
        problem.or(self.unreadable.as_deref())
    }

    /// Whether this process lacks the key that opens the document of this id.
    pub fn lacks_key(&self, id: &WebhookId) -> bool {
        self.unusable(id)
            .is_some_and(|unusable| unusable.for_want_of_key)
    }

    fn unusable(&self, id: &WebhookId) -> Option<&Unusable> {
        self.invalid
            .iter()
            .find(|unusable| unusable.id == id.as_str())
    }

    /// The webhooks that an event of this type is to be delivered to.
    pub fn wanting(&self, event_type: &EventType) -> impl Iterator<Item = &Arc<Webhook>> {
        self.webhooks
            .iter()
            .filter(move |webhook| webhook.wants(event_type))
    }

    /// Whether a webhook whose document cannot be used wants an event of this type.
    pub fn is_wanted_by_unusable(&self, event_type: &EventType) -> bool {
        self.invalid
            .iter()
            .any(|unusable| unusable.wants(event_type))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_unusable_document_it_is_known_what_it_wants() {
        let unusable = |json: &str| {
            let problem = InvalidWebhook::Name;
            Unusable::of("w1".to_owned(), json.as_bytes(), &problem)
        };
        let budget = EventType::new("budget.exceeded").unwrap();
        let error = EventType::new("error.occurred").unwrap();
        let one = unusable(r#"{"secrets":7,"event_subscriptions":["budget.*"]}"#);
        assert!(one.wants(&budget) && !one.wants(&error));
        assert!(unusable("{}").wants(&error));
        assert!(!unusable(r#"{"enabled":false}"#).wants(&error));
        assert!(!unusable("no json").wants(&error));
    }
}
