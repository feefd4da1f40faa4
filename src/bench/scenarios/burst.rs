//! How soon a receiver that takes its time has many events that come at once: against what its
//! concurrency allows, and with how many of them put off.

use std::time::Duration;

use crate::bench::error::BenchError;
use crate::bench::figures::{Figures, count};
use crate::bench::receivers::{Receivers, taken};
use crate::bench::receiving::Answer;
use crate::bench::site::Site;
use crate::bench::workers::{Logs, Workers};
use crate::bench::{clock, load};
use crate::config::Config;
use crate::domain::ids::Organization;
use crate::store::intake::NotAccepted;

use super::{Bench, register};

/// One round: each latency once.
pub async fn round(bench: Bench<'_>) -> Result<Figures, BenchError> {
    let mut figures = Figures::default();
    figures.chosen("events", bench.sizes.burst);
    for latency in &bench.sizes.burst_latencies {
        burst(bench, *latency, &mut figures).await?;
    }
    Ok(figures)
}

async fn burst(
    bench: Bench<'_>,
    latency: Duration,
    figures: &mut Figures,
) -> Result<(), BenchError> {
    let events = bench.sizes.burst;
    let site = Site::create(bench.servers).await?;
    let mut receivers = Receivers::start(1).await?;
    register(&site, &receivers, Answer::After(latency)).await?;
    let workers = Workers::start(&site, bench.workers, Logs::Usual).await?;
    let publisher = site.publisher()?;
    publisher.ready().await.map_err(NotAccepted::from)?;

    let began = clock::now();
    let make = |n| load::event(n, &Organization::default());
    load::backlog(&publisher, events, make).await?;
    let ideal = ideal(events, site.config(), bench.workers, latency);
    receivers
        .until_taken(events, ideal + bench.sizes.limit)
        .await?;
    let got = receivers.report().await?;
    let done = workers.stop().await?;
    publisher.close().await;
    site.remove().await?;

    let ended = got.iter().filter_map(|got| got.last_taken).max();
    let took = clock::millis(began, ended.unwrap_or(began));
    let ideal = ideal.as_secs_f64() * 1000.0;
    let of = format!("receiver_{}_ms", latency.as_millis());
    figures.measured(format!("all_delivered_ms.{of}"), took);
    figures.measured(format!("ideal_ms.{of}"), ideal);
    figures.measured(format!("times_ideal.{of}"), took / ideal);
    figures.counted(format!("deferred.{of}"), done.deferred);
    figures.measured(
        format!("not_arrived.{of}"),
        count(events.saturating_sub(taken(&got))),
    );
    Ok(())
}

/// How long `events` take if every request that may be open is.
fn ideal(events: u64, config: &Config, workers: usize, latency: Duration) -> Duration {
    let open = (config.worker.webhook_max_in_flight * workers).max(1);
    let rows = events.div_ceil(u64::try_from(open).unwrap_or(u64::MAX));
    latency * u32::try_from(rows).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_full_until_the_last_row() {
        let latency = Duration::from_millis(150);
        let ideal = |events, workers| ideal(events, &Config::default(), workers, latency);
        assert_eq!(ideal(1000, 1), 16 * latency);
        assert_eq!(ideal(64, 1), latency);
        assert_eq!(ideal(1000, 2), 8 * latency);
    }
}
