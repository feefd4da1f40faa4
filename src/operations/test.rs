//! Sending an event to one endpoint now: what a person does who wants to know whether it works.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::attempt::Attempt;
use crate::domain::delivery::{Delivery, Trigger};
use crate::domain::event::Event;
use crate::domain::ids::{EventId, EventType, InvalidId, Organization};
use crate::domain::own_fault::OwnFault;
use crate::domain::webhook::{Webhook, WebhookKey};
use crate::domain::{outcome, request};
use crate::engine::faults::Faults;
use crate::engine::ports::{Entry, LogWriter, Request, Sender};

/// How long the record may take: whoever waits has seen the answer matter more.
const RECORD_LIMIT: Duration = Duration::from_secs(5);

/// Sends test events.
#[derive(Clone)]
pub struct Tester {
    /// Makes the requests.
    pub sender: Arc<dyn Sender>,
    /// Where it is kept that they cannot be made.
    pub faults: Arc<Faults>,
    /// Where they are put on record.
    pub log: Arc<dyn LogWriter>,
    /// The process's name in the record.
    pub worker: String,
}

/// Why no test event was sent.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// What is stored of the webhook makes no event.
    #[error(transparent)]
    Invalid(#[from] InvalidId),
    /// The fault was our own: nothing went out, and nothing is on record.
    #[error("nothing was sent, which is no fault of the endpoint: {0}")]
    Own(#[from] OwnFault),
}

/// The body of a test event.
#[derive(Serialize)]
struct Body<'a> {
    event: &'a EventType,
    webhook_id: &'a str,
    webhook_name: &'a str,
    sent_at: Timestamp,
    message: &'static str,
}

impl Tester {
    /// Sends an event of type `test` to the webhook's endpoint, signed like any other, whether or
    /// not the webhook is enabled or subscribes to anything. It is one attempt, on record with the
    /// trigger `test`, and never retried. One that is taken ends the webhook's streak of failures;
    /// one that is not says nothing of its traffic.
    pub async fn test(
        &self,
        organization: &Organization,
        webhook: &Webhook,
    ) -> Result<Attempt, TestError> {
        let started_at = Timestamp::now();
        let event = event(organization, webhook, started_at)?;
        let delivery = Delivery {
            trigger: Trigger::Test,
            ..Delivery::first(Arc::new(event), webhook.id.clone())
        };
        let span = rand::random();
        let sent = Request {
            url: webhook.url.clone(),
            headers: request::headers(webhook, &delivery, started_at, span),
            body: delivery.event.body.clone(),
        };
        let reply = self.sender.send(sent).await;
        let reply = reply.inspect_err(|fault| _ = self.faults.hit(*fault))?;
        self.faults.got_through();
        let now = Timestamp::now();
        let outcome = outcome::classify(&reply, now);
        let key = WebhookKey {
            organization: organization.clone(),
            id: webhook.id.clone(),
        };
        if outcome.is_delivered() {
            // Before the attempt is written: what is handed to the log first is on record first, and
            // the process may end after that.
            self.log.succeeded(&key, now);
        }
        let began = (started_at, span);
        let attempt = Attempt::made(&delivery, webhook, began, outcome, reply, &self.worker);
        let entry = Entry {
            attempt: Some(attempt.clone()),
            ..Entry::default()
        };
        let recording = tokio::time::timeout(RECORD_LIMIT, self.log.write(entry));
        if recording.await.is_err() {
            tracing::warn!(webhook = %webhook.id, "a test could not be put on record: the store is away");
        }
        Ok(attempt)
    }
}

fn event(
    organization: &Organization,
    webhook: &Webhook,
    now: Timestamp,
) -> Result<Event, InvalidId> {
    let event_type = EventType::test();
    let body = Body {
        event: &event_type,
        webhook_id: webhook.id.as_str(),
        webhook_name: &webhook.name,
        sent_at: now,
        message: "a test, sent by hand: nothing happened in the gateway",
    };
    let body = serde_json::to_vec(&body).unwrap_or_default().into();
    Ok(Event {
        id: EventId::new(&format!("test-{}", Uuid::now_v7()))?,
        event_type,
        organization: organization.clone(),
        traceparent: None,
        body,
    })
}
