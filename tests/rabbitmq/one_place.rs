//! A place for a request, as a worker has it, to see when it is given back.

use prism_webhooks::domain::admission::{Asked, Bounds, JobKind};
use prism_webhooks::domain::ids::{Organization, WebhookId};
use prism_webhooks::domain::webhook::WebhookKey;
use prism_webhooks::engine::admission::{Admitted, Place, WebhookLimiter};

/// A worker's only place for a request.
pub struct OnePlace(WebhookLimiter);

impl OnePlace {
    pub fn new() -> Self {
        Self(WebhookLimiter::new(Bounds {
            webhook_max_in_flight: 1,
            quick: 1,
            slow: 1,
            hand: 1,
            breaker_after: 0,
        }))
    }

    /// Takes it, once it is free.
    pub async fn take(&self) -> Place {
        let key = WebhookKey {
            organization: Organization::default(),
            id: WebhookId::new("w").unwrap(),
        };
        let asked = Asked {
            key: &key,
            url: &"https://example.com".parse().unwrap(),
            kind: JobKind::Event,
            by_hand: false,
            rate: None,
        };
        match self.0.ask(asked).answer().await {
            Admitted::Go(place) => place,
            Admitted::Later(deferral) => panic!("put off: {deferral:?}"),
        }
    }
}
