//! What these tests share: an embedded store, webhooks, events, the engine's settings.

use std::sync::Arc;
use std::time::Duration;

use prism_webhooks::domain::admission::Bounds;
use prism_webhooks::domain::delay::Steps;
use prism_webhooks::domain::endpoint::EndpointRules;
use prism_webhooks::domain::event::{EventRules, RawEvent};
use prism_webhooks::domain::ids::{EventType, Organization, WEBHOOK_DISABLED};
use prism_webhooks::domain::retry::RetryPolicy;
use prism_webhooks::domain::verdict::DisablePolicy;
use prism_webhooks::embedded::database::Database;
use prism_webhooks::embedded::{Embedded, EmbeddedSettings};
use prism_webhooks::engine;
use prism_webhooks::engine::clock::Clock;
use prism_webhooks::engine::random::RandomSource;
use prism_webhooks::registry::documents::{DocumentReader, DocumentStore as _};
use prism_webhooks::registry::secrets::SecretCipher;
use prism_webhooks::store::audit::AuditKept;
use prism_webhooks::store::retention::DeliveryLogSettings;

/// The webhooks: each endpoint's path is its id, and says how the receiver is.
pub const WEBHOOKS: [&str; 4] = ["healthy", "moody", "broken", "gone"];

/// The most requests that the engine has open.
pub const IN_FLIGHT: u32 = 8;

pub fn embedded(database: Arc<Database>, clock: Clock) -> Embedded {
    let settings = EmbeddedSettings {
        audit: AuditKept::default(),
        log: DeliveryLogSettings::default(),
        max_organizations: 100,
        prefetch: 16,
        clock,
    };
    let reader = DocumentReader::new(SecretCipher::new(None), EndpointRules::default());
    Embedded::start(database, reader, settings).unwrap()
}

/// Registers the webhooks that are not registered yet.
pub async fn put_webhooks(embedded: &Embedded) {
    let organization = Organization::default();
    for id in WEBHOOKS {
        let documents = embedded.documents();
        if documents.get(&organization, id).await.unwrap().is_none() {
            let json = format!(r#"{{"id":"{id}","name":"{id}","url":"https://example.com/{id}"}}"#);
            let put = documents.put(&organization, id, json.as_bytes());
            put.await.unwrap();
        }
    }
}

/// An event with this id; an invalid one if told so.
pub fn event(id: &str, invalid: bool) -> RawEvent {
    let body = match invalid {
        true => r#"{"event":"something.else"}"#.to_owned(),
        false => format!(r#"{{"event":"request.completed","id":"{id}"}}"#),
    };
    RawEvent {
        routing_key: "request.completed".to_owned(),
        message_id: Some(id.to_owned()),
        body: body.into(),
        ..RawEvent::default()
    }
}

pub fn engine_settings(clock: Clock, random: RandomSource) -> engine::EngineSettings {
    let types = ["request.completed", WEBHOOK_DISABLED];
    engine::EngineSettings {
        events: EventRules {
            event_types: types.map(|name| EventType::new(name).unwrap()).into(),
            max_size: 1 << 20,
        },
        retry: RetryPolicy::default(),
        disable: DisablePolicy {
            after: Duration::from_secs(5 * 86_400),
            on_gone: true,
        },
        steps: Steps::up_to(Duration::from_secs(3 * 86_400)),
        bounds: Bounds {
            webhook_max_in_flight: 4,
            quick: IN_FLIGHT as usize - 4,
            slow: 4,
            hand: 16,
            breaker_after: 20,
        },
        fanout_inline_max: 3,
        keep_all_bodies: false,
        worker: "simulated".to_owned(),
        grace: Duration::from_secs(25),
        clock,
        random,
    }
}
