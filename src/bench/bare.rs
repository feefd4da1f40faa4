//! The bare loop: consume, POST, XADD in batches, ack, and nothing else, with the libraries that
//! the worker uses. What a worker does beyond this is what its promises cost.
//!
//! A process of its own. It prints a line when everything is acknowledged, and ends when its
//! standard input does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use futures::StreamExt as _;
use lapin::Connection;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use redis::aio::MultiplexedConnection;
use reqwest::{Client, Url};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

use crate::app;
use crate::config::Config;
use crate::rabbitmq::connection::{self, Purpose};

use super::error::BenchError;
use super::receiving::raise_file_handles;

/// The same bounds as a worker's defaults.
const IN_FLIGHT: usize = 256;
const PREFETCH: u16 = 1000;
const BATCH: usize = 512;

/// The work of the bare loop.
#[derive(Debug, Clone)]
pub struct Task {
    /// So many events.
    pub events: u64,
    /// To these endpoints.
    pub endpoints: Vec<Url>,
    /// Whether the endpoints take turns; otherwise each event goes to all of them.
    pub in_turn: bool,
}

type Line = (Vec<(&'static str, String)>, oneshot::Sender<()>);

/// What every request needs.
struct Loop {
    client: Client,
    lines: mpsc::Sender<Line>,
    settled: mpsc::UnboundedSender<Delivery>,
    places: Arc<Semaphore>,
    failed: AtomicU64,
}

/// One event, until all its requests are done.
struct Event {
    delivery: Mutex<Option<Delivery>>,
    tag: u64,
    open: AtomicUsize,
}

/// Drains the events queue of these settings as far as `task` says, and waits for its input to end.
#[expect(
    clippy::print_stdout,
    reason = "a process of its own, whose parent waits for the word"
)]
pub async fn run(config: &Config, task: Task) -> Result<(), BenchError> {
    raise_file_handles();
    let ended = input_ended();
    let carried = async {
        let broker = carry_all(config, task).await?;
        println!("done");
        Ok::<_, BenchError>(broker)
    };
    tokio::pin!(ended);
    let broker = tokio::select! {
        carried = carried => carried?,
        () = &mut ended => return Ok(()),
    };
    ended.await;
    connection::close(&broker).await;
    Ok(())
}

/// Returns once standard input has ended. A thread of its own waits for it: one of the runtime's
/// would keep this process from ending by itself.
async fn input_ended() {
    let (end, is_over) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(end);
    });
    let _ = is_over.await;
}

async fn carry_all(config: &Config, task: Task) -> Result<Connection, BenchError> {
    let server = app::server(config, "bench bare loop")?;
    let broker = server.connect(Purpose::Consume).await?;
    let channel = broker.create_channel().await?;
    let qos = BasicQosOptions::default();
    channel.basic_qos(PREFETCH, qos).await?;
    let url = config.redis_url().map_err(app::ServerError::from)?;
    let redis = redis::Client::open(url.expose())?;
    let redis = redis.get_multiplexed_async_connection().await?;

    let (lines, to_write) = mpsc::channel(BATCH * 2);
    let stream = format!("{}:bare:attempts", config.namespace);
    tokio::spawn(write_batches(redis, stream, to_write));
    let (settled, to_ack) = mpsc::unbounded_channel();
    let acks = tokio::spawn(ack_coalesced(to_ack, task.events));
    let carrying = Arc::new(Loop {
        client: client()?,
        lines,
        settled,
        places: Arc::new(Semaphore::new(IN_FLIGHT)),
        failed: AtomicU64::new(0),
    });
    let mut consumer = channel
        .basic_consume(
            app::topology(config).events_queue().into(),
            "bare".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let mut turns = task.endpoints.chunks(1).cycle();
    for _ in 0..task.events {
        let delivery = consumer.next().await;
        let delivery = delivery.ok_or(BenchError::Bare("the consumer ended early"))??;
        let endpoints = match task.in_turn {
            true => turns.next().unwrap_or_default(),
            false => &task.endpoints,
        };
        carrying.clone().carry(delivery, endpoints).await;
    }
    match acks.await {
        Ok(acked) => acked?,
        Err(_) => return Err(BenchError::Bare("acknowledging panicked")),
    }
    if carrying.failed.load(Ordering::Relaxed) > 0 {
        return Err(BenchError::Bare("some requests failed"));
    }
    Ok(broker)
}

fn client() -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(IN_FLIGHT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
}

impl Loop {
    /// Posts an event to all of `endpoints`, each as soon as there is a place.
    async fn carry(self: Arc<Self>, mut delivery: Delivery, endpoints: &[Url]) {
        let body = Bytes::from(std::mem::take(&mut delivery.data));
        let event = Arc::new(Event {
            tag: delivery.delivery_tag,
            delivery: Mutex::new(Some(delivery)),
            open: AtomicUsize::new(endpoints.len()),
        });
        for endpoint in endpoints {
            // The semaphore is never closed.
            let Ok(place) = self.places.clone().acquire_owned().await else {
                return;
            };
            let (carrying, event) = (self.clone(), event.clone());
            let (endpoint, body) = (endpoint.clone(), body.clone());
            tokio::spawn(async move {
                carrying.post(endpoint, body, &event).await;
                drop(place);
            });
        }
    }

    async fn post(&self, endpoint: Url, body: Bytes, event: &Event) {
        let request = self.client.post(endpoint).body(body);
        let status = match request
            .header("content-type", "application/json")
            .send()
            .await
        {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let _ = answer.bytes().await;
                status
            }
            Err(_) => 0,
        };
        if status != 200 {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        let fields = vec![
            ("tag", event.tag.to_string()),
            ("status_code", status.to_string()),
        ];
        let (written, is_written) = oneshot::channel();
        let _ = self.lines.send((fields, written)).await;
        let _ = is_written.await;
        if event.open.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(delivery) = event.delivery.lock().await.take()
        {
            let _ = self.settled.send(delivery);
        }
    }
}

async fn write_batches(
    mut redis: MultiplexedConnection,
    stream: String,
    mut lines: mpsc::Receiver<Line>,
) -> redis::RedisResult<()> {
    let mut batch = Vec::with_capacity(BATCH);
    while lines.recv_many(&mut batch, BATCH).await > 0 {
        let mut pipeline = redis::pipe();
        for (fields, _) in &batch {
            pipeline.cmd("XADD").arg(&stream);
            pipeline.arg("MAXLEN").arg("~").arg(1_000_000).arg("*");
            pipeline.arg(fields).ignore();
        }
        pipeline.query_async::<()>(&mut redis).await?;
        for (_, written) in batch.drain(..) {
            let _ = written.send(());
        }
    }
    Ok(())
}

async fn ack_coalesced(
    mut settled: mpsc::UnboundedReceiver<Delivery>,
    events: u64,
) -> lapin::Result<()> {
    let (mut done, mut waiting) = (0, BTreeMap::new());
    let mut batch: Vec<Delivery> = Vec::new();
    while done < events {
        settled.recv_many(&mut batch, 4096).await;
        waiting.extend(
            batch
                .drain(..)
                .map(|delivery| (delivery.delivery_tag, delivery)),
        );
        let mut highest = None;
        while let Some(delivery) = waiting.remove(&(done + 1)) {
            done += 1;
            highest = Some(delivery);
        }
        if let Some(delivery) = highest {
            delivery.ack(BasicAckOptions { multiple: true }).await?;
        }
    }
    Ok(())
}
