//! The scenarios: each carries out one round and says what came of it.
//!
//! | file | measures |
//! |---|---|
//! | [`drain`] | how fast a backlog is delivered, beside the bare loop |
//! | [`embedded`] | the same in embedded mode, by itself |
//! | [`burst`] | how soon a slow receiver has many events that come at once |
//! | [`latency`] | how long a delivery takes at a steady rate |
//! | [`isolation`] | what nine webhooks notice of a tenth that misbehaves |
//! | [`hanging`] | what one organization notices of another whose webhooks all hang |
//! | [`flood`] | what a trickle notices of a flood |

pub mod burst;
pub mod drain;
pub mod embedded;
pub mod flood;
pub mod hanging;
pub mod isolation;
pub mod latency;

use std::ops::Range;

use crate::domain::ids::Organization;
use crate::rabbitmq::publisher::Publisher;
use crate::store::intake::NotAccepted;

use super::child::PROMPTLY;
use super::error::BenchError;
use super::figures::{Figures, percentile};
use super::load;
use super::plan::{Scenario, Shape, Sizes};
use super::receivers::{Counts, Receivers};
use super::receiving::Answer;
use super::servers::Servers;
use super::site::Site;

/// The number of the event that warms up: no other event has it.
const WARM_UP: u64 = 999_999_999;

/// What every scenario needs.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    pub servers: &'a Servers,
    pub sizes: &'a Sizes,
    pub workers: usize,
}

/// Carries out one round of a scenario.
pub async fn round(bench: Bench<'_>, scenario: Scenario) -> Result<Figures, BenchError> {
    if let Some(shape) = scenario.shape() {
        return drain::round(bench, shape).await;
    }
    match scenario {
        Scenario::Latency => latency::round(bench).await,
        Scenario::Isolation => isolation::round(bench).await,
        Scenario::HangingOrganization => hanging::round(bench).await,
        Scenario::Flood => flood::round(bench).await,
        _ => burst::round(bench).await,
    }
}

/// The organization of endpoint number `index`.
fn organization(shape: Shape, index: u64) -> Result<Organization, BenchError> {
    match shape {
        Shape::Fanout(_) => Ok(Organization::default()),
        Shape::Organizations(_) => named(&format!("organization-{index}")),
    }
}

fn named(name: &str) -> Result<Organization, BenchError> {
    Ok(Organization::new(name)?)
}

/// Registers a webhook of the default organization on each endpoint; the first answers otherwise.
/// Gives the id of the first.
async fn register(
    site: &Site<'_>,
    receivers: &Receivers,
    first: Answer,
) -> Result<Option<String>, BenchError> {
    let mut of_the_first = None;
    for endpoint in 0..receivers.endpoints() {
        let answer = if endpoint == 0 { first } else { Answer::AtOnce };
        let url = receivers.url(endpoint, answer);
        let id = site.webhook(&Organization::default(), url).await?;
        of_the_first.get_or_insert(id);
    }
    Ok(of_the_first)
}

/// Has one event delivered to the endpoints of `to` before anything is measured: it makes the
/// connections and loads the webhooks. The first latencies, one for each of them, are its own.
async fn warm_up(
    publisher: &Publisher,
    receivers: &mut Receivers,
    of: &Organization,
    to: Range<usize>,
) -> Result<(), BenchError> {
    let event = load::event(WARM_UP, of);
    let published = publisher.publish_event(&event).await;
    published.map_err(NotAccepted::from)?;
    let all = |counts: &[Counts]| counts[to.clone()].iter().all(|(_, taken)| *taken > 0);
    // A warm-up that does not come is seen when nothing else does.
    receivers.until(PROMPTLY, all).await.map(drop)
}

/// The median and the 99th percentile of latencies, under `<prefix>p50_ms<suffix>` and so on.
fn percentiles(figures: &mut Figures, prefix: &str, suffix: &str, latencies: &[f64]) {
    for percent in [50, 99] {
        let path = format!("{prefix}p{percent}_ms{suffix}");
        figures.maybe(path, percentile(latencies, percent));
    }
}
