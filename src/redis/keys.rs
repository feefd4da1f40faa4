//! The name of every key and channel.
//!
//! Keys of one organization carry it as a hash tag, so that a script may touch several of them.
//! No identifier can hold a brace.

use std::sync::Arc;

use crate::domain::ids::{DeliveryId, MessageKey, Organization, WebhookId};
use crate::domain::webhook::WebhookKey;

/// Names keys and channels under one namespace.
#[derive(Debug, Clone)]
pub struct Keys {
    prefix: Arc<str>,
}

impl Keys {
    /// The keys of the deployment that has this namespace.
    pub fn new(namespace: &str) -> Self {
        Self {
            prefix: format!("{namespace}:webhooks").into(),
        }
    }

    /// Hash, webhook id to JSON: the webhooks of an organization.
    pub fn webhooks(&self, organization: &Organization) -> String {
        format!("{}:{{{organization}}}", self.prefix)
    }

    /// Hash, name to webhook id: the index of an organization's names. Under names that no webhook can
    /// have, because they begin with a space: of how many webhooks it was made, and how often it changed.
    pub fn names(&self, organization: &Organization) -> String {
        format!("{}:{{{organization}}}:names", self.prefix)
    }

    /// What the hashes of all organizations' webhooks match: no identifier can hold a brace.
    pub fn all_webhooks(&self) -> String {
        format!("{}:{{*}}", self.prefix)
    }

    /// The organization whose webhooks a key is for.
    pub fn organization(&self, key: &str) -> Option<Organization> {
        let name = key.strip_prefix(&*self.prefix)?.strip_prefix(":{")?;
        Organization::new(name.strip_suffix('}')?).ok()
    }

    /// Stream, capped, expires without new ones: who changed what in an organization, as JSON; `None`:
    /// what was done to all of them at once.
    pub fn audit(&self, organization: Option<&Organization>) -> String {
        match organization {
            Some(organization) => format!("{}:{{{organization}}}:audit", self.prefix),
            None => format!("{}:audit", self.prefix),
        }
    }

    /// Channel: the name of an organization whose webhooks changed.
    pub fn changed(&self) -> String {
        format!("{}:changed", self.prefix)
    }

    /// Channel: a webhook whose receiver asked to be left alone, as JSON.
    pub fn pauses(&self) -> String {
        format!("{}:pauses", self.prefix)
    }

    /// Hash, expires: the fingerprints of a webhook's endpoints that asked to be left alone, to until
    /// when, in milliseconds since 1970 by Redis's clock.
    pub fn paused(&self, webhook: &WebhookKey) -> String {
        let WebhookKey { organization, id } = webhook;
        format!("{}:{{{organization}}}:paused:{id}", self.prefix)
    }

    /// Text, expires: written to find out whether that is possible.
    pub fn probe(&self) -> String {
        format!("{}:probe", self.prefix)
    }

    /// Text: what places in the record are sealed with, in hexadecimal.
    pub fn cursor_key(&self) -> String {
        format!("{}:cursor_key", self.prefix)
    }

    /// Text, expires: a session of the page, by the digest of its value.
    pub fn session(&self, id: &str) -> String {
        format!("{}:session:{id}", self.prefix)
    }

    /// Sorted set, expires: the ids of the sessions with the token of this name, by when they began.
    pub fn sessions_of(&self, token: &str) -> String {
        format!("{}:sessions:{token}", self.prefix)
    }

    /// Stream, capped: every attempt of every webhook.
    pub fn attempts(&self) -> String {
        format!("{}:attempts", self.prefix)
    }

    /// Stream, capped, expires without new ones: the attempts of one webhook.
    pub fn webhook_attempts(&self, organization: &Organization, webhook: &WebhookId) -> String {
        format!("{}:{{{organization}}}:attempts:{webhook}", self.prefix)
    }

    /// Stream, capped, expires without new ones: the attempts of an organization, as their ids in the
    /// stream of [all](Self::attempts).
    pub fn organization_attempts(&self, organization: &Organization) -> String {
        format!("{}:{{{organization}}}:attempts", self.prefix)
    }

    /// Hash, expires: the state of a delivery, and its body if it failed.
    pub fn delivery(&self, organization: &Organization, delivery: &DeliveryId) -> String {
        format!("{}:{{{organization}}}:delivery:{delivery}", self.prefix)
    }

    /// Sorted set, expires: the deliveries of an organization whose bodies are kept, by the
    /// microsecond in which their records expire.
    pub fn bodies(&self, organization: &Organization) -> String {
        format!("{}:{{{organization}}}:bodies", self.prefix)
    }

    /// Hash, expires: the sizes of those bodies by delivery, and their sum under an empty name.
    pub fn body_sizes(&self, organization: &Organization) -> String {
        format!("{}:{{{organization}}}:bodies:sizes", self.prefix)
    }

    /// The beginning of the keys of an organization's deliveries, before the id.
    pub fn deliveries(&self, organization: &Organization) -> String {
        format!("{}:{{{organization}}}:delivery:", self.prefix)
    }

