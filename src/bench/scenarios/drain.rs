//! How fast a backlog is delivered: workers and the bare loop, in turn, on the same backlog to the
//! same receivers.

use std::time::Duration;

use crate::bench::child::{Child, PROMPTLY, own_program};
use crate::bench::error::BenchError;
use crate::bench::figures::{Figures, count};
use crate::bench::plan::Shape;
use crate::bench::receivers::{Receivers, seconds_of, taken};
use crate::bench::receiving::Answer;
use crate::bench::servers::{Servers, hand_over};
use crate::bench::site::Site;
use crate::bench::workers::{Cost, Done, Logs, Workers};
use crate::bench::{load, usage};

use super::{Bench, organization};

/// The result of draining a backlog.
pub(super) struct Drained {
    pub per_second: f64,
    pub taken: u64,
    cpu: Vec<(&'static str, Option<f64>)>,
    pub peak_mib: Option<f64>,
}

/// CPU of the processes that are there before and after.
struct Meter {
    of: [(&'static str, Option<u32>); 3],
    before: [Option<f64>; 3],
}

/// One round: the workers, then the bare loop.
pub async fn round(bench: Bench<'_>, shape: Shape) -> Result<Figures, BenchError> {
    let mut figures = Figures::default();
    let events = bench.sizes.deliveries / shape.deliveries_an_event();
    let deliveries = events * shape.deliveries_an_event();
    figures.chosen("webhooks", shape.webhooks());
    figures.chosen("events", events);
    figures.chosen("deliveries", deliveries);
    let (drained, done) = by_workers(bench, shape, events).await?;
    let bare = by_the_bare_loop(bench, shape, events).await?;
    figures.measured("deliveries_per_second", drained.per_second);
    figures.measured("bare_loop_per_second", bare.per_second);
    figures.measured("of_bare_loop", drained.per_second / bare.per_second);
    figures.counted("deferred", done.deferred);
    figures.counted("not_arrived", deliveries.saturating_sub(drained.taken));
    drained.tell_cost(&mut figures, "");
    bare.tell_cost(&mut figures, "bare_loop_");
    let all = count(done.delivered.iter().sum());
    if bench.workers > 1 {
        for (number, delivered) in (1..).zip(&done.delivered) {
            let path = format!("share_of_deliveries.worker_{number}");
            figures.measured(path, count(*delivered) / all);
        }
    }
    Ok(figures)
}

async fn by_workers(
    bench: Bench<'_>,
    shape: Shape,
    events: u64,
) -> Result<(Drained, Done), BenchError> {
    let site = Site::create(bench.servers).await?;
    let mut receivers = Receivers::start(shape.webhooks()).await?;
    for index in 0..shape.webhooks() {
        let of = organization(shape, index)?;
        site.webhook(&of, url(&receivers, index)).await?;
    }
    publish(&site, shape, events).await?;
    let meter = Meter::start(bench.servers, &receivers);
    let workers = Workers::start(&site, bench.workers, Logs::Usual).await?;
    let deliveries = events * shape.deliveries_an_event();
    receivers.until_taken(deliveries, bench.sizes.limit).await?;
    let drained = Drained::read(&mut receivers, &meter, "worker", workers.cost()).await?;
    let done = workers.stop().await?;
    site.remove().await?;
    Ok((drained, done))
}

async fn by_the_bare_loop(
    bench: Bench<'_>,
    shape: Shape,
    events: u64,
) -> Result<Drained, BenchError> {
    let site = Site::create(bench.servers).await?;
    let mut receivers = Receivers::start(shape.webhooks()).await?;
    publish(&site, shape, events).await?;
    let mut command = own_program()?;
    hand_over(site.config(), &mut command);
    command.args(["bench-part", "bare", "--events", &events.to_string()]);
    if matches!(shape, Shape::Organizations(_)) {
        command.arg("--in-turn");
    }
    command.args((0..shape.webhooks()).map(|index| url(&receivers, index)));
    let meter = Meter::start(bench.servers, &receivers);
    let mut bare = Child::start("the bare loop", command, |_| {})?;
    bare.line(bench.sizes.limit + PROMPTLY).await?;
    let cost = Cost {
        cpu: usage::cpu(bare.id()),
        peak_mib: usage::peak_mib(bare.id()),
    };
    let drained = Drained::read(&mut receivers, &meter, "loop", cost).await?;
    drop(bare);
    site.remove().await?;
    Ok(drained)
}

fn url(receivers: &Receivers, index: u64) -> String {
    let endpoint = usize::try_from(index).unwrap_or_default();
    receivers.url(endpoint, Answer::AtOnce)
}

async fn publish(site: &Site<'_>, shape: Shape, events: u64) -> Result<(), BenchError> {
    let organizations = match shape {
        Shape::Fanout(_) => 1,
        Shape::Organizations(n) => n,
    };
    let organizations: Vec<_> = (0..organizations)
        .map(|index| organization(shape, index))
        .collect::<Result<_, _>>()?;
    let publisher = site.publisher()?;
    let of = |n: u64| &organizations[usize::try_from(n).unwrap_or_default() % organizations.len()];
    let published = load::backlog(&publisher, events, |n| load::event(n, of(n))).await;
    publisher.close().await;
    Ok(published?)
}

impl Meter {
    fn start(servers: &Servers, receivers: &Receivers) -> Self {
        let of = [
            ("broker", servers.broker()),
            ("redis", servers.redis()),
            ("receiver", Some(receivers.id())),
        ];
        Self {
            of,
            before: of.map(|(_, pid)| usage::cpu(pid?)),
        }
    }

    /// Returns the CPU that each process has used since.
    fn used(&self) -> impl Iterator<Item = (&'static str, Option<f64>)> {
        self.of
            .iter()
            .zip(self.before)
            .map(|((name, pid), before)| {
                let used = pid.and_then(usage::cpu).zip(before);
                (*name, used.map(|(now, before)| now - before))
            })
    }
}

impl Drained {
    /// Reads what came and what it cost; `who` drained it, in processes that were started for it.
    async fn read(
        receivers: &mut Receivers,
        meter: &Meter,
        who: &'static str,
        cost: Cost,
    ) -> Result<Self, BenchError> {
        let cpu = std::iter::once((who, cost.cpu))
            .chain(meter.used())
            .collect();
        let got = receivers.report().await?;
        Ok(Self {
            cpu,
            peak_mib: cost.peak_mib,
            ..Self::of(&got)
        })
    }

    /// Reads what came, at whatever cost.
    pub(super) fn of(got: &[crate::bench::receiving::Got]) -> Self {
        let taken = taken(got);
        // One answer has no duration.
        let seconds = seconds_of(got).unwrap_or_default();
        let seconds = seconds.max(Duration::from_millis(1).as_secs_f64());
        Self {
            per_second: count(taken) / seconds,
            taken,
            cpu: Vec::new(),
            peak_mib: None,
        }
    }

    /// Adds CPU and memory to the figures, if they are known.
    fn tell_cost(&self, figures: &mut Figures, prefix: &str) {
        let path = format!("{prefix}cpu_us_per_delivery");
        let each = |seconds: f64| seconds * 1e6 / count(self.taken.max(1));
        for (name, cpu) in &self.cpu {
            figures.maybe(format!("{path}.{name}"), cpu.map(each));
        }
        let all: Option<f64> = self.cpu.iter().map(|(_, cpu)| *cpu).sum();
        figures.maybe(format!("{path}.all"), all.map(each));
        figures.maybe(format!("{prefix}peak_mib"), self.peak_mib);
    }
}
