//! What one organization notices of another whose webhooks all hang, and whether it grows.

use crate::bench::error::BenchError;
use crate::bench::figures::{Figures, percentile};
use crate::bench::load;
use crate::bench::receivers::{Receivers, latencies};
use crate::bench::receiving::Answer;
use crate::bench::site::Site;
use crate::bench::workers::{Logs, Workers};

use super::{Bench, named, percentiles, warm_up};

/// The webhooks that hang.
const HANGING: usize = 32;

/// Events a second of each of the two organizations.
const RATE: f64 = 1.0;

/// One round.
pub async fn round(bench: Bench<'_>) -> Result<Figures, BenchError> {
    let sizes = bench.sizes;
    let (healthy, hanging) = (named("healthy")?, named("hanging")?);
    let site = Site::create(bench.servers).await?;
    let mut receivers = Receivers::start(HANGING as u64 + 1).await?;
    let id = site
        .webhook(&healthy, receivers.url(0, Answer::AtOnce))
        .await?;
    for endpoint in 1..=HANGING {
        let url = receivers.url(endpoint, Answer::Hang);
        site.webhook(&hanging, url).await?;
    }
    let mut workers = Workers::start(&site, bench.workers, Logs::Deferrals).await?;
    let publisher = site.publisher()?;
    warm_up(&publisher, &mut receivers, &healthy, 0..1).await?;
    // The two take turns.
    let make = |n: u64| match n.is_multiple_of(2) {
        true => load::event(n, &hanging),
        false => load::event(n, &healthy),
    };
    let published = load::paced_for(&publisher, RATE * 2.0, sizes.hanging, make).await?;
    publisher.close().await;
    let published = published / 2;
    receivers
        .until(sizes.patience, |counts| counts[0].1 > published)
        .await?;

    let got = receivers.report().await?;
    workers.terminate();
    drop(receivers);
    let done = workers.stop().await?;
    site.remove().await?;

    let missing = (published + 1).saturating_sub(got[0].arrived);
    let all = latencies(&got[..1], missing, sizes.patience);
    let all = all.get(1..).unwrap_or_default();
    let mut figures = Figures::default();
    figures.chosen("hanging_webhooks", HANGING as u64);
    figures.counted("healthy_events", published);
    percentiles(&mut figures, "healthy_", "", all);
    tell_growth(&mut figures, all);
    let put_off = done.put_off.get(&id).copied().unwrap_or_default();
    figures.counted("healthy_deferred", put_off);
    figures.counted("healthy_not_arrived", missing);
    let most = got[1..].iter().map(|got| got.most_open).max();
    figures.counted("most_open_to_a_hanging_webhook", most.unwrap_or_default());
    Ok(figures)
}

/// The medians of the first and of the last third, and how many times the one the other is.
fn tell_growth(figures: &mut Figures, latencies: &[f64]) {
    let third = latencies.len().div_ceil(3);
    let first = percentile(&latencies[..third], 50);
    let last = percentile(&latencies[latencies.len() - third..], 50);
    figures.maybe("healthy_p50_ms_of_first_third", first);
    figures.maybe("healthy_p50_ms_of_last_third", last);
    let growth = first.zip(last).map(|(first, last)| last / first);
    figures.maybe("healthy_growth", growth);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_the_last_third_against_the_first() {
        let mut figures = Figures::default();
        tell_growth(
            &mut figures,
            &[2.0, 2.0, 2.0, 9.0, 1.0, 9.0, 10.0, 10.0, 10.0],
        );
        assert_eq!(figures.get("healthy_growth"), Some(5.0));
        let mut none = Figures::default();
        tell_growth(&mut none, &[]);
        assert_eq!(none, Figures::default());
    }
}
