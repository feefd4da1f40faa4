//! Whether a webhook would get events of a type, and if not, why.

use super::egress::{Egress, Refusal};
use super::event::EventRules;
use super::ids::EventType;
use super::matching::EventSubscription;
use super::webhook::{State, Webhook};

/// What becomes of events of one type at one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The entry of the event subscriptions that covers the event type; a webhook without entries
    /// takes all, and so has [`EventSubscription::All`].
    pub covered_by: Option<EventSubscription>,
    /// The obstacles; without any, the webhook gets the events.
    pub obstacles: Vec<Obstacle>,
}

/// Why a webhook does not get events of a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The deployment does not take such events.
    #[error(
        "{0} is no event type of this deployment: such an event becomes a dead letter with the \
         reason invalid-event; add it to event_types if the gateway publishes it"
    )]
    UnknownEventType(EventType),
    /// No event subscription covers the event type.
    #[error("its event subscriptions do not cover {0}; add {0} to them")]
    NotSubscribed(EventType),
    /// The webhook is disabled, for this reason.
    #[error("it is disabled ({0}); enable it")]
    Disabled(String),
    /// The endpoint's address is refused.
    #[error("its requests would be refused: {0}")]
    AddressRefused(Refusal),
    /// Its document makes no webhook.
    #[error(
        "its document cannot be used ({0}); until it is mended, its events become dead letters with \
         the reason webhook-invalid"
    )]
    Invalid(String),
    /// Its document cannot be opened here.
    #[error("{0}; until then its deliveries are put off, and nothing is lost")]
    Unopened(String),
}

impl Obstacle {
    /// The stable name in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::UnknownEventType(_) => "unknown-event-type",
            Self::NotSubscribed(_) => "not-subscribed",
            Self::Disabled(_) => "disabled",
            Self::AddressRefused(_) => "address-refused",
            Self::Invalid(_) => "invalid",
            Self::Unopened(_) => "unopened",
        }
    }
}

/// Says whether `webhook` would get events of `event_type`. An address that a name resolves to is
/// judged at each connection and cannot be told here.
pub fn explain(
    webhook: &Webhook,
    event_type: &EventType,
    rules: &EventRules,
    egress: &Egress,
) -> Explanation {
    let entries = &webhook.event_subscriptions;
    let covering = entries.iter().find(|entry| entry.covers(event_type));
    let covered_by = if entries.is_empty() {
        Some(EventSubscription::All)
    } else {
        covering.cloned()
    };
    let mut obstacles = Vec::new();
    if !rules.event_types.contains(event_type) {
        obstacles.push(Obstacle::UnknownEventType(event_type.clone()));
    }
    if covered_by.is_none() {
        obstacles.push(Obstacle::NotSubscribed(event_type.clone()));
    }
    if let State::Disabled(reason) = &webhook.state {
        obstacles.push(Obstacle::Disabled(reason.clone()));
    }
    if let Err(refusal) = egress.permits_url(&webhook.url) {
        obstacles.push(Obstacle::AddressRefused(refusal));
    }
    Explanation {
        covered_by,
        obstacles,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::endpoint::EndpointRules;
    use crate::domain::ids::GATEWAY_EVENT_TYPES;
    use crate::domain::secret::Secret;
    use crate::domain::webhook::WebhookDocument;

    fn rules() -> EventRules {
        let known = GATEWAY_EVENT_TYPES.map(|name| EventType::new(name).unwrap());
        EventRules {
            event_types: known.into_iter().collect(),
            max_size: 1024,
        }
    }

    fn ask(json: &str, event_type: &str) -> (Option<String>, Vec<&'static str>) {
        let document: WebhookDocument = serde_json::from_str(json).unwrap();
        let webhook =
            Webhook::from_document(&document, EndpointRules::default(), Secret::new).unwrap();
        let event_type = EventType::new(event_type).unwrap();
        let found = explain(&webhook, &event_type, &rules(), &Egress::default());
        let covered_by = found.covered_by.map(|entry| entry.to_string());
        (
            covered_by,
            found.obstacles.iter().map(Obstacle::name).collect(),
        )
    }

    #[test]
    fn a_webhook_that_gets_it_says_by_which_entry() {
        let all = r#"{"id":"w","name":"n","url":"https://example.com"}"#;
        assert_eq!(ask(all, "budget.exceeded"), (Some("*".to_owned()), vec![]));
        let below = r#"{"id":"w","name":"n","url":"https://example.com",
            "event_subscriptions":["error.occurred","budget.*"]}"#;
        assert_eq!(
            ask(below, "budget.exceeded"),
            (Some("budget.*".to_owned()), vec![])
        );
    }

    #[test]
    fn everything_that_stands_in_the_way_is_said_at_once() {
        let none = r#"{"id":"w","name":"n","url":"https://10.0.0.1","enabled":false,
            "event_subscriptions":["error.occurred"]}"#;
        let all = vec![
            "unknown-event-type",
            "not-subscribed",
            "disabled",
            "address-refused",
        ];
        assert_eq!(ask(none, "made.up"), (None, all));
    }
}
