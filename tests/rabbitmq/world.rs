//! A namespace of its own on the broker, removed afterwards, and a way to cut connections to it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lapin::options::{ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use prism_webhooks::domain::delivery::Delivery;
use prism_webhooks::domain::event::{Event, Header, RawEvent};
use prism_webhooks::domain::ids::{EventId, EventType, MessageKey, Organization, WebhookId};
use prism_webhooks::engine::ports::{Handover, Incoming, SettledMarker, Source};
use prism_webhooks::rabbitmq::connection::{Purpose, Server};
use prism_webhooks::rabbitmq::consumer::{self, Settings, SourceHandle};
use prism_webhooks::rabbitmq::declare;
use prism_webhooks::rabbitmq::publisher::Publisher;
use prism_webhooks::rabbitmq::topology::{ObjectKind, Topology};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// How long anything here may take before it counts as not happening.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub fn url() -> String {
    std::env::var("PRISM_TEST_AMQP_URL")
        .unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned())
}

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
            server: Server::new(&url(), &namespace).unwrap(),
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

    pub async fn source(&self) -> (Source, SourceHandle) {
        self.source_with(|_| {}).await
    }

    pub async fn source_with(&self, change: impl FnOnce(&mut Settings)) -> (Source, SourceHandle) {
        let mut settings = Settings {
            server: self.server.clone(),
            topology: Arc::clone(&self.topology),
            prefetch_events: 1_000,
            prefetch_deliveries: 1_000,
            declare: false,
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
        let start = Instant::now();
        loop {
            let found = self.messages_in(queue).await;
            if found == count {
                return;
            }
            assert!(
                start.elapsed() < DEADLINE,
                "{queue} has {found} messages, not {count}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
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

/// Waits until `condition` holds.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(
            start.elapsed() < DEADLINE,
            "not within {DEADLINE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
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

/// A way to the broker that can be cut, closed, and made to swallow what the client sends.
pub struct Proxy {
    address: SocketAddr,
    inner: Arc<Inner>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Inner {
    /// The connections made since the last cut.
    line: Mutex<Arc<Line>>,
    closed: AtomicBool,
    acknowledgements: AtomicUsize,
    answers: AtomicUsize,
}

/// What the connections between two cuts have in common: what is swallowed stays so after the cut.
#[derive(Default)]
struct Line {
    cut: CancellationToken,
    swallowing: AtomicBool,
}

impl Proxy {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            line: Mutex::default(),
            closed: AtomicBool::new(false),
            acknowledgements: AtomicUsize::new(0),
            answers: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn({
            let inner = Arc::clone(&inner);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    if inner.closed.load(Ordering::SeqCst) {
                        continue;
                    }
                    let line = inner.line.lock().unwrap().clone();
                    let inner = Arc::clone(&inner);
                    tokio::spawn(async move {
                        tokio::select! {
                            () = line.cut.cancelled() => {}
                            () = carry(client, &inner, &line) => {}
                        }
                    });
                }
            }
        });
        Self {
            address,
            inner,
            accepting,
        }
    }

    /// The server, by way of this proxy.
    pub fn server(&self) -> Server {
        let mut url = url::Url::parse(&url()).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        Server::new(url.as_str(), "proxied").unwrap()
    }

    /// Cuts every connection; new ones work.
    pub fn cut(&self) {
        let old = std::mem::take(&mut *self.inner.line.lock().unwrap());
        old.cut.cancel();
    }

    /// How many acknowledgements clients have sent, as far as no two reads split one.
    pub fn acknowledgements(&self) -> usize {
        self.inner.acknowledgements.load(Ordering::SeqCst)
    }

    /// How many answers to the source's questions have passed.
    pub fn answers(&self) -> usize {
        self.inner.answers.load(Ordering::SeqCst)
    }

    /// Refuses new connections.
    pub fn close(&self) {
        self.inner.closed.store(true, Ordering::SeqCst);
    }

    /// Takes new connections again.
    pub fn open(&self) {
        self.inner.closed.store(false, Ordering::SeqCst);
    }

    /// From now on until a cut, drops what the client sends.
    pub fn swallow(&self) {
        let line = self.inner.line.lock().unwrap();
        line.swallowing.store(true, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn carry(client: TcpStream, inner: &Inner, line: &Line) {
    let broker = url::Url::parse(&url()).unwrap();
    let address = (
        broker.host_str().unwrap().to_owned(),
        broker.port().unwrap_or(5672),
    );
    let server = TcpStream::connect(address).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let mut buffer = vec![0; 65_536];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            let acks = count(&buffer[..read], BASIC_ACK);
            inner.acknowledgements.fetch_add(acks, Ordering::SeqCst);
            if !line.swallowing.load(Ordering::SeqCst)
                && to_server.write_all(&buffer[..read]).await.is_err()
            {
                break;
            }
        }
    };
    let down = async {
        let mut buffer = vec![0; 65_536];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            if to_client.write_all(&buffer[..read]).await.is_err() {
                break;
            }
            let answers = count(&buffer[..read], BASIC_QOS_OK);
            inner.answers.fetch_add(answers, Ordering::SeqCst);
        }
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

/// The class and method of AMQP's frames.
const BASIC_ACK: [u8; 4] = [0, 60, 0, 80];
const BASIC_QOS_OK: [u8; 4] = [0, 60, 0, 11];

fn count(bytes: &[u8], method: [u8; 4]) -> usize {
    bytes.windows(4).filter(|found| *found == method).count()
}
