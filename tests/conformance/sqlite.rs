//! The embedded adapter: on a file, and in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use prism_webhooks::domain::attempt::Attempt;
use prism_webhooks::domain::audit::AuditEntry;
use prism_webhooks::domain::endpoint::EndpointRules;
use prism_webhooks::domain::event::RawEvent;
use prism_webhooks::domain::held_back::HeldBack;
use prism_webhooks::domain::ids::{DeliveryId, Organization, WebhookId};
use prism_webhooks::embedded::database::Database;
use prism_webhooks::embedded::source::SourceHandle;
use prism_webhooks::embedded::{Embedded, EmbeddedSettings};
use prism_webhooks::engine::clock::Clock;
use prism_webhooks::engine::ports::{
    Board, Calendars, Handover, LogWriter, Pauses, Source, Subscriptions,
};
use prism_webhooks::registry::documents::{DocumentReader, DocumentStore as _};
use prism_webhooks::registry::secrets::SecretCipher;
use prism_webhooks::registry::webhooks::Webhooks;
use prism_webhooks::store::audit::AuditLog;
use prism_webhooks::store::dead_letters::{Action, Filter, Found, Options, Progress};
use prism_webhooks::store::delivery_log::{AttemptFilter, DeliveryLog, Recorded, RecordedAttempt};
use prism_webhooks::store::entry::EntryId;
use prism_webhooks::store::retention::DeliveryLogSettings;
use prism_webhooks::store::statistics::{Bucket, Detail};
use tempfile::TempDir;

use super::adapter::{Adapter, BODIES, KEPT};
use crate::rabbitmq::world::DEADLINE;
use crate::redis::kit::{AUDIT, LIMITS, organization};
use crate::support::deadline::eventually;

/// Where the database is while nobody has it open.
pub trait Place: Sized {
    fn new() -> Self;
    fn open(&self) -> Option<Arc<Database>>;
}

impl Place for TempDir {
    fn new() -> Self {
        tempfile::tempdir().unwrap()
    }

    fn open(&self) -> Option<Arc<Database>> {
        Database::open(self.path()).ok().map(Arc::new)
    }
}

impl Place for Arc<Database> {
    fn new() -> Self {
        Arc::new(Database::in_memory().unwrap())
    }

    fn open(&self) -> Option<Arc<Database>> {
        Some(self.clone())
    }
}

pub type File = Sqlite<TempDir>;
pub type Memory = Sqlite<Arc<Database>>;

/// The embedded adapter, started anew after each crash.
pub struct Sqlite<P> {
    embedded: Mutex<Option<Embedded>>,
    place: P,
}

impl<P: Place> Sqlite<P> {
    fn embedded(&self) -> Embedded {
        self.embedded.lock().unwrap().clone().unwrap()
    }

    fn start(&self) -> bool {
        let Some(database) = self.place.open() else {
            return false;
        };
        let (attempts_kept, attempts_kept_per_webhook) = KEPT;
        let settings = EmbeddedSettings {
            audit: AUDIT,
            log: DeliveryLogSettings {
                attempts_kept,
                attempts_kept_per_webhook,
                bodies_per_organization: BODIES,
                ..DeliveryLogSettings::default()
            },
            max_organizations: 100,
            prefetch: 1000,
            clock: Clock::system(),
        };
        let reader =
            DocumentReader::new(SecretCipher::new(None), EndpointRules { allow_http: true })
                .limited(LIMITS);
        let embedded = Embedded::start(database, reader, settings).unwrap();
        *self.embedded.lock().unwrap() = Some(embedded);
        true
    }
}

impl<P: Place> Adapter for Sqlite<P> {
    type Handle = SourceHandle;

    async fn new() -> Self {
        let new = Self {
            embedded: Mutex::default(),
            place: P::new(),
        };
        assert!(new.start());
        new
    }

    async fn work(&self) -> (Source, SourceHandle) {
        self.embedded().source()
    }

    async fn close(&self, handle: SourceHandle) {
        handle.close().await;
    }

    fn stop_taking(handle: &SourceHandle) {
        handle.stop_taking();
    }

    async fn crash(&self, source: Source, handle: SourceHandle) {
        // The lanes first: what the source returns by being dropped must reach nobody.
        drop(handle);
        *self.embedded.lock().unwrap() = None;
        drop(source);
        // A transaction under way keeps the file until it is done.
        eventually(DEADLINE, "the file is free again", async || {
            self.start().then_some(())
        })
        .await;
    }

