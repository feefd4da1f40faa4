//! How long a delivery takes at a steady rate, from its publish to the receiver's having it whole.

use crate::bench::error::BenchError;
use crate::bench::figures::Figures;
use crate::bench::load;
use crate::bench::receivers::{Receivers, latencies};
use crate::bench::receiving::Answer;
use crate::bench::site::Site;
use crate::bench::workers::{Logs, Workers};
use crate::domain::ids::Organization;

use super::{Bench, percentiles, register, warm_up};

/// One round.
pub async fn round(bench: Bench<'_>) -> Result<Figures, BenchError> {
    let sizes = bench.sizes;
    let site = Site::create(bench.servers).await?;
    let mut receivers = Receivers::start(1).await?;
    register(&site, &receivers, Answer::AtOnce).await?;
    let workers = Workers::start(&site, bench.workers, Logs::Usual).await?;
    let publisher = site.publisher()?;

    let organization = Organization::default();
    warm_up(&publisher, &mut receivers, &organization, 0..1).await?;
    let make = |n| load::event(n, &organization);
    let published = load::paced_for(&publisher, sizes.rate, sizes.latency, make).await?;
    receivers.until_taken(published + 1, sizes.patience).await?;

    let got = receivers.report().await?;
    let peak = workers.cost().peak_mib;
    let done = workers.stop().await?;
    publisher.close().await;
    site.remove().await?;

    let arrived: u64 = got.iter().map(|got| got.arrived).sum();
    let missing = (published + 1).saturating_sub(arrived);
    let all = latencies(&got, missing, sizes.patience);
    let mut figures = Figures::default();
    figures.measured("events_per_second", sizes.rate);
    figures.counted("events", published);
    percentiles(&mut figures, "", "", all.get(1..).unwrap_or_default());
    figures.counted("deferred", done.deferred);
    figures.counted("not_arrived", missing);
    figures.maybe("peak_mib", peak);
    Ok(figures)
}
