//! What a process cost, from the kernel's accounting.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;

/// What draining a backlog took.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Deliveries a second, from the first arrival to the last.
    pub per_second: f64,
    /// CPU of the draining process a delivery, in microseconds, start-up included.
    pub cpu_micros: f64,
    /// The most memory that it has had resident, in MiB.
    pub peak_mib: f64,
}

impl Figures {
    /// The median of each figure.
    pub fn median(all: &[Self]) -> Self {
        let median = |figure: fn(&Self) -> f64| {
            let mut sorted: Vec<f64> = all.iter().map(figure).collect();
            sorted.sort_by(f64::total_cmp);
            sorted[sorted.len() / 2]
        };
        Self {
            per_second: median(|f| f.per_second),
            cpu_micros: median(|f| f.cpu_micros),
            peak_mib: median(|f| f.peak_mib),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            per_second,
            cpu_micros,
            peak_mib,
        } = self;
        write!(
            f,
            "{per_second:>7.0} deliveries/s, {cpu_micros:>5.1} µs of CPU a delivery, \
             {peak_mib:>5.1} MiB at most"
        )
    }
}

/// Reads what process `pid` has cost so far.
pub fn of(pid: u32, events: u64, elapsed: Duration) -> anyhow::Result<Figures> {
    let ticks = ticks(&format!("/proc/{pid}/stat"))?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak_kib: f64 = peak
        .and_then(|peak| peak.trim().strip_suffix(" kB"))
        .context("a peak")?
        .parse()?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let events = events as f64;
    Ok(Figures {
        per_second: events / elapsed.as_secs_f64(),
        cpu_micros: ticks * 10_000.0 / events,
        peak_mib: peak_kib / 1024.0,
    })
}

/// The share of the process's CPU that its main thread did not use. A process with one thread for
/// its runtime does nothing beside it but what would block: reading and writing a database.
pub fn beside_the_main_thread(pid: u32) -> anyhow::Result<f64> {
    let all = ticks(&format!("/proc/{pid}/stat"))?;
    let main = ticks(&format!("/proc/{pid}/task/{pid}/stat"))?;
    Ok(1.0 - main / all)
}

/// User and system time, in hundredths of a second.
fn ticks(path: &str) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(path).context("no such process")?;
    // The command's name, the second field, may hold spaces; it ends at the last parenthesis.
    let fields = stat.rsplit_once(") ").context("a stat line")?.1;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // They are the fields 14 and 15 of proc(5).
    Ok(fields[11].parse::<f64>()? + fields[12].parse::<f64>()?)
}
