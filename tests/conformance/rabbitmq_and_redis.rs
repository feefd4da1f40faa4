//! The adapters on RabbitMQ and Redis.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use prism_webhooks::domain::attempt::Attempt;
use prism_webhooks::domain::audit::AuditEntry;
use prism_webhooks::domain::event::RawEvent;
use prism_webhooks::domain::held_back::HeldBack;
use prism_webhooks::domain::ids::{DeliveryId, Organization, WebhookId};
use prism_webhooks::engine::ports::{
    Board, Calendars, Handover, LogWriter, Pauses, Source, Subscriptions,
};
use prism_webhooks::rabbitmq::consumer::SourceHandle;
use prism_webhooks::rabbitmq::dead_letter_queue::DeadLetterQueue;
use prism_webhooks::rabbitmq::publisher::Publisher;
use prism_webhooks::redis::attempts::Attempts;
use prism_webhooks::redis::audit::RedisAuditLog;
use prism_webhooks::redis::board::RedisBoard;
use prism_webhooks::redis::calendars::RedisCalendars;
use prism_webhooks::redis::deliveries::Deliveries;
use prism_webhooks::redis::delivery_log::RedisDeliveryLog;
use prism_webhooks::redis::log_writer::RedisLogWriter;
use prism_webhooks::redis::statistics::Statistics;
use prism_webhooks::redis::subscriptions::RedisSubscriptions;
use prism_webhooks::registry::secrets::SecretCipher;
use prism_webhooks::registry::webhooks::Webhooks;
use prism_webhooks::store::audit::AuditLog;
use prism_webhooks::store::dead_letters::{
    Action, DeadLetters as _, Filter, Found, Options, Progress,
};
use prism_webhooks::store::delivery_log::{AttemptFilter, DeliveryLog, Recorded, RecordedAttempt};
use prism_webhooks::store::entry::EntryId;
use prism_webhooks::store::retention::DeliveryLogSettings;
use prism_webhooks::store::statistics::{Bucket, Detail};

use super::adapter::{Adapter, BODIES, KEPT};
use crate::rabbitmq::world::{World, proxy, through};
use crate::redis::kit::{AUDIT, Space, organization};
use crate::support::proxy::Proxy;

pub struct RabbitAndRedis {
    publisher: Publisher,
    log: Arc<RedisLogWriter>,
    subscriptions: Arc<RedisSubscriptions>,
    world: World,
    space: Space,
}

impl RabbitAndRedis {
    fn letters(&self) -> DeadLetterQueue {
        self.world.dead_letters(&self.space)
    }
}

impl Adapter for RabbitAndRedis {
    type Handle = (SourceHandle, Proxy);

    async fn new() -> Self {
        let (world, space) = (World::declared().await, Space::new());
        let (attempts_kept, attempts_kept_per_webhook) = KEPT;
        let settings = DeliveryLogSettings {
            attempts_kept,
            attempts_kept_per_webhook,
            bodies_per_organization: BODIES,
            ..DeliveryLogSettings::default()
        };
        let log = RedisLogWriter::start(space.connection.clone(), space.keys.clone(), settings);
        let subscriptions = space.subscriptions(&space.connection, Duration::from_secs(3600));
        space.heard_by(&subscriptions).await;
        Self {
            publisher: world.publisher().with_index(space.letters()),
            log: Arc::new(log),
            subscriptions: Arc::new(subscriptions),
            world,
            space,
        }
    }

    async fn work(&self) -> (Source, Self::Handle) {
        let proxy = proxy();
        let server = through(&proxy);
        let started = self
            .world
            .source_with(|settings| settings.server = server)
            .await;
        (started.0, (started.1, proxy))
    }

    async fn close(&self, (handle, _proxy): Self::Handle) {
        handle.close().await;
    }

    fn stop_taking((handle, _): &Self::Handle) {
        handle.stop_taking();
    }

    async fn crash(&self, source: Source, (handle, proxy): Self::Handle) {
        proxy.down();
        drop((source, handle));
    }

    async fn publish(&self, event: RawEvent) {
        self.publisher.publish_event(&event).await.unwrap();
    }

    fn handover(&self) -> Arc<dyn Handover> {
        Arc::new(self.publisher.clone())
    }

    fn log(&self) -> Arc<dyn LogWriter> {
        self.log.clone()
    }

    fn calendars(&self) -> Arc<dyn Calendars> {
        let (connection, keys) = (self.space.connection.clone(), self.space.keys.clone());
        Arc::new(RedisCalendars::new(connection, keys))
    }

    fn board(&self, worker: &str) -> Arc<dyn Board> {
        let (connection, keys) = (self.space.connection.clone(), self.space.keys.clone());
        Arc::new(RedisBoard::new(connection, keys).written_by(worker))
    }

