//! What a trickle of one organization notices of another's flood.

use crate::bench::error::BenchError;
use crate::bench::figures::Figures;
use crate::bench::load;
use crate::bench::receivers::{Receivers, latencies, seconds_of};
use crate::bench::receiving::Answer;
use crate::bench::site::Site;
use crate::bench::workers::{Logs, Workers};

use super::{Bench, named, percentiles, warm_up};

/// Events a second of the trickle.
const RATE: f64 = 10.0;

/// One round: the trickle goes on from the first event of the flood to the last delivery of it.
pub async fn round(bench: Bench<'_>) -> Result<Figures, BenchError> {
    let sizes = bench.sizes;
    let (trickling, flooding) = (named("trickling")?, named("flooding")?);
    let site = Site::create(bench.servers).await?;
    let mut receivers = Receivers::start(2).await?;
    site.webhook(&trickling, receivers.url(0, Answer::AtOnce))
        .await?;
    site.webhook(&flooding, receivers.url(1, Answer::AtOnce))
        .await?;
    let workers = Workers::start(&site, bench.workers, Logs::Usual).await?;
    // A connection for each: RabbitMQ slows down one that floods it.
    let (trickle, flood) = (site.publisher()?, site.publisher()?);
    warm_up(&trickle, &mut receivers, &trickling, 0..1).await?;

    let mut come = Ok(false);
    let flooded = async {
        let make = |n| load::event(n, &flooding);
        load::backlog(&flood, sizes.flood, make).await?;
        let all = |counts: &[(u64, u64)]| counts[1].1 >= sizes.flood;
        receivers.until(sizes.limit, all).await
    };
    let over = async { come = flooded.await };
    let make = |n| load::event(n, &trickling);
    let published = load::paced(&trickle, RATE, over, make).await?;
    come?;
    let all = |counts: &[(u64, u64)]| counts[0].1 > published;
    receivers.until(sizes.patience, all).await?;

    let got = receivers.report().await?;
    let peak = workers.cost().peak_mib;
    let done = workers.stop().await?;
    trickle.close().await;
    flood.close().await;
    site.remove().await?;

    let missing = (published + 1).saturating_sub(got[0].arrived);
    let all = latencies(&got[..1], missing, sizes.patience);
    let all = all.get(1..).unwrap_or_default();
    let mut figures = Figures::default();
    figures.chosen("flood_events", sizes.flood);
    figures.maybe("flood_delivered_s", seconds_of(&got[1..]));
    figures.counted(
        "flood_not_arrived",
        sizes.flood.saturating_sub(got[1].taken),
    );
    figures.counted("trickle_events", published);
    percentiles(&mut figures, "trickle_", "", all);
    figures.counted("trickle_not_arrived", missing);
    figures.counted("deferred", done.deferred);
    figures.maybe("peak_mib", peak);
    Ok(figures)
}