    /// Hash: what is in the dead-letter queue, id to JSON. The names of what belongs to it begin alike.
    pub fn letters(&self) -> String {
        format!("{}:letters", self.prefix)
    }

    /// What belongs to the index of the dead-letter queue:
    ///
    /// - `times`, sorted set: the letters by when they were given up, in microseconds since 1970;
    /// - `seen`, sorted set: the same by when they were entered or last met in the queue;
    /// - `unconfirmed`, sorted set: those whose publishing is not confirmed, by when they were entered;
    /// - `void`, hash: deliveries whose letters up to a sequence are void, and since when they are;
    /// - `known`, hash: when the last whole pass began, and how many letters it met twice;
    /// - `pass`, text, expires: who is going through the queue, and how far.
    pub fn letters_part(&self, part: &str) -> String {
        format!("{}:letters:{part}", self.prefix)
    }

    /// Sorted set: an organization's dead letters by when they were given up.
    pub fn letters_of(&self, organization: &str) -> String {
        format!("{}:{{{organization}}}:letters", self.prefix)
    }

    /// Text, expires: there while the retry by hand of a delivery that has this sequence is under way.
    pub fn retry(
        &self,
        organization: &Organization,
        delivery: &DeliveryId,
        sequence: u32,
    ) -> String {
        let prefix = &self.prefix;
        format!("{prefix}:{{{organization}}}:retry:{delivery}:{sequence}")
    }

    /// Set, expires: the webhooks for which an event is settled while others are still open.
    pub fn settled(&self, organization: &Organization, message: &MessageKey) -> String {
        format!("{}:{{{organization}}}:settled:{message}", self.prefix)
    }

    /// Hash, expires: how many attempts of one webhook came to what, on a day counted from 1970.
    pub fn outcomes(&self, organization: &Organization, webhook: &WebhookId, day: i64) -> String {
        format!("{}{day}", self.counts(organization, webhook)[0])
    }

    /// Hash, expires: how long they took.
    pub fn durations(&self, organization: &Organization, webhook: &WebhookId, day: i64) -> String {
        format!("{}{day}", self.counts(organization, webhook)[1])
    }

    /// The beginnings of the keys of a webhook's counts, before the day: outcomes and durations.
    pub fn counts(&self, organization: &Organization, webhook: &WebhookId) -> [String; 2] {
        ["outcomes", "durations"]
            .map(|what| format!("{}:{{{organization}}}:{what}:{webhook}:", self.prefix))
    }

    /// Hash, expires: the next free time of a webhook with a rate limit, in microseconds since 1970,
    /// and how many were reserved; up to when deliveries that are put off come back, how far apart,
    /// and how far apart each worker gets them done.
    pub fn calendar(&self, webhook: &WebhookKey) -> String {
        let WebhookKey { organization, id } = webhook;
        format!("{}:{{{organization}}}:calendar:{id}", self.prefix)
    }

    /// Sorted set, expires: the workers that work, by when they last said so, in seconds since 1970.
    pub fn workers(&self) -> String {
        format!("{}:workers", self.prefix)
    }

    /// Hash, expires: worker to JSON, what each says of a webhook whose deliveries it holds back.
    pub fn held_back(&self, organization: &Organization, webhook: &WebhookId) -> String {
        format!("{}:{{{organization}}}:held_back:{webhook}", self.prefix)
    }

    /// Hash, expires: when a webhook last answered well, and its streak of failures.
    pub fn health(&self, webhook: &WebhookKey) -> String {
        let WebhookKey { organization, id } = webhook;
        format!("{}:{{{organization}}}:health:{id}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_contract() {
        let keys = Keys::new("prism");
        let organization = Organization::new("acme").unwrap();
        let id = WebhookId::new("w1").unwrap();
        assert_eq!(keys.webhooks(&organization), "prism:webhooks:{acme}");
        let acme = keys.organization("prism:webhooks:{acme}");
        assert_eq!(acme.as_ref(), Some(&organization));
        assert_eq!(keys.organization("prism:webhooks:{acme}:bodies"), None);
        assert_eq!(keys.changed(), "prism:webhooks:changed");
        assert_eq!(keys.attempts(), "prism:webhooks:attempts");
        assert_eq!(
            keys.webhook_attempts(&organization, &id),
            "prism:webhooks:{acme}:attempts:w1"
        );
        let delivery = DeliveryId::new("d1").unwrap();
        assert_eq!(
            keys.delivery(&organization, &delivery),
            "prism:webhooks:{acme}:delivery:d1"
        );
        let message = MessageKey::new("m1").unwrap();
        assert_eq!(
            keys.settled(&organization, &message),
            "prism:webhooks:{acme}:settled:m1"
        );
        assert_eq!(
            keys.health(&WebhookKey { organization, id }),
            "prism:webhooks:{acme}:health:w1"
        );
    }
}