    async fn held_back(&self, webhooks: &[WebhookId]) -> HashMap<WebhookId, HeldBack> {
        let (connection, keys) = (self.space.connection.clone(), self.space.keys.clone());
        let board = RedisBoard::new(connection, keys);
        let held = board
            .read(&organization(), webhooks, Timestamp::now())
            .await;
        held.unwrap()
    }

    fn subscriptions(&self) -> Arc<dyn Subscriptions> {
        self.subscriptions.clone()
    }

    fn subscriptions_and_pauses(&self) -> (Arc<dyn Subscriptions>, Arc<dyn Pauses>) {
        let hour = Duration::from_secs(3600);
        let connection = &self.space.connection;
        let (subscriptions, pauses) = self.space.subscriptions_and_pauses(connection, hour);
        (Arc::new(subscriptions), pauses)
    }

    fn webhooks(&self) -> Webhooks {
        self.space.webhooks()
    }

    fn webhooks_with(&self, cipher: SecretCipher) -> Webhooks {
        self.space.webhooks_with(cipher)
    }

    fn audit_log(&self) -> Arc<dyn AuditLog> {
        let (connection, keys) = (self.space.connection.clone(), self.space.keys.clone());
        Arc::new(RedisAuditLog::new(connection, keys, AUDIT))
    }

    async fn add_old_entry(&self, entry: &AuditEntry) {
        let key = self.space.keys.audit(entry.organization.as_ref());
        let at = entry.at - SignedDuration::from_hours(24 * 366);
        let id = format!("{}-0", at.as_millisecond());
        let words = ["XADD", &key, &id, "entry", &entry.to_json()];
        self.space.ask::<String>(&words).await;
    }

    async fn stored(&self, id: &str) -> String {
        let key = self.space.keys.webhooks(&organization());
        self.space.ask(&["HGET", &key, id]).await
    }

    async fn flush(&self) {
        self.log.flush().await;
    }

    async fn put_document(&self, id: &str, json: &str) {
        let key = self.space.keys.webhooks(&organization());
        self.space.ask::<()>(&["HSET", &key, id, json]).await;
        self.space.tell(organization().as_str()).await;
    }

    async fn attempts(
        &self,
        filter: &AttemptFilter,
        limit: usize,
        before: Option<EntryId>,
    ) -> (Vec<Attempt>, Option<EntryId>) {
        let attempts = Attempts::new(self.space.connection.clone(), self.space.keys.clone());
        let page = attempts.list(filter, limit, before).await.unwrap();
        let found = page.attempts.into_iter().map(|one| one.attempt);
        (found.collect(), page.next)
    }

    async fn entries(&self, filter: &AttemptFilter) -> Vec<RecordedAttempt> {
        let attempts = Attempts::new(self.space.connection.clone(), self.space.keys.clone());
        attempts.list(filter, 100, None).await.unwrap().attempts
    }

    async fn entry(&self, webhook: &WebhookId, entry: EntryId) -> Option<RecordedAttempt> {
        let attempts = Attempts::new(self.space.connection.clone(), self.space.keys.clone());
        let acme = organization();
        attempts.get(&acme, webhook, entry).await.unwrap()
    }

    async fn statistics(
        &self,
        webhook: &WebhookId,
        period: (Timestamp, Timestamp),
        detail: Detail,
    ) -> Vec<Bucket> {
        let statistics = Statistics::new(self.space.connection.clone(), self.space.keys.clone());
        let acme = organization();
        let found = statistics.get(&acme, webhook, period, detail).await;
        found.unwrap()
    }

    async fn keys_of(&self, webhook: &WebhookId) -> usize {
        let pattern = format!("{}:*:{webhook}*", self.space.keys.webhooks(&organization()));
        let keys: Vec<String> = self.space.ask(&["KEYS", &pattern]).await;
        keys.len()
    }

    async fn delivery_of(&self, organization: &Organization, id: &DeliveryId) -> Option<Recorded> {
        let deliveries = Deliveries::new(self.space.connection.clone(), self.space.keys.clone());
        deliveries.get(organization, id).await.unwrap()
    }

    fn delivery_log(&self) -> Arc<dyn DeliveryLog> {
        let (connection, keys) = (&self.space.connection, &self.space.keys);
        Arc::new(RedisDeliveryLog::new(connection, keys))
    }

    async fn dead_letters(&self, filter: &Filter) -> Found {
        self.letters().list(filter, None, 1000).await.unwrap()
    }

    async fn process(&self, action: Action, filter: &Filter, options: &Options) -> Progress {
        let letters = self.letters();
        let mut quietly = |_: &Progress| {};
        let progress = letters.process(action, filter, options, &mut quietly);
        progress.await.unwrap()
    }
}
