//! The command `bench`, and the hidden one that its helping processes are.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum as _};
use reqwest::Url;

use crate::bench::bare::{self, Task};
use crate::bench::error::BenchError;
use crate::bench::figures::{Figures, Summary};
use crate::bench::plan::{Scenario, Sizes};
use crate::bench::receiving;
use crate::bench::scenarios::{self, Bench, embedded};
use crate::bench::servers::Servers;
use crate::config::Config;

use super::arguments;
use super::console::Console;
use super::failure::{ExitReason, Failure};
use super::signals;

mod report;

use report::{Report, Summaries};

/// Measure throughput, latency and isolation on this machine, beside a bare loop
///
/// On the RabbitMQ and Redis of the settings, in namespaces of its own that it removes again, also
/// when it is stopped or fails. Workers are processes of this program with its default settings;
/// receivers are a process of their own; everything is posted to this machine. The bare loop
/// consumes, posts, logs and acknowledges with the same libraries and does nothing else: what a
/// worker is slower than it by is what its promises cost.
///
/// All of it takes about twenty minutes, --quick less than three. Figures of a machine that is busy
/// otherwise, or of a debug build, say nothing.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  prism-webhooks bench --quick
  prism-webhooks bench --only drain,fanout_10 --rounds 5
  prism-webhooks bench --json | jq .isolation.healthy_p99_ms
  prism-webhooks bench --embedded

CPU is that of whole processes, the start of workers included. RabbitMQ's and Redis's are told if
they are on this machine. A delivery that had not arrived when the waiting ended counts as having
taken as long as it was waited for.")]
pub struct BenchArgs {
    /// Smaller and shorter, one round: less than three minutes
    #[arg(long)]
    quick: bool,
    /// Rounds of each scenario; medians are told, with the least and the greatest [default: 3, or 1
    /// with --quick]
    #[arg(long, value_name = "N", value_parser = arguments::whole(1_u16, 100))]
    rounds: Option<u16>,
    /// These scenarios alone, separated by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Scenario>,
    /// Events a second where latency is measured [default: 100]
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Workers beside each other; the share of each is told
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = arguments::whole(1_u16, 64))]
    workers: u16,
    /// Measure how `run` drains a backlog on SQLite, in a temporary directory, without servers
    #[arg(long, conflicts_with = "workers")]
    embedded: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Deliveries of a backlog
    #[arg(long, hide = true, value_parser = arguments::at_least(1_u64))]
    deliveries: Option<u64>,
    /// Events of a burst and of the flood
    #[arg(long, hide = true, value_parser = arguments::at_least(1_u64))]
    events: Option<u64>,
    /// How long each of the others is measured
    #[arg(long, hide = true, value_parser = arguments::at_least(1_u64))]
    seconds: Option<u64>,
}

/// One of the processes beside the workers that `bench` starts
#[derive(Debug, Args)]
pub struct PartArgs {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Receives
    Receiver {
        #[arg(long)]
        endpoints: usize,
    },
    /// Is the bare loop
    Bare {
        #[arg(long)]
        events: u64,
        #[arg(long)]
        in_turn: bool,
        endpoints: Vec<Url>,
    },
}

/// Runs `bench`.
pub async fn run(args: &BenchArgs, config: &Config, console: &mut Console) -> Result<(), Failure> {
    let plan = args.scenarios()?;
    let sizes = args.sizes();
    if cfg!(debug_assertions) {
        console.say("this is a debug build: its figures say nothing about a release build");
    }
    if args.embedded {
        let running = measure(&plan, &sizes, console, async |scenario| {
            match scenario.shape() {
                Some(shape) => embedded::round(&sizes, shape).await,
                None => Ok(Figures::default()),
            }
        });
        let summaries = until_stopped(running).await?;
        return args
            .report(&sizes, Vec::new(), summaries)
            .print(args.json, console);
    }
    let servers = Servers::new(config)?;
    let base = servers.base();
    console.say(format_args!(
        "in namespaces {base}-1 and so on, which are removed again"
    ));
    let bench = Bench {
        servers: &servers,
        sizes: &sizes,
        workers: args.workers.into(),
    };
    let running = measure(&plan, &sizes, console, async |scenario| {
        scenarios::round(bench, scenario).await
    });
    // However it ended, all its processes have ended with it.
    let measured = until_stopped(running).await;
    let removed = servers.remove_all().await;
    if let Err((_, left)) = &removed {
        let left = left.join(", ");
        console.say(format_args!(
            "not everything could be removed from RabbitMQ and Redis: the namespaces {left} remain"
        ));
    }
    let report = args.report(&sizes, servers.left_out(), measured?);
    report.print(args.json, console)?;
    removed.map_err(|(error, _)| error.into())
}

/// Runs one of the helping processes.
pub async fn part(args: PartArgs, config: &Config, console: &mut Console) -> Result<(), Failure> {
    match args.part {
        Part::Receiver { endpoints } => Ok(receiving::run(endpoints, &mut console.input).await?),
        Part::Bare {
            events,
            in_turn,
            endpoints,
        } => {
            let task = Task {
                events,
                endpoints,
                in_turn,
            };
            Ok(bare::run(config, task).await?)
        }
    }
}

