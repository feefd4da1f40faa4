//! What the suite asks of an adapter.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use prism_webhooks::domain::attempt::Attempt;
use prism_webhooks::domain::audit::AuditEntry;
use prism_webhooks::domain::event::RawEvent;
use prism_webhooks::domain::held_back::HeldBack;
use prism_webhooks::domain::ids::{DeliveryId, Organization, WebhookId};
use prism_webhooks::domain::webhook::WebhookKey;
use prism_webhooks::engine::ports::{
    Board, Calendars, Handover, LogWriter, Pauses, Source, Subscriptions,
};
use prism_webhooks::registry::secrets::SecretCipher;
use prism_webhooks::registry::webhooks::Webhooks;
use prism_webhooks::store::audit::AuditLog;
use prism_webhooks::store::dead_letters::{Action, Filter, Found, Options, Progress};
use prism_webhooks::store::delivery_log::{AttemptFilter, DeliveryLog, Recorded, RecordedAttempt};
use prism_webhooks::store::entry::EntryId;
use prism_webhooks::store::statistics::{Bucket, Detail};

use crate::redis::kit::{at, new_webhook, organization};

/// How many attempts the adapters keep: of all webhooks, and of each.
pub const KEPT: (u64, u64) = (400, 200);

/// How many bytes of bodies the adapters keep of each organization.
pub const BODIES: u64 = 10_000;

/// A deployment of a test's own, which outlives its workers.
pub trait Adapter: Sized {
    /// What keeps a worker's source going.
    type Handle;

    fn new() -> impl Future<Output = Self>;

    /// Begins to hand out messages, as a worker does.
    fn work(&self) -> impl Future<Output = (Source, Self::Handle)>;

    /// Ends a worker in order.
    fn close(&self, handle: Self::Handle) -> impl Future<Output = ()>;

    /// Stops taking; what is handed out can still be settled.
    fn stop_taking(handle: &Self::Handle);

    /// Ends a worker as SIGKILL does, and whatever else the adapter has in this process.
    fn crash(&self, source: Source, handle: Self::Handle) -> impl Future<Output = ()>;

    /// Takes an event from outside; durable when it returns.
    fn publish(&self, event: RawEvent) -> impl Future<Output = ()>;

    fn handover(&self) -> Arc<dyn Handover>;
    fn log(&self) -> Arc<dyn LogWriter>;
    fn calendars(&self) -> Arc<dyn Calendars>;
    /// What the worker of this name says; where there is one worker alone, the name is nothing.
    fn board(&self, worker: &str) -> Arc<dyn Board>;

    /// What all workers say of webhooks.
    fn held_back(
        &self,
        webhooks: &[WebhookId],
    ) -> impl Future<Output = HashMap<WebhookId, HeldBack>>;

    fn subscriptions(&self) -> Arc<dyn Subscriptions>;

    /// What a worker has of the webhooks and of those who asked to be left alone: one of its own,
    /// where there may be several.
    fn subscriptions_and_pauses(&self) -> (Arc<dyn Subscriptions>, Arc<dyn Pauses>);
    fn webhooks(&self) -> Webhooks;

    /// The same for a process that has keys.
    fn webhooks_with(&self, cipher: SecretCipher) -> Webhooks;

    /// Who changed what.
    fn audit_log(&self) -> Arc<dyn AuditLog>;

    /// Enters something as it would have been longer ago than an entry is kept.
    fn add_old_entry(&self, entry: &AuditEntry) -> impl Future<Output = ()>;

    /// A document as it is stored.
    fn stored(&self, id: &str) -> impl Future<Output = String>;

    /// Registers a webhook of this name.
    fn registered(&self, name: &str) -> impl Future<Output = WebhookKey> {
        async {
            let organization = organization();
            let webhooks = self.webhooks();
            let created = webhooks.create(&organization, new_webhook(name), at(0));
            let id = created.await.unwrap().webhook.id;
            WebhookKey { organization, id }
        }
    }

    /// Returns once every entry and every success handed over is on record.
    fn flush(&self) -> impl Future<Output = ()>;

    /// Puts a document in its place as another program would.
    fn put_document(&self, id: &str, json: &str) -> impl Future<Output = ()>;

    /// A page of attempts, newest first, and where to go on.
    fn attempts(
        &self,
        filter: &AttemptFilter,
        limit: usize,
        before: Option<EntryId>,
    ) -> impl Future<Output = (Vec<Attempt>, Option<EntryId>)>;

    /// Attempts with their entries.
    fn entries(&self, filter: &AttemptFilter) -> impl Future<Output = Vec<RecordedAttempt>>;

    /// The attempt under an entry of a webhook's record.
    fn entry(
        &self,
        webhook: &WebhookId,
        entry: EntryId,
    ) -> impl Future<Output = Option<RecordedAttempt>>;

    /// The counts of a webhook.
    fn statistics(
        &self,
        webhook: &WebhookId,
        period: (Timestamp, Timestamp),
        detail: Detail,
    ) -> impl Future<Output = Vec<Bucket>>;

    /// How many keys have the webhook in their name, where there are keys.
    fn keys_of(&self, webhook: &WebhookId) -> impl Future<Output = usize>;

    fn delivery_of(
        &self,
        organization: &Organization,
        id: &DeliveryId,
    ) -> impl Future<Output = Option<Recorded>>;

    /// The same for the organization that most tests have.
    fn delivery(&self, id: &DeliveryId) -> impl Future<Output = Option<Recorded>> {
        async { self.delivery_of(&organization(), id).await }
    }

    /// The record, as those ask who look from outside.
    fn delivery_log(&self) -> Arc<dyn DeliveryLog>;

    fn dead_letters(&self, filter: &Filter) -> impl Future<Output = Found>;

    fn process(
        &self,
        action: Action,
        filter: &Filter,
        options: &Options,
    ) -> impl Future<Output = Progress>;
}
