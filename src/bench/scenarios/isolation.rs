//! What nine webhooks notice of a tenth that misbehaves: how long their deliveries take, and how
//! many of them are put off.

use std::time::Duration;

use crate::bench::error::BenchError;
use crate::bench::figures::Figures;
use crate::bench::load;
use crate::bench::receivers::{Receivers, latencies};
use crate::bench::receiving::Answer;
use crate::bench::site::Site;
use crate::bench::workers::{Logs, Workers};
use crate::domain::ids::Organization;

use super::{Bench, percentiles, register, warm_up};

/// The webhooks that behave; one more does not.
const HEALTHY: usize = 9;

/// Events a second.
const RATE: f64 = 50.0;

/// What the tenth webhook does, by name.
const TEMPERS: [(&str, Answer); 5] = [
    ("undisturbed", Answer::AtOnce),
    ("hanging", Answer::Hang),
    ("erring", Answer::Error),
    ("slow", Answer::After(Duration::from_secs(2))),
    ("throttling", Answer::Throttle(20)),
];

/// One round: each temper once.
pub async fn round(bench: Bench<'_>) -> Result<Figures, BenchError> {
    let mut figures = Figures::default();
    figures.chosen("healthy_webhooks", HEALTHY as u64);
    figures.measured("events_per_second", RATE);
    for (temper, answer) in TEMPERS {
        disturb(bench, temper, answer, &mut figures).await?;
    }
    Ok(figures)
}

async fn disturb(
    bench: Bench<'_>,
    temper: &str,
    answer: Answer,
    figures: &mut Figures,
) -> Result<(), BenchError> {
    let sizes = bench.sizes;
    let site = Site::create(bench.servers).await?;
    let mut receivers = Receivers::start(HEALTHY as u64 + 1).await?;
    let disturbed = register(&site, &receivers, answer).await?;
    let mut workers = Workers::start(&site, bench.workers, Logs::Deferrals).await?;
    let publisher = site.publisher()?;
    let organization = Organization::default();
    warm_up(&publisher, &mut receivers, &organization, 1..HEALTHY + 1).await?;
    let make = |n| load::event(n, &organization);
    let published = load::paced_for(&publisher, RATE, sizes.isolation, make).await?;
    publisher.close().await;
    let whole = |counts: &[(u64, u64)]| counts[1..].iter().all(|(_, taken)| *taken > published);
    receivers.until(sizes.patience, whole).await?;

    let got = receivers.report().await?;
    workers.terminate();
    // Requests that hang are broken off with it: the worker need not wait for them.
    drop(receivers);
    let done = workers.stop().await?;
    site.remove().await?;

    let healthy = &got[1..];
    let arrived: u64 = healthy.iter().map(|got| got.arrived).sum();
    let missing = ((published + 1) * HEALTHY as u64).saturating_sub(arrived);
    let all = latencies(healthy, missing, sizes.patience);
    let all = all.get(HEALTHY..).unwrap_or_default();
    let put_off = done.put_off.iter();
    let put_off = put_off.filter(|(id, _)| Some(*id) != disturbed.as_ref());
    let suffix = format!(".{temper}");
    percentiles(figures, "healthy_", &suffix, all);
    figures.counted(
        format!("healthy_deferred{suffix}"),
        put_off.map(|(_, n)| n).sum(),
    );
    figures.counted(format!("healthy_not_arrived{suffix}"), missing);
    figures.counted(
        format!("most_open_to_the_disturbed{suffix}"),
        got[0].most_open,
    );
    figures.counted(format!("requests_to_the_disturbed{suffix}"), got[0].arrived);
    Ok(())
}
