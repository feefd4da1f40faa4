//! The bare loop: consume, POST, XADD in batches, ack, and nothing else, with the libraries that
//! the worker uses. What a worker does beyond this is what its promises cost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use futures::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use redis::aio::MultiplexedConnection;
use reqwest::{Client, Url};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// The same bounds as a worker's defaults.
const IN_FLIGHT: usize = 256;
const PREFETCH: u16 = 1000;
const BATCH: usize = 512;

/// Where the loop runs.
pub struct Place {
    pub amqp_url: String,
    pub redis_url: String,
    pub queue: String,
    pub stream: String,
    pub endpoint: Url,
}

type Line = (Vec<(&'static str, String)>, oneshot::Sender<()>);

/// Drains `events` messages and returns.
pub async fn run(place: Place, events: u64) -> anyhow::Result<()> {
    let broker = Connection::connect(&place.amqp_url, ConnectionProperties::default()).await?;
    let channel = broker.create_channel().await?;
    channel
        .basic_qos(PREFETCH, BasicQosOptions::default())
        .await?;
    let redis = redis::Client::open(place.redis_url.as_str())?;
    let redis = redis.get_multiplexed_async_connection().await?;

    let (lines, to_write) = mpsc::channel(BATCH * 2);
    tokio::spawn(write_batches(redis, place.stream, to_write));
    let (settled, to_ack) = mpsc::unbounded_channel();
    let acks = tokio::spawn(ack_coalesced(to_ack, events));

    let client = Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(IN_FLIGHT)
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let places = Arc::new(Semaphore::new(IN_FLIGHT));
    let failed = Arc::new(AtomicU64::new(0));
    let mut consumer = channel
        .basic_consume(
            place.queue.as_str().into(),
            "bare".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    for _ in 0..events {
        let mut delivery = consumer
            .next()
            .await
            .context("the consumer ended early")??;
        let permit = places.clone().acquire_owned().await?;
        let (client, endpoint) = (client.clone(), place.endpoint.clone());
        let (lines, settled, failed) = (lines.clone(), settled.clone(), failed.clone());
        tokio::spawn(async move {
            let tag = delivery.delivery_tag;
            let answer = client
                .post(endpoint)
                .header("content-type", "application/json")
                .body(std::mem::take(&mut delivery.data))
                .send()
                .await;
            let status = match answer {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    let _ = answer.bytes().await;
                    status
                }
                Err(_) => 0,
            };
            if status != 200 {
                failed.fetch_add(1, Ordering::Relaxed);
            }
            let fields = vec![
                ("tag", tag.to_string()),
                ("status_code", status.to_string()),
            ];
            let (written, is_written) = oneshot::channel();
            let _ = lines.send((fields, written)).await;
            let _ = is_written.await;
            let _ = settled.send(delivery);
            drop(permit);
        });
    }
    acks.await??;
    anyhow::ensure!(failed.load(Ordering::Relaxed) == 0, "some requests failed");
    broker.close(200, "done".into()).await?;
    Ok(())
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
            pipeline
                .cmd("XADD")
                .arg(&stream)
                .arg("MAXLEN")
                .arg("~")
                .arg(1_000_000)
                .arg("*");
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
    let mut batch = Vec::new();
    while done < events {
        settled.recv_many(&mut batch, 4096).await;
        waiting.extend(
            batch
                .drain(..)
                .map(|delivery: Delivery| (delivery.delivery_tag, delivery)),
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
