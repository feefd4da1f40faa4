//! A webhook that is deleted while an attempt is under way: nothing of it stays.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use prism_webhooks::domain::dead_letter::Reason;
use prism_webhooks::domain::delay::Steps;
use prism_webhooks::domain::outcome::{Reply, Response};
use prism_webhooks::domain::own_fault::OwnFault;
use prism_webhooks::engine::clock::Clock;
use prism_webhooks::engine::ports::{Entry, Request, Sender};
use prism_webhooks::engine::random::RandomSource;
use prism_webhooks::engine::{Engine, Ports};
use prism_webhooks::store::dead_letters::Filter;
use prism_webhooks::store::delivery_log::AttemptFilter;
use prism_webhooks::store::statistics::Detail;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::adapter::Adapter;
use crate::embedded::world::engine_settings;
use crate::rabbitmq::world::{raw_event, soon};
use crate::redis::kit::{
    SOON, at, attempt, document, failing_since, new_webhook, organization, webhook_key,
};
use crate::support::deadline::eventually;

/// A receiver that holds each request until it may answer.
struct Gate {
    status: u16,
    asked: Semaphore,
    open: Semaphore,
}

#[async_trait]
impl Sender for Gate {
    async fn send(&self, _: Request) -> Result<Reply, OwnFault> {
        self.asked.add_permits(1);
        self.open.acquire().await.unwrap().forget();
        Ok(Reply {
            result: Ok(Response {
                status: self.status,
                ..Response::default()
            }),
            duration: Duration::from_millis(1),
            remote_addr: None,
        })
    }
}

/// How much there is of a webhook, apart from deliveries, which have a time of their own.
async fn left(adapter: &impl Adapter, id: &str) -> usize {
    adapter.flush().await;
    let key = webhook_key(id);
    let filter = AttemptFilter {
        organization: Some(organization()),
        webhook: Some(key.id.clone()),
        ..AttemptFilter::default()
    };
    let attempts = adapter.attempts(&filter, 10, None).await.0.len();
    let period = (at(0), Timestamp::now() + SignedDuration::from_mins(15));
    let counts = adapter
        .statistics(&key.id, period, Detail::Durations)
        .await
        .len();
    attempts + counts + adapter.keys_of(&key.id).await
}

pub async fn what_ends_after_a_webhook_was_deleted_leaves_nothing_of_it(adapter: &impl Adapter) {
    for status in [200, 500] {
        ends_after_deletion(adapter, status).await;
    }
}

async fn ends_after_deletion(adapter: &impl Adapter, status: u16) {
    let name = format!("n{status}");
    let webhooks = adapter.webhooks();
    let created = webhooks
        .create(&organization(), new_webhook(&name), at(0))
        .await
        .unwrap();
    let id = created.document.id;
    let (subscriptions, pauses) = adapter.subscriptions_and_pauses();
    eventually(SOON, "the webhook is known", async || {
        let known = subscriptions.webhooks(&organization()).await;
        let ours = known.webhooks.iter().find(|one| one.id.as_str() == id);
        ours.map(|_| ())
    })
    .await;

    let gate = Arc::new(Gate {
        status,
        asked: Semaphore::new(0),
        open: Semaphore::new(0),
    });
    let ports = Ports {
        handover: adapter.handover(),
        subscriptions,
        log: adapter.log(),
        calendars: adapter.calendars(),
        board: adapter.board("w"),
        pauses,
        sender: gate.clone(),
        faults: Arc::default(),
    };
    let second = Duration::from_secs(1);
    let mut settings = engine_settings(Clock::system(), RandomSource::seeded(1));
    settings.steps = Steps::up_to(second);
    settings.retry.initial = second;
    let engine = Engine::new(settings, ports, CancellationToken::new());
    let (source, handle) = adapter.work().await;
    let working = tokio::spawn({
        let engine = engine.clone();
        async move {
            engine.run(source).await;
        }
    });
    adapter.publish(raw_event(&name)).await;
    soon(gate.asked.acquire()).await.unwrap().forget();
    webhooks.delete(&organization(), &name).await.unwrap();
    gate.open.add_permits(1);
    let every = AttemptFilter::default();
    eventually(SOON, "the attempt is on record", async || {
        let all = adapter.attempts(&every, 10, None).await.0;
        let ours = all.iter().find(|one| one.webhook_id.as_str() == id);
        ours.map(|_| ())
    })
    .await;
    if status == 500 {
        // The retry comes back, and nobody is there to have it.
        let letters = async || adapter.dead_letters(&Filter::default()).await.letters;
        eventually(SOON, "the retry is given up", async || {
            (letters().await.len() == 1).then_some(())
        })
        .await;
        assert_eq!(letters().await[0].reason, Some(Reason::WebhookDeleted));
    }
    // The source ends once the message is settled, and the engine with it.
    A::stop(adapter, &handle);
    soon(working).await.unwrap();
    adapter.close(handle).await;
    assert_eq!(left(adapter, &id).await, 0, "answered with {status}");
}

/// `Adapter::stop_taking` for an adapter whose type has no name here.
struct A;

impl A {
    fn stop<T: Adapter>(_: &T, handle: &T::Handle) {
        T::stop_taking(handle);
    }
}

pub async fn what_other_workers_write_of_a_deleted_webhook_goes_and_a_new_one_of_its_id_begins_anew(
    adapter: &impl Adapter,
) {
    let log = adapter.log();
    let key = webhook_key("again");
    let write = async || {
        let recent = attempt("e", "again");
        log.write(Entry {
            attempt: Some(recent),
            ..Entry::default()
        })
        .await;
        log.succeeded(&key, Timestamp::now());
    };
    // After the successes, which are now.
    let later =
        |second| at(0) + SignedDuration::from_hours(24 * 365) + SignedDuration::from_secs(second);
    adapter.put_document("again", &document("again")).await;
    write().await;
    failing_since(&*log, &key, later(0)).await;
    assert!(left(adapter, "again").await >= 2);
    adapter
        .webhooks()
        .delete(&organization(), "again")
        .await
        .unwrap();
    for n in 0..3 {
        write().await;
        assert_eq!(failing_since(&*log, &key, later(n)).await, later(n));
        assert_eq!(left(adapter, "again").await, 0);
    }
    adapter.put_document("again", &document("again")).await;
    assert_eq!(left(adapter, "again").await, 0);
    write().await;
    assert!(
        left(adapter, "again").await >= 2,
        "one attempt and its count"
    );
    assert_eq!(failing_since(&*log, &key, later(900)).await, later(900));
    assert_eq!(failing_since(&*log, &key, later(901)).await, later(900));
}
