//! What the engine is given in these tests: settings, webhooks, events, deliveries.

use std::sync::Arc;
use std::time::Duration;

use prism_webhooks::domain::admission::Bounds;
use prism_webhooks::domain::delay::Steps;
use prism_webhooks::domain::delivery::Delivery;
use prism_webhooks::domain::endpoint::EndpointRules;
use prism_webhooks::domain::event::{self, EventRules, RawEvent};
use prism_webhooks::domain::ids::{EventType, WebhookId};
use prism_webhooks::domain::matching::EventSubscription;
use prism_webhooks::domain::retry::RetryPolicy;
use prism_webhooks::domain::secret::Secret;
use prism_webhooks::domain::verdict::DisablePolicy;
use prism_webhooks::domain::webhook::{Webhook, WebhookDocument};
use prism_webhooks::engine::EngineSettings;
use prism_webhooks::engine::clock::Clock;
use prism_webhooks::engine::random::RandomSource;

pub fn settings() -> EngineSettings {
    let event_types = prism_webhooks::domain::ids::GATEWAY_EVENT_TYPES
        .iter()
        .map(|t| EventType::new(t).unwrap());
    EngineSettings {
        events: EventRules {
            event_types: event_types.collect(),
            max_size: 1 << 20,
        },
        retry: RetryPolicy {
            initial: Duration::from_secs(1),
            ..RetryPolicy::default()
        },
        disable: DisablePolicy {
            after: Duration::from_secs(432_000),
            on_gone: true,
        },
        steps: Steps::up_to(Duration::from_secs(64)),
        bounds: Bounds {
            webhook_max_in_flight: 64,
            quick: 256,
            slow: 1024,
            hand: 1000,
            breaker_after: 20,
        },
        fanout_inline_max: 128,
        keep_all_bodies: false,
        worker: "test".to_owned(),
        grace: Duration::from_secs(25),
        clock: Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap()),
        random: RandomSource::system(),
    }
}

/// A webhook for every event type whose endpoint's path is its id.
pub fn webhook(id: &str) -> Webhook {
    let json = format!(r#"{{"id":"{id}","name":"{id}","url":"https://example.com/{id}"}}"#);
    let document: WebhookDocument = serde_json::from_str(&json).unwrap();
    Webhook::from_document(&document, EndpointRules::default(), Secret::new).unwrap()
}

/// The same for events of one type alone.
pub fn webhook_for(event_type: &str, id: &str) -> Webhook {
    Webhook {
        event_subscriptions: vec![EventSubscription::parse(event_type).unwrap()],
        ..webhook(id)
    }
}

/// An event of this type with this id, taken in by ourselves.
pub fn event_of(event_type: &str, id: &str) -> RawEvent {
    RawEvent {
        routing_key: event_type.to_owned(),
        body: format!(r#"{{"event":"{event_type}"}}"#).into(),
        ..event(id)
    }
}

/// An event of the gateway with this id, taken in by ourselves.
pub fn event(id: &str) -> RawEvent {
    RawEvent {
        stamp: Some(format!("stamp of {id}")),
        ..foreign(id)
    }
}

/// An event with this id that another publisher sent: nothing tells it from its like.
pub fn foreign(id: &str) -> RawEvent {
    RawEvent {
        routing_key: "request.completed".to_owned(),
        message_id: Some(id.to_owned()),
        body: br#"{"event":"request.completed"}"#.as_slice().into(),
        ..RawEvent::default()
    }
}

/// The delivery of such an event to a webhook.
pub fn delivery(webhook: &str, event_id: &str) -> Delivery {
    let event = event::decode(&foreign(event_id), &settings().events).unwrap();
    Delivery::first(Arc::new(event), WebhookId::new(webhook).unwrap())
}
