//! A scripted world for the engine: ports that write down what is asked of them, in order.

mod ports;

pub use ports::Alone;

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prism_webhooks::domain::dead_letter::Reason;
use prism_webhooks::domain::delivery::Delivery;
use prism_webhooks::domain::event::RawEvent;
use prism_webhooks::domain::ids::{DeliveryId, WebhookId};
use prism_webhooks::domain::matching::EventSubscription;
use prism_webhooks::domain::organization::{OrganizationWebhooks, Unusable};
use prism_webhooks::domain::webhook::Webhook;
use prism_webhooks::embedded::board::EmbeddedBoard;
use prism_webhooks::embedded::calendars::EmbeddedCalendars;
use prism_webhooks::engine::faults::Faults;
use prism_webhooks::engine::ports::{Entry, Incoming, Message, Receipt, Settlement, Source};
use prism_webhooks::engine::{Engine, EngineSettings, Ports};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::ports::{Scripted, Slow};
use super::fixtures::settings;

/// Something the engine did, as its ports saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A request to this webhook with this attempt number.
    Sent(String, u32),
    /// The outcome of the attempt put on record, or `no attempt`.
    Wrote(String),
    /// A delivery to this webhook, with the number of its next attempt, for so many seconds.
    Delayed(String, u32, u64),
    /// A delivery to this webhook, put off with this attempt still to be made, for so many seconds.
    Deferred(String, u32, u64),
    Enqueued(String),
    Dead(Reason),
    Published(String),
    Disabled(String),
    Acked(u64),
    Returned(u64),
}

impl Step {
    pub fn sent(webhook: &str, attempt: u32) -> Self {
        Self::Sent(webhook.to_owned(), attempt)
    }

    pub fn wrote(outcome: &str) -> Self {
        Self::Wrote(outcome.to_owned())
    }

    /// The first retry: the script's policy waits one second.
    pub fn delayed(webhook: &str, attempt: u32) -> Self {
        Self::Delayed(webhook.to_owned(), attempt, 1)
    }
}

/// How a receiver behaves.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Status(u16),
    After(Duration),
    FailsAfter(Duration),
    /// The first so many times nothing is sent, by a fault of our own.
    OwnFault(u32),
    Panic,
}

/// Everything around the engine.
pub struct World {
    pub settings: EngineSettings,
    pub settled: Arc<Mutex<HashSet<WebhookId>>>,
    pub faults: Arc<Faults>,
    pub sequence: Arc<Mutex<u32>>,
    ports: Arc<Scripted>,
    messages: Vec<(Message, bool)>,
    source_lost: CancellationToken,
}

impl World {
    pub fn new(webhooks: Vec<Webhook>) -> Self {
        let webhooks = webhooks.into_iter().map(Arc::new).collect();
        let ports = Scripted {
            webhooks: Arc::new(OrganizationWebhooks {
                webhooks,
                ..OrganizationWebhooks::default()
            }),
            ..Scripted::default()
        };
        Self {
            settings: settings(),
            settled: ports.settled.clone(),
            faults: Arc::default(),
            sequence: ports.sequence.clone(),
            ports: Arc::new(ports),
            messages: Vec::new(),
            source_lost: CancellationToken::new(),
        }
    }

    /// A world in which the document of `unusable`, which wants events of this type, cannot be used.
    pub fn with_unusable(webhooks: Vec<Webhook>, unusable: &str, event_type: &str) -> Self {
        Self::with(webhooks, unusable, event_type, false)
    }

    /// The same, but the worker only lacks the key that opens the document.
    pub fn lacking_key(webhooks: Vec<Webhook>, unopened: &str, event_type: &str) -> Self {
        Self::with(webhooks, unopened, event_type, true)
    }

    fn with(webhooks: Vec<Webhook>, id: &str, event_type: &str, for_want_of_key: bool) -> Self {
        let world = Self::new(webhooks);
        let invalid = vec![Unusable {
            id: id.to_owned(),
            problem: "scripted".to_owned(),
            for_want_of_key,
            event_subscriptions: Some(vec![EventSubscription::parse(event_type).unwrap()]),
        }];
        let ports = Scripted {
            webhooks: Arc::new(OrganizationWebhooks {
                invalid,
                ..(*world.ports.webhooks).clone()
            }),
            settled: world.settled.clone(),
            sequence: world.sequence.clone(),
            ..Scripted::default()
        };
        Self {
            ports: Arc::new(ports),
            ..world
        }
    }

    /// From now on the record takes something only after this time.
    pub fn record_is_away_for(&self, time: Duration) {
        *self.ports.record.takes.lock().unwrap() = time;
    }

    /// From now on the source can settle nothing: its connection is gone.
    pub fn lose_source(&self) {
        self.source_lost.cancel();
    }

