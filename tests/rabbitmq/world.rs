//! A namespace of its own on the broker, removed afterwards, and a way to cut connections to it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lapin::options::{ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use prism_webhooks::domain::delivery::Delivery;
use prism_webhooks::domain::event::{Event, Header, RawEvent};
use prism_webhooks::domain::ids::{EventId, EventType, MessageKey, Organization, WebhookId};
use prism_webhooks::engine::ports::{Handover, Incoming, SettledMarker, Source};
use prism_webhooks::rabbitmq::connection::{Purpose, Server};
use prism_webhooks::rabbitmq::consumer::{self, ConsumerSettings, SourceHandle};
use prism_webhooks::rabbitmq::dead_letter_queue::DeadLetterQueue;
use prism_webhooks::rabbitmq::declare;
use prism_webhooks::rabbitmq::publisher::Publisher;
use prism_webhooks::rabbitmq::topology::{ObjectKind, Topology};
use tokio_util::sync::CancellationToken;

use crate::redis::kit::Space;
use crate::support::deadline::eventually_ok;
use crate::support::proxy::{Proxy, Tally, To};
use crate::support::servers::amqp_url;

/// How long anything here may take before it counts as not happening.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A namespace.
pub struct World {
    pub server: Server,
    pub topology: Arc<Topology>,
}

impl World {
    /// A name that nobody else has, and nothing declared.
    pub fn empty() -> Self {
        let namespace = format!("test-{}", uuid::Uuid::new_v4().simple());
        let types = [EventType::new("request.completed").unwrap()];
        Self {
            server: Server::new(amqp_url(), &namespace).unwrap(),
            topology: Arc::new(Topology::new(&namespace, &types, Duration::from_secs(2))),
        }
    }

    /// The same with its topology declared.
    pub async fn declared() -> Self {
        let world = Self::empty();
        world.apply().await;
        world
    }

    pub async fn declared_with_delivery_limit(limit: u32) -> Self {
        let mut world = Self::empty();
        world.topology = Arc::new((*world.topology).clone().with_delivery_limit(limit));
        world.apply().await;
        world
    }

    pub async fn connection(&self) -> lapin::Connection {
        self.server.connect(Purpose::Topology).await.unwrap()
    }

    pub async fn apply(&self) {
        declare::apply(&self.topology, &self.connection().await)
            .await
            .unwrap();
    }

    pub fn publisher(&self) -> Publisher {
        Publisher::start(
            self.server.clone(),
            Arc::clone(&self.topology),
            CancellationToken::new(),
        )
    }

    /// The dead letters, with the index in this space.
    pub fn dead_letters(&self, space: &Space) -> DeadLetterQueue {
        DeadLetterQueue::new(
            self.server.clone(),
            Arc::clone(&self.topology),
            space.letters(),
        )
    }

    pub async fn source(&self) -> (Source, SourceHandle) {
        self.source_with(|_| {}).await
    }

    pub async fn source_with(
        &self,
        change: impl FnOnce(&mut ConsumerSettings),
    ) -> (Source, SourceHandle) {
        let mut settings = ConsumerSettings {
            server: self.server.clone(),
            topology: Arc::clone(&self.topology),
            prefetch_events: 1_000,
            prefetch_deliveries: 1_000,
            declare: false,
            faults: Arc::default(),
        };
        change(&mut settings);
        consumer::start(settings).await.unwrap()
    }

    /// How many messages are ready in `queue`.
    pub async fn messages_in(&self, queue: &str) -> u32 {
        let connection = self.connection().await;
        let channel = connection.create_channel().await.unwrap();
        channel
            .queue_declare(
                queue.into(),
                QueueDeclareOptions::durable().passive(),
                FieldTable::default(),
            )
            .await
            .unwrap()
            .message_count()
    }

    /// Waits until `count` messages are ready in `queue`.
    pub async fn queue_has(&self, queue: &str, count: u32) {
        let what = format!("{count} messages in {queue}");
        eventually_ok(DEADLINE, &what, async || {
            match self.messages_in(queue).await {
                found if found == count => Ok(()),
                found => Err(format!("{found} messages")),
            }
        })
        .await;
    }