async fn measure(
    plan: &[Scenario],
    sizes: &Sizes,
    console: &mut Console,
    round: impl AsyncFn(Scenario) -> Result<Figures, BenchError>,
) -> Result<Summaries, Failure> {
    let mut summaries = Vec::new();
    for scenario in plan {
        let mut rounds = Vec::new();
        for number in 1..=sizes.rounds {
            let (name, all) = (scenario.name(), sizes.rounds);
            console.say(format_args!("{name}: round {number} of {all}"));
            rounds.push(round(*scenario).await?);
        }
        summaries.push((*scenario, Summary::of(&rounds)));
    }
    Ok(summaries)
}

/// The result of `running`, unless the process is told to stop first.
async fn until_stopped(
    running: impl Future<Output = Result<Summaries, Failure>>,
) -> Result<Summaries, Failure> {
    tokio::select! {
        biased;
        () = signals::stop() => {
            Err(Failure::new(ExitReason::Failed, "stopped before everything was measured"))
        }
        measured = running => measured,
    }
}

impl BenchArgs {
    fn scenarios(&self) -> Result<Vec<Scenario>, BenchError> {
        let all = Scenario::value_variants().iter().copied();
        let wanted = |scenario: &Scenario| self.only.is_empty() || self.only.contains(scenario);
        if !self.embedded {
            return Ok(all.filter(wanted).collect());
        }
        let (drains, others): (Vec<_>, Vec<_>) = all.partition(|one| one.shape().is_some());
        let names = |of: Vec<Scenario>| of.into_iter().map(Scenario::name).collect::<Vec<_>>();
        let refused: Vec<_> = others
            .into_iter()
            .filter(|one| self.only.contains(one))
            .collect();
        if !refused.is_empty() {
            return Err(BenchError::NotEmbedded {
                names: names(drains).join(", "),
                refused: names(refused).join(", "),
            });
        }
        Ok(drains.into_iter().filter(wanted).collect())
    }

    fn report(&self, sizes: &Sizes, left_out: Vec<String>, summaries: Summaries) -> Report {
        Report {
            embedded: self.embedded,
            quick: self.quick,
            rounds: sizes.rounds,
            workers: self.workers,
            left_out,
            summaries,
        }
    }

    fn sizes(&self) -> Sizes {
        let mut sizes = match self.quick {
            true => Sizes::quick(),
            false => Sizes::full(),
        };
        if let Some(rounds) = self.rounds {
            sizes.rounds = rounds.into();
        }
        if let Some(rate) = self.rate {
            sizes.rate = rate;
        }
        if let Some(deliveries) = self.deliveries {
            sizes.deliveries = deliveries;
        }
        if let Some(events) = self.events {
            (sizes.burst, sizes.flood) = (events, events);
        }
        if let Some(period) = self.seconds.map(Duration::from_secs) {
            (sizes.latency, sizes.isolation, sizes.hanging) = (period, period, period);
        }
        sizes
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "it must be a number")?;
    if (0.1..=10_000.0).contains(&rate) {
        Ok(rate)
    } else {
        Err("it must be from 0.1 to 10000".to_owned())
    }
}

impl From<BenchError> for Failure {
    fn from(error: BenchError) -> Self {
        let kind = match error {
            BenchError::Server(error) => return error.into(),
            BenchError::Connect(error) => return (*error).into(),
            BenchError::Topology(error) => return (*error).into(),
            BenchError::Webhook(error) => return (*error).into(),
            BenchError::Embedded(error) => return error.into(),
            BenchError::RedisUrl(_) => ExitReason::Settings,
            BenchError::Broker(_)
            | BenchError::Redis(_)
            | BenchError::RedisClient(_)
            | BenchError::NotAccepted(_) => ExitReason::Unavailable,
            _ => ExitReason::Failed,
        };
        Self::caused(kind, &error)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: BenchArgs,
    }

    fn parse(line: &[&str]) -> Result<BenchArgs, clap::Error> {
        let line = std::iter::once(&"bench").chain(line);
        Line::try_parse_from(line).map(|line| line.args)
    }

    #[test]
    fn scenarios_come_in_their_own_order_and_all_of_them_unless_some_are_named() {
        let names = |line: &[&str]| -> Vec<String> {
            let chosen = parse(line).unwrap().scenarios().unwrap();
            chosen.into_iter().map(Scenario::name).collect()
        };
        assert_eq!(names(&[]).len(), 11);
        assert_eq!(
            names(&["--only", "flood,fanout_10"]),
            ["fanout_10", "flood"]
        );
        assert_eq!(names(&["--embedded"]).len(), 6);
        let refused = parse(&["--embedded", "--only", "drain,burst"])
            .unwrap()
            .scenarios();
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("leave burst out"), "{refused}");
    }

    #[test]
    fn sizes_are_those_of_the_flags_over_those_of_quick() {
        let sizes = |line: &[&str]| parse(line).unwrap().sizes();
        assert_eq!(sizes(&[]), Sizes::full());
        assert_eq!(sizes(&["--quick"]), Sizes::quick());
        let own = sizes(&[
            "--quick",
            "--rounds",
            "2",
            "--rate",
            "7.5",
            "--seconds",
            "3",
        ]);
        assert_eq!((own.rounds, own.rate), (2, 7.5));
        assert_eq!(own.hanging, Duration::from_secs(3));
        for wrong in [
            ["--rate", "0"],
            ["--rate", "NaN"],
            ["--rounds", "0"],
            ["--workers", "0"],
        ] {
            assert!(parse(&wrong).is_err(), "{wrong:?}");
        }
    }
}