    async fn publish(&self, event: RawEvent) {
        self.embedded().intake().accept(vec![event]).await.unwrap();
    }

    fn handover(&self) -> Arc<dyn Handover> {
        Arc::new(self.embedded().intake())
    }

    fn log(&self) -> Arc<dyn LogWriter> {
        self.embedded().log()
    }

    fn calendars(&self) -> Arc<dyn Calendars> {
        self.embedded().calendars()
    }

    fn board(&self, _worker: &str) -> Arc<dyn Board> {
        self.embedded().board()
    }

    async fn held_back(&self, webhooks: &[WebhookId]) -> HashMap<WebhookId, HeldBack> {
        let board = self.embedded().board();
        board.read(&organization(), webhooks, Timestamp::now())
    }

    fn subscriptions(&self) -> Arc<dyn Subscriptions> {
        Arc::new(self.embedded().subscriptions())
    }

    fn subscriptions_and_pauses(&self) -> (Arc<dyn Subscriptions>, Arc<dyn Pauses>) {
        (self.subscriptions(), Arc::new(self.embedded().pauses()))
    }

    fn webhooks(&self) -> Webhooks {
        self.embedded().webhooks()
    }

    fn webhooks_with(&self, cipher: SecretCipher) -> Webhooks {
        let reader = DocumentReader::new(cipher, EndpointRules { allow_http: true });
        Webhooks::new(Arc::new(self.embedded().documents().clone()), reader)
    }

    fn audit_log(&self) -> Arc<dyn AuditLog> {
        Arc::new(self.embedded().audit_log())
    }

    async fn add_old_entry(&self, entry: &AuditEntry) {
        let old = AuditEntry {
            at: entry.at - SignedDuration::from_hours(24 * 366),
            ..entry.clone()
        };
        self.audit_log().add(&old).await.unwrap();
    }

    async fn stored(&self, id: &str) -> String {
        let embedded = self.embedded();
        let stored = embedded.documents().get(&organization(), id).await;
        String::from_utf8(stored.unwrap().unwrap()).unwrap()
    }

    async fn flush(&self) {
        self.embedded().log().flush().await;
    }

    async fn put_document(&self, id: &str, json: &str) {
        let embedded = self.embedded();
        let documents = embedded.documents();
        documents
            .put(&organization(), id, json.as_bytes())
            .await
            .unwrap();
    }

    async fn attempts(
        &self,
        filter: &AttemptFilter,
        limit: usize,
        before: Option<EntryId>,
    ) -> (Vec<Attempt>, Option<EntryId>) {
        let attempts = self.embedded().attempts();
        let page = attempts.list(filter, limit, before).await.unwrap();
        let found = page.attempts.into_iter().map(|one| one.attempt);
        (found.collect(), page.next)
    }

    async fn entries(&self, filter: &AttemptFilter) -> Vec<RecordedAttempt> {
        let attempts = self.embedded().attempts();
        attempts.list(filter, 100, None).await.unwrap().attempts
    }

    async fn entry(&self, webhook: &WebhookId, entry: EntryId) -> Option<RecordedAttempt> {
        let attempts = self.embedded().attempts();
        let acme = organization();
        attempts.get(&acme, webhook, entry).await.unwrap()
    }

    async fn statistics(
        &self,
        webhook: &WebhookId,
        period: (Timestamp, Timestamp),
        detail: Detail,
    ) -> Vec<Bucket> {
        let statistics = self.embedded().statistics();
        let acme = organization();
        let found = statistics.get(&acme, webhook, period, detail).await;
        found.unwrap()
    }

    async fn keys_of(&self, _: &WebhookId) -> usize {
        0
    }

    async fn delivery_of(&self, organization: &Organization, id: &DeliveryId) -> Option<Recorded> {
        let deliveries = self.embedded().deliveries();
        deliveries.get(organization, id).await.unwrap()
    }

    fn delivery_log(&self) -> Arc<dyn DeliveryLog> {
        Arc::new(self.embedded().clone())
    }

    async fn dead_letters(&self, filter: &Filter) -> Found {
        let letters = self.embedded().dead_letters();
        letters.list(filter, None, 1000).await.unwrap()
    }

    async fn process(&self, action: Action, filter: &Filter, options: &Options) -> Progress {
        let letters = self.embedded().dead_letters();
        letters
            .process(action, filter, options, |_| {})
            .await
            .unwrap()
    }
}