    async fn remove(topology: &Topology, server: &Server) {
        let connection = server.connect(Purpose::Topology).await.unwrap();
        for object in topology.objects() {
            let channel = connection.create_channel().await.unwrap();
            let name = object.name.as_str().into();
            // Tests remove some themselves, and never declare others.
            let _ = match object.kind {
                ObjectKind::Queue => channel
                    .queue_delete(name, QueueDeleteOptions::default())
                    .await
                    .map(|_| ()),
                ObjectKind::Exchange => {
                    channel
                        .exchange_delete(name, ExchangeDeleteOptions::default())
                        .await
                }
            };
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let (topology, server) = (Arc::clone(&self.topology), self.server.clone());
        let removing = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(Self::remove(&topology, &server));
        });
        removing.join().unwrap();
    }
}

/// What `future` gives within the deadline.
#[track_caller]
pub fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(DEADLINE, future).await {
            Ok(output) => output,
            Err(_) => panic!("nothing within {DEADLINE:?} at {caller}"),
        }
    }
}

pub async fn next_event(source: &mut Source) -> Incoming {
    soon(source.events.recv()).await.expect("the source ended")
}

pub async fn next_delivery(source: &mut Source) -> Incoming {
    soon(source.deliveries.recv())
        .await
        .expect("the source ended")
}

pub fn raw_event(id: &str) -> RawEvent {
    RawEvent {
        routing_key: "request.completed".to_owned(),
        message_id: Some(id.to_owned()),
        organization: Header::Text(b"acme".to_vec()),
        traceparent: Header::Absent,
        body: Bytes::from_static(br#"{"event":"request.completed"}"#),
        ..RawEvent::default()
    }
}

/// The event as it was published, before our intake told it from every other.
pub fn unstamped(raw: &RawEvent) -> RawEvent {
    RawEvent {
        stamp: None,
        ..raw.clone()
    }
}

pub fn delivery(id: &str, webhook: &str) -> Delivery {
    let event = Event {
        id: EventId::new(id).unwrap(),
        event_type: EventType::new("request.completed").unwrap(),
        organization: Organization::new("acme").unwrap(),
        traceparent: None,
        body: Bytes::from_static(br#"{"event":"request.completed"}"#),
    };
    Delivery::first(Arc::new(event), WebhookId::new(webhook).unwrap())
}

pub fn mark(event: &str) -> SettledMarker {
    SettledMarker {
        organization: Organization::new("acme").unwrap(),
        message: MessageKey::new(event).unwrap(),
        webhooks: vec![WebhookId::new("w").unwrap()],
    }
}

/// Publishes `count` events, `e0`, `e1` …
pub async fn publish_events(publisher: &Publisher, count: usize) {
    for id in 0..count {
        publisher
            .publish_event(&raw_event(&format!("e{id}")))
            .await
            .unwrap();
    }
}

/// Hands over, and panics if that takes too long.
pub async fn hand_over(publisher: &Publisher, follow_up: prism_webhooks::engine::ports::FollowUp) {
    soon(publisher.hand_over(follow_up)).await.unwrap();
}

/// A way to the broker that can be cut.
pub fn proxy() -> Proxy {
    Proxy::start(amqp_url())
}

/// The broker, by way of this proxy.
pub fn through(proxy: &Proxy) -> Server {
    Server::new(&proxy.url(), "proxied").unwrap()
}

/// Counts the acknowledgements that clients send.
pub fn acknowledgements(proxy: &Proxy) -> Tally {
    proxy.tally(To::Server, &BASIC_ACK)
}

/// Counts the answers to the source's questions.
pub fn answers(proxy: &Proxy) -> Tally {
    proxy.tally(To::Client, &BASIC_QOS_OK)
}

/// The class and method of AMQP's frames.
const BASIC_ACK: [u8; 4] = [0, 60, 0, 80];
const BASIC_QOS_OK: [u8; 4] = [0, 60, 0, 11];
