//! The same backlog in embedded mode: one process on SQLite, in a directory of its own.

use std::process::{Command, Stdio};

use anyhow::Context as _;
use bytes::Bytes;
use prism_webhooks::app;
use prism_webhooks::config::Config;
use prism_webhooks::domain::event::RawEvent;
use prism_webhooks::domain::ids::Organization;
use prism_webhooks::domain::secret::Secret;
use prism_webhooks::registry::webhooks::NewWebhook;

use crate::backlog;
use crate::measure::{self, Figures};
use crate::receiver::Receiver;
use crate::{DEADLINE, WORKER};

/// Events in one write of the backlog.
const BATCH: usize = 1000;

/// Fills a new directory, lets `run` drain it, and measures that process. The share is that of the
/// process's CPU that was spent on the threads that SQLite works on.
pub async fn drain(events: u64) -> anyhow::Result<(Figures, f64)> {
    let directory = tempfile::tempdir()?;
    let receiver = Receiver::start().await?;
    fill(directory.path(), &receiver.url(), events).await?;
    let mut child = Command::new(WORKER)
        .arg("run")
        .env_remove("PRISM_AMQP_URL")
        .env_remove("PRISM_REDIS_URL")
        .env("PRISM_DATA_DIR", directory.path())
        .env("PRISM_LISTEN", "127.0.0.1:0")
        .env("PRISM_ALLOW_HTTP", "true")
        .env("PRISM_ALLOW_NETWORKS", "127.0.0.0/8")
        .env("PRISM_LOGGING_LEVEL", "warn")
        .stdin(Stdio::null())
        .spawn()
        .context("cannot start prism-webhooks run")?;
    let arrived = tokio::time::timeout(DEADLINE, receiver.arrived(events)).await;
    let figures = measure::of(child.id(), events, receiver.elapsed());
    let share = measure::beside_the_main_thread(child.id());
    let killed = child.kill();
    child.wait()?;
    arrived.context("the backlog was not drained in time")?;
    drop(killed);
    Ok((figures?, share?))
}

async fn fill(directory: &std::path::Path, endpoint: &str, events: u64) -> anyhow::Result<()> {
    let config = Config {
        allow_http: true,
        allow_networks: vec!["127.0.0.0/8".parse()?],
        ..Config::default()
    };
    let embedded = app::embedded(&config, directory)?;
    let webhook = NewWebhook {
        name: "bench".to_owned(),
        url: endpoint.to_owned(),
        secret: Some(Secret::new("a secret of the bench")?),
        description: None,
        events: Vec::new(),
        headers: std::collections::BTreeMap::new(),
        retry: None,
    };
    let organization = Organization::default();
    let now = jiff::Timestamp::now();
    embedded
        .webhooks()
        .create(&organization, webhook, now)
        .await?;
    let numbers: Vec<u64> = (0..events).collect();
    for batch in numbers.chunks(BATCH) {
        let events = batch.iter().map(|number| RawEvent {
            routing_key: backlog::EVENT_TYPE.to_owned(),
            message_id: Some(format!("event-{number}")),
            body: Bytes::from(backlog::body(*number)),
            ..RawEvent::default()
        });
        embedded.intake().accept(events.collect()).await?;
    }
    embedded.store().close().await;
    Ok(())
}
