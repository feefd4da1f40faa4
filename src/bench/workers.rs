//! The workers that are measured: this program, as its users run it.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use super::child::{Child, PROMPTLY, own_program};
use super::error::BenchError;
use super::servers::hand_over;
use super::site::Site;
use super::usage;

/// How long a worker may take to finish what is in flight: its own limit, and some.
const GRACE: Duration = Duration::from_secs(35);

/// Workers at work on a site.
pub struct Workers {
    children: Vec<Child>,
    put_off: Arc<Mutex<BTreeMap<String, u64>>>,
    stopping: bool,
}

/// What workers did until they were told to stop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Done {
    /// Deliveries that reached their receiver, for each worker.
    pub delivered: Vec<u64>,
    /// Deliveries put off without an attempt.
    pub deferred: u64,
    /// The same for each webhook, where that is told.
    pub put_off: BTreeMap<String, u64>,
}

/// What workers have cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// CPU in seconds, of all together, their start included.
    pub cpu: Option<f64>,
    /// The most memory that one of them has had resident, in MiB.
    pub peak_mib: Option<f64>,
}

/// What a worker logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logs {
    /// What a worker logs by default.
    Usual,
    /// Every deferral as well, so that it is known whose they were.
    Deferrals,
}

impl Workers {
    /// Starts so many, and returns once all are delivering.
    pub async fn start(site: &Site<'_>, count: usize, logs: Logs) -> Result<Self, BenchError> {
        let put_off = Arc::<Mutex<BTreeMap<String, u64>>>::default();
        let mut children = Vec::with_capacity(count);
        for _ in 0..count {
            let mut command = own_program()?;
            command.arg("worker");
            hand_over(site.config(), &mut command);
            if logs == Logs::Deferrals {
                command.env("PRISM_LOGGING_FORMAT", "json");
                command.env("PRISM_LOGGING_LEVEL", "info,prism_webhooks::engine=debug");
            }
            children.push(overheard(command, put_off.clone())?);
        }
        for child in &mut children {
            child.line(PROMPTLY).await?;
        }
        Ok(Self {
            children,
            put_off,
            stopping: false,
        })
    }

    /// Starts one embedded `run` on the data in a directory, in place of workers.
    pub async fn embedded(directory: &std::path::Path) -> Result<Self, BenchError> {
        let mut command = own_program()?;
        command.arg("run");
        hand_over(&crate::config::Config::default(), &mut command);
        command.env("PRISM_DATA_DIR", directory);
        command.env("PRISM_LISTEN", "127.0.0.1:0");
        let put_off = Arc::default();
        let mut child = overheard(command, Arc::clone(&put_off))?;
        child.line(PROMPTLY).await?;
        Ok(Self {
            children: vec![child],
            put_off,
            stopping: false,
        })
    }

    /// Adds up what the workers have cost so far.
    pub fn cost(&self) -> Cost {
        let cpu = self.children.iter().map(|child| usage::cpu(child.id()));
        let peaks = self
            .children
            .iter()
            .filter_map(|child| usage::peak_mib(child.id()));
        Cost {
            cpu: cpu.sum(),
            peak_mib: peaks.reduce(f64::max),
        }
    }

    /// The share of the CPU of the first of them that it did not spend on its first thread.
    pub fn cpu_beside_the_first_thread(&self) -> Option<f64> {
        let id = self.children.first()?.id();
        Some(1.0 - usage::cpu_of_the_first_thread(id)? / usage::cpu(id)?)
    }

    /// Tells them to stop, once: a second time would end them without a report.
    pub fn terminate(&mut self) {
        if !self.stopping {
            self.stopping = true;
            self.children.iter().for_each(Child::terminate);
        }
    }

    /// Tells them to stop, waits until they have, and gives what they say that they did.
    pub async fn stop(mut self) -> Result<Done, BenchError> {
        self.terminate();
        let mut done = Done::default();
        for child in &mut self.children {
            let report = loop {
                let line = child.line(GRACE).await?;
                if let Some(report) = Report::parse(&line) {
                    break report;
                }
            };
            done.delivered.push(report.delivered);
            done.deferred += report.deferred;
        }
        let mut put_off = self.put_off.lock().unwrap_or_else(PoisonError::into_inner);
        done.put_off = std::mem::take(&mut put_off);
        Ok(done)
    }
}

/// Starts a worker, and counts the deferrals that it logs by webhook.
fn overheard(
    command: Command,
    put_off: Arc<Mutex<BTreeMap<String, u64>>>,
) -> Result<Child, BenchError> {
    Child::start("the worker", command, move |line| {
        if let Some(webhook) = deferred_webhook(line) {
            let mut put_off = put_off.lock().unwrap_or_else(PoisonError::into_inner);
            *put_off.entry(webhook).or_default() += 1;
        }
    })
}

/// The webhook in the log line of a deferral.
fn deferred_webhook(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        message: String,
        webhook_id: String,
    }

    // Most lines are others, and reading JSON costs more than looking.
    if !line.contains("\"deferred\"") {
        return None;
    }
    let line: Line = serde_json::from_str(line).ok()?;
    (line.message == "deferred").then_some(line.webhook_id)
}

/// The line with which a worker ends.
#[derive(Debug, PartialEq, Eq)]
struct Report {
    delivered: u64,
    deferred: u64,
}

impl Report {
    /// Reads `stopped: 3 events, …, 3 delivered, 0 to be retried, 2 deferred, …`.
    fn parse(line: &str) -> Option<Self> {
        let counts = line.strip_prefix("stopped: ")?;
        let count = |label: &str| {
            let mut counts = counts.split(", ");
            let found = counts.find_map(|count| count.strip_suffix(label)?.strip_suffix(' '));
            found?.parse().ok()
        };
        Some(Self {
            delivered: count("delivered")?,
            deferred: count("deferred")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::counters::Counters;

    #[test]
    fn the_report_of_a_worker_is_understood() {
        let counters = Counters::default();
        counters.delivered.add(12);
        counters.deferred.add(3);
        counters.dead.add(7);
        let expected = Report {
            delivered: 12,
            deferred: 3,
        };
        assert_eq!(
            Report::parse(&format!("stopped: {counters}")),
            Some(expected)
        );
        assert_eq!(Report::parse("worker w is delivering"), None);
    }

    #[test]
    fn the_log_line_of_a_deferral_names_the_webhook() {
        let line = r#"{"level":"DEBUG","message":"deferred","delivery_id":"d","webhook_id":"w1"}"#;
        assert_eq!(deferred_webhook(line).as_deref(), Some("w1"));
        let line = r#"{"level":"INFO","message":"attempt","webhook_id":"w1","x":"deferred"}"#;
        assert_eq!(deferred_webhook(line), None);
    }
}