    pub fn answer(&self, webhook: &str, answer: Answer) {
        self.ports
            .answers
            .lock()
            .unwrap()
            .insert(webhook.to_owned(), answer);
    }

    pub fn refuse_handover(&self) {
        self.ports.refuse_handover.store(true, Ordering::Relaxed);
    }

    /// From now on it takes so long to look webhooks up.
    pub fn slow_lookups(&self, takes: Duration) {
        *self.ports.lookups.takes.lock().unwrap() = takes;
    }

    /// From now on it takes so long to hand anything over.
    pub fn slow_handovers(&self, takes: Duration) {
        *self.ports.handovers.takes.lock().unwrap() = takes;
    }

    /// How many lookups, and how many hand-overs, were under way at once at most.
    pub fn most_under_way(&self) -> (usize, usize) {
        let most = |slow: &Slow| slow.most.load(Ordering::Relaxed);
        (most(&self.ports.lookups), most(&self.ports.handovers))
    }

    pub fn publish(&mut self, raw: RawEvent, redelivered: bool) {
        self.messages.push((Message::Event(raw), redelivered));
    }

    pub fn deliver(&mut self, delivery: Delivery) {
        self.messages.push((Message::Delivery(delivery), false));
    }

    /// The entry written as number `index`, from 0.
    pub fn entry(&self, index: usize) -> Entry {
        let mut entries = self.ports.entries.lock().unwrap();
        std::mem::take(&mut entries[index])
    }

    /// The ids and sequences of the deliveries handed over to come back.
    pub fn handed_over(&self) -> Vec<(DeliveryId, u32)> {
        let handed_over = self.ports.handed_over.lock().unwrap();
        let named = handed_over.iter().map(|one| (one.id.clone(), one.sequence));
        named.collect()
    }

    /// Claims the id that an event's content gives its delivery, as a worker does that dies then.
    pub fn claim(&self, delivery: &Delivery, owner: u64) {
        let mut claims = self.ports.claims.lock().unwrap();
        claims.insert(delivery.id.clone(), owner);
    }

    /// Runs the engine until everything put in is settled, and tells what it did.
    pub async fn run(&mut self) -> Vec<Step> {
        self.run_until(None).await
    }

    /// Tells the engine to stop after `after`.
    pub async fn run_and_stop_after(&mut self, after: Duration) -> Vec<Step> {
        self.run_until(Some(after)).await
    }

    async fn run_until(&mut self, stop_after: Option<Duration>) -> Vec<Step> {
        let stopping = CancellationToken::new();
        let ports = Ports {
            handover: self.ports.clone(),
            subscriptions: self.ports.clone(),
            log: self.ports.clone(),
            calendars: Arc::new(EmbeddedCalendars::default()),
            board: Arc::new(EmbeddedBoard::default()),
            pauses: Arc::new(Alone),
            sender: self.ports.clone(),
            faults: self.faults.clone(),
        };
        let engine = Engine::new(self.settings.clone(), ports, stopping.clone());
        let (settlements, mut settled) = mpsc::unbounded_channel();
        let (_lost, lost_acks) = mpsc::unbounded_channel();
        let (proven, proven_acks) = mpsc::unbounded_channel();
        let (to_events, events) = mpsc::channel(100);
        let (to_deliveries, deliveries) = mpsc::channel(100);
        for (tag, (message, redelivered)) in (1..).zip(self.messages.drain(..)) {
            let receipt = Receipt::new(tag, settlements.clone()).until(self.source_lost.clone());
            let channel = match message {
                Message::Event(_) => &to_events,
                _ => &to_deliveries,
            };
            channel
                .send(Incoming {
                    message,
                    redelivered,
                    receipt,
                })
                .await
                .unwrap();
        }
        drop((settlements, to_events, to_deliveries));

        let scripted = self.ports.clone();
        let listen = tokio::spawn(async move {
            while let Some(settlement) = settled.recv().await {
                scripted.step(match settlement {
                    Settlement::Done { tag, mark, .. } => {
                        // This broker takes no time.
                        mark.map(|mark| proven.send(mark));
                        Step::Acked(tag)
                    }
                    Settlement::Returned { tag } => Step::Returned(tag),
                });
            }
        });
        if let Some(after) = stop_after {
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                stopping.cancel();
            });
        }
        // Handed out like other deliveries.
        let (_, parts) = mpsc::channel(1);
        engine
            .run(Source {
                events,
                deliveries,
                parts,
                lost_acks,
                proven_acks,
            })
            .await;
        drop(engine);
        listen.await.unwrap();
        std::mem::take(&mut self.ports.steps.lock().unwrap())
    }
}
