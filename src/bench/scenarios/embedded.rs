//! The same backlog in embedded mode: one process on SQLite, in a directory of its own.

use std::net::Ipv4Addr;
use std::path::Path;

use jiff::Timestamp;

use crate::app::{StartError, backend};
use crate::bench::error::BenchError;
use crate::bench::figures::{Figures, count};
use crate::bench::plan::{Shape, Sizes};
use crate::bench::receivers::Receivers;
use crate::bench::receiving::Answer;
use crate::bench::servers::loopback;
use crate::bench::workers::Workers;
use crate::bench::{load, site, usage};
use crate::config::Config;

use super::drain::Drained;
use super::organization;

/// Fills a new directory, lets `run` drain it, and measures that process.
pub async fn round(sizes: &Sizes, shape: Shape) -> Result<Figures, BenchError> {
    let events = sizes.deliveries / shape.deliveries_an_event();
    let deliveries = events * shape.deliveries_an_event();
    let directory = tempfile::tempdir()?;
    let mut receivers = Receivers::start(shape.webhooks()).await?;
    fill(directory.path(), &receivers, shape, events).await?;
    let before = usage::cpu(receivers.id());
    let workers = Workers::embedded(directory.path()).await?;
    receivers.until_taken(deliveries, sizes.limit).await?;
    let (cost, in_sqlite) = (workers.cost(), workers.cpu_beside_the_first_thread());
    let receiver = usage::cpu(receivers.id()).zip(before);
    let got = receivers.report().await?;
    let done = workers.stop().await?;

    let drained = Drained::of(&got);
    let each = |seconds: f64| seconds * 1e6 / count(drained.taken.max(1));
    let mut figures = Figures::default();
    figures.chosen("webhooks", shape.webhooks());
    figures.chosen("events", events);
    figures.chosen("deliveries", deliveries);
    figures.measured("deliveries_per_second", drained.per_second);
    figures.counted("deferred", done.deferred);
    figures.counted("not_arrived", deliveries.saturating_sub(drained.taken));
    figures.maybe("cpu_us_per_delivery.run", cost.cpu.map(each));
    let receiver = receiver.map(|(after, before)| each(after - before));
    figures.maybe("cpu_us_per_delivery.receiver", receiver);
    figures.maybe("share_of_cpu_in_sqlite", in_sqlite);
    figures.maybe("peak_mib", cost.peak_mib);
    Ok(figures)
}

async fn fill(
    directory: &Path,
    receivers: &Receivers,
    shape: Shape,
    events: u64,
) -> Result<(), BenchError> {
    let config = Config {
        allow_http: true,
        allow_networks: vec![loopback()],
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        data_dir: directory.to_owned(),
        ..Config::default()
    };
    let backend = backend::open(&config, "bench")?;
    let deployment = backend.deployment().map_err(StartError::from)?;
    let mut organizations = Vec::new();
    for (index, endpoint) in (0..shape.webhooks()).zip(0..receivers.endpoints()) {
        let of = organization(shape, index)?;
        let webhook = site::webhook(receivers.url(endpoint, Answer::AtOnce))?;
        let webhooks = &deployment.webhooks;
        webhooks.create(&of, webhook, Timestamp::now()).await?;
        organizations.push(of);
    }
    let of = |n: u64| &organizations[usize::try_from(n).unwrap_or_default() % organizations.len()];
    let filled = load::backlog(&*deployment.intake, events, |n| load::event(n, of(n))).await;
    backend.close().await;
    Ok(filled?)
}
