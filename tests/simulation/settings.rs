//! The engine's settings for a scenario: the one place that knows their shape.

use std::time::Duration;

use prism_webhooks::domain::admission::Bounds;
use prism_webhooks::domain::delay::Steps;
use prism_webhooks::domain::event::EventRules;
use prism_webhooks::domain::ids::{EventType, WEBHOOK_DISABLED};
use prism_webhooks::domain::verdict::DisablePolicy;
use prism_webhooks::engine::EngineSettings;
use prism_webhooks::engine::clock::Clock;
use prism_webhooks::engine::random::RandomSource;

use super::scenario::Scenario;

/// The event type that every webhook of the organization wants.
pub const FOR_ALL: &str = "all";

/// What counts as an event: one type for each webhook, and one for all.
pub fn event_rules(scenario: &Scenario) -> EventRules {
    let own = (0..scenario.webhooks.len()).map(|index| format!("w{index}"));
    let types = own.chain([FOR_ALL.to_owned(), WEBHOOK_DISABLED.to_owned()]);
    EventRules {
        event_types: types.map(|name| EventType::new(&name).unwrap()).collect(),
        max_size: 1 << 20,
    }
}

pub fn settings(scenario: &Scenario, clock: Clock) -> EngineSettings {
    let limits = scenario.limits;
    EngineSettings {
        events: event_rules(scenario),
        retry: scenario.retry,
        disable: DisablePolicy {
            after: Duration::from_secs(5 * 86_400),
            on_gone: true,
        },
        steps: Steps::up_to(Duration::from_secs(3 * 86_400)),
        bounds: Bounds {
            webhook_max_in_flight: limits.webhook,
            quick: limits.quick,
            slow: limits.slow,
            hand: limits.hand,
            breaker_after: 20,
        },
        fanout_inline_max: limits.inline,
        keep_all_bodies: false,
        worker: "simulated".to_owned(),
        grace: Duration::from_secs(25),
        clock,
        random: RandomSource::seeded(scenario.seed),
    }
}
