//! Days of failures, on a clock that is bent: the real engine on a database in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use prism_webhooks::domain::ids::Organization;
use prism_webhooks::domain::outcome::{Reply, Response};
use prism_webhooks::domain::own_fault::OwnFault;
use prism_webhooks::domain::retry::RetryPolicy;
use prism_webhooks::embedded::Embedded;
use prism_webhooks::embedded::database::Database;
use prism_webhooks::engine::Engine;
use prism_webhooks::engine::clock::Clock;
use prism_webhooks::engine::ports::{Request, Sender};
use prism_webhooks::engine::random::RandomSource;
use prism_webhooks::store::dead_letters::{Action, Filter, Options};
use tokio_util::sync::CancellationToken;

use super::world::{embedded, engine_settings, event};

const DAY: Duration = Duration::from_secs(86_400);

/// A receiver that answers with the status it is told to.
struct Receiver {
    status: AtomicU16,
    requests: AtomicU32,
}

#[async_trait]
impl Sender for Receiver {
    async fn send(&self, _: Request) -> Result<Reply, OwnFault> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Ok(Reply {
            result: Ok(Response {
                status: self.status.load(Ordering::Relaxed),
                ..Response::default()
            }),
            duration: Duration::ZERO,
            remote_addr: None,
        })
    }
}

/// An engine with one webhook, whose receiver fails until told otherwise.
struct World {
    embedded: Embedded,
    receiver: Arc<Receiver>,
}

impl World {
    async fn start(attempts: u32) -> Self {
        let clock = Clock::simulated("2026-01-01T00:00:00Z".parse().unwrap());
        let embedded = embedded(Arc::new(Database::in_memory().unwrap()), clock);
        let json = br#"{"id":"w","name":"w","url":"https://example.com/w"}"#;
        let organization = Organization::default();
        let documents = embedded.documents();
        documents.put(&organization, "w", json).await.unwrap();
        let receiver = Arc::new(Receiver {
            status: AtomicU16::new(500),
            requests: AtomicU32::new(0),
        });
        let mut settings = engine_settings(clock, RandomSource::seeded(1));
        settings.retry = RetryPolicy {
            max_attempts: attempts,
            ..RetryPolicy::default()
        };
        let ports = embedded.ports(receiver.clone(), Arc::default());
        let engine = Engine::new(settings, ports, CancellationToken::new());
        let (source, handle) = embedded.source();
        tokio::spawn(async move {
            engine.run(source).await;
            drop(handle);
        });
        Self { embedded, receiver }
    }

    /// Publishes an event, and sees that it is attempted and settled.
    async fn event(&self, id: &str) {
        let before = self.receiver.requests.load(Ordering::Relaxed);
        let ids = self.embedded.intake().accept(vec![event(id, false)]).await;
        ids.unwrap();
        self.settled().await;
        assert!(
            self.receiver.requests.load(Ordering::Relaxed) > before,
            "{id}"
        );
    }

    async fn settled(&self) {
        while self.embedded.unsettled().await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    }

    fn answer(&self, status: u16) {
        self.receiver.status.store(status, Ordering::Relaxed);
    }

    /// Why the webhook is disabled, if it is.
    async fn disabled(&self) -> Option<String> {
        let webhooks = self.embedded.webhooks();
        let found = webhooks.get(&Organization::default(), "w").await.unwrap();
        found.document.disabled_reason
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_long_ago_and_one_today_disable_nothing() {
    let world = World::start(1).await;
    world.event("day-0").await;
    tokio::time::advance(6 * DAY).await;
    world.event("day-6").await;
    assert_eq!(world.disabled().await, None);
}

#[tokio::test(start_paused = true)]
async fn nor_do_two_events_with_all_their_attempts_and_days_of_silence_between() {
    let world = World::start(10).await;
    world.event("day-0").await;
    tokio::time::advance(6 * DAY).await;
    world.event("day-6").await;
    assert_eq!(world.disabled().await, None);
    assert_eq!(world.receiver.requests.load(Ordering::Relaxed), 20);
}

#[tokio::test(start_paused = true)]
async fn an_event_a_day_that_fails_disables_after_five_days() {
    let world = World::start(1).await;
    for day in 0..5 {
        world.event(&format!("day-{day}")).await;
        assert_eq!(world.disabled().await, None, "day {day}");
        tokio::time::advance(DAY).await;
    }
    world.event("day-5").await;
    let reason = world.disabled().await;
    assert_eq!(
        reason.as_deref(),
        Some("every attempt has failed for 5 days")
    );
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_sends_round_again_and_is_taken_ends_the_failures() {
    let world = World::start(1).await;
    for day in 0..5 {
        world.event(&format!("day-{day}")).await;
        tokio::time::advance(DAY / 2).await;
        if day == 3 {
            world.answer(200);
            let letters = world.embedded.dead_letters();
            let (all, options) = (Filter::default(), Options::default());
            let done = letters
                .process(Action::Requeue, &all, &options, |_| {})
                .await;
            assert_eq!(done.unwrap().done, 4);
            world.settled().await;
            world.answer(500);
        }
        tokio::time::advance(DAY / 2).await;
    }
    world.event("day-5").await;
    assert_eq!(world.disabled().await, None);
}
