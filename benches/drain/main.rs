//! How fast a worker drains a backlog, beside the bare loop in the same run.
//!
//! `cargo bench --bench drain -- [--events 100000] [--rounds 3]`, with RabbitMQ and Redis on their
//! usual ports or named by `PRISM_AMQP_URL` and `PRISM_REDIS_URL`. Each round publishes a backlog,
//! then lets one process drain it to a receiver on loopback: the worker (the release binary with
//! its default settings, one webhook, signed) and the bare loop, in turn. CPU is that of the whole
//! draining process, from the kernel's accounting.
//!
//! `cargo bench --bench drain -- --embedded [--events 50000]` measures `run` on SQLite instead, with
//! nothing beside it.

mod backlog;
mod bare;
mod embedded;
mod measure;
mod receiver;

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;

use backlog::Backlog;
use measure::Figures;
use receiver::Receiver;

const WORKER: &str = env!("CARGO_BIN_EXE_prism-webhooks");

/// No round may take longer: the backlog is bounded, and so is the time.
const DEADLINE: Duration = Duration::from_secs(300);

#[derive(Debug, Parser)]
struct Args {
    /// Events in the backlog of each round.
    #[arg(long, default_value_t = 100_000)]
    events: u64,
    /// Rounds of each kind; the medians count.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Measure embedded mode, which needs no servers.
    #[arg(long)]
    embedded: bool,
    /// Run the bare loop on this namespace and endpoint instead: what the bench starts itself.
    #[arg(long, num_args = 2, value_names = ["NAMESPACE", "ENDPOINT"], hide = true)]
    bare: Option<Vec<String>>,
    /// Cargo passes this to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone)]
struct Servers {
    amqp_url: String,
    redis_url: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    prism_webhooks::http::install_crypto();
    let args = Args::parse();
    let url = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    let servers = Servers {
        amqp_url: url("PRISM_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2f"),
        redis_url: url("PRISM_REDIS_URL", "redis://127.0.0.1:6379"),
    };
    if let Some(place) = &args.bare {
        let [namespace, endpoint] = place.as_slice() else {
            bail!("--bare takes two values")
        };
        let place = bare::Place {
            amqp_url: servers.amqp_url,
            redis_url: servers.redis_url,
            queue: format!("{namespace}.webhooks.events"),
            stream: format!("{namespace}:bare:attempts"),
            endpoint: endpoint.parse()?,
        };
        return bare::run(place, args.events).await;
    }

    if args.embedded {
        return embedded(&args).await;
    }

    let mut worker = Vec::new();
    let mut bare = Vec::new();
    for round in 1..=args.rounds {
        worker.push(drain(&servers, args.events, Kind::Worker).await?);
        println!("round {round}: worker    {}", worker[round - 1]);
        bare.push(drain(&servers, args.events, Kind::Bare).await?);
        println!("round {round}: bare loop {}", bare[round - 1]);
    }
    let (worker, bare) = (Figures::median(&worker), Figures::median(&bare));
    println!("median:  worker    {worker}\nmedian:  bare loop {bare}");
    println!(
        "worker / bare loop: {:.2} of the deliveries a second, {:.2} of the CPU a delivery",
        worker.per_second / bare.per_second,
        worker.cpu_micros / bare.cpu_micros,
    );
    Ok(())
}

async fn embedded(args: &Args) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for round in 1..=args.rounds {
        let (figures, share) = embedded::drain(args.events).await?;
        let share = share * 100.0;
        println!("round {round}: embedded  {figures}, {share:.0} % of it in SQLite");
        all.push(figures);
    }
    println!("median:  embedded  {}", Figures::median(&all));
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Worker,
    Bare,
}

/// Publishes a backlog, lets one process drain it, and measures that process.
async fn drain(servers: &Servers, events: u64, kind: Kind) -> anyhow::Result<Figures> {
    let receiver = Receiver::start().await?;
    let backlog = Backlog::create(servers, &receiver.url()).await?;
    let result = drain_backlog(servers, &backlog, &receiver, events, kind).await;
    backlog.remove().await?;
    result
}

async fn drain_backlog(
    servers: &Servers,
    backlog: &Backlog,
    receiver: &Receiver,
    events: u64,
    kind: Kind,
) -> anyhow::Result<Figures> {
    backlog.publish(events).await?;
    let mut command = match kind {
        Kind::Worker => {
            let mut command = Command::new(WORKER);
            command.arg("worker");
            command
        }
        Kind::Bare => {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["--events", &events.to_string(), "--bare"]);
            command.args([backlog.namespace(), &receiver.url()]);
            command
        }
    };
    command
        .env("PRISM_AMQP_URL", &servers.amqp_url)
        .env("PRISM_REDIS_URL", &servers.redis_url)
        .env("PRISM_NAMESPACE", backlog.namespace())
        .env("PRISM_ALLOW_HTTP", "true")
        .env("PRISM_ALLOW_NETWORKS", "127.0.0.0/8")
        .env("PRISM_LOGGING_LEVEL", "warn")
        .stdin(Stdio::null());
    backlog.short_delays(&mut command);
    let mut child = command
        .spawn()
        .context("cannot start the draining process")?;
    let arrived = tokio::time::timeout(DEADLINE, receiver.arrived(events)).await;
    let figures = measure::of(child.id(), events, receiver.elapsed());
    let killed = child.kill();
    child.wait()?;
    arrived.context("the backlog was not drained in time")?;
    drop(killed);
    figures
}
