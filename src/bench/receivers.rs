//! The process that receives, seen from here.

use std::time::Duration;

use tokio::time::Instant;

use super::child::{Child, PROMPTLY, own_program};
use super::clock;
use super::error::BenchError;
use super::receiving::{Answer, Got};

/// How often it is asked how much has come.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// A running process that receives on many endpoints.
pub struct Receivers {
    child: Child,
    ports: Vec<u16>,
}

/// How many requests an endpoint got, and how many of them it answered 200.
pub type Counts = (u64, u64);

impl Receivers {
    /// Starts it with so many endpoints.
    pub async fn start(endpoints: u64) -> Result<Self, BenchError> {
        let mut command = own_program()?;
        command.args([
            "bench-part",
            "receiver",
            "--endpoints",
            &endpoints.to_string(),
        ]);
        let mut child = Child::start("the receiver", command, |_| {})?;
        let line = child.line(PROMPTLY).await?;
        let ports = serde_json::from_str(&line).map_err(|_| child.nonsense(&line))?;
        Ok(Self { child, ports })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How many endpoints it has.
    pub fn endpoints(&self) -> usize {
        self.ports.len()
    }

    /// The URL of an endpoint that answers so.
    pub fn url(&self, endpoint: usize, answer: Answer) -> String {
        format!("http://127.0.0.1:{}{}", self.ports[endpoint], answer.path())
    }

    /// Waits until what came to each endpoint is `enough`, at most for `limit`. Whether it is.
    pub async fn until(
        &mut self,
        limit: Duration,
        mut enough: impl FnMut(&[Counts]) -> bool,
    ) -> Result<bool, BenchError> {
        let end = Instant::now() + limit;
        loop {
            let counts: Vec<Counts> = self.ask("counts").await?;
            if enough(&counts) {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Waits until it has answered 200 to so many requests in all, at most for `limit`.
    pub async fn until_taken(&mut self, count: u64, limit: Duration) -> Result<bool, BenchError> {
        let all = |counts: &[Counts]| counts.iter().map(|(_, taken)| taken).sum::<u64>();
        self.until(limit, |counts| all(counts) >= count).await
    }

    /// Reports what each endpoint got.
    pub async fn report(&mut self) -> Result<Vec<Got>, BenchError> {
        self.ask("report").await
    }

    async fn ask<T: serde::de::DeserializeOwned>(&mut self, what: &str) -> Result<T, BenchError> {
        self.child.tell(what).await?;
        let line = self.child.line(PROMPTLY).await?;
        serde_json::from_str(&line).map_err(|_| self.child.nonsense(&line))
    }
}

/// From the first arrival to the last answer, in seconds; `None` if nothing was answered.
pub fn seconds_of(got: &[Got]) -> Option<f64> {
    let first = got.iter().filter_map(|got| got.first_arrival).min()?;
    let last = got.iter().filter_map(|got| got.last_taken).max()?;
    Some(clock::seconds(first, last))
}

/// How many requests were answered 200.
pub fn taken(got: &[Got]) -> u64 {
    got.iter().map(|got| got.taken).sum()
}

/// How long each request took from its publish to its coming, in milliseconds, in the order of the
/// publishes. `missing` more have not come, and count as having taken at least `waited`.
pub fn latencies(got: &[Got], missing: u64, waited: Duration) -> Vec<f64> {
    let mut times: Vec<(u64, u64)> = got.iter().flat_map(|got| got.times.clone()).collect();
    times.sort_unstable();
    let came = times
        .iter()
        .map(|(published, came)| clock::millis(*published, *came));
    let lost = std::iter::repeat_n(
        waited.as_secs_f64() * 1000.0,
        usize::try_from(missing).unwrap_or(0),
    );
    came.chain(lost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_come_counts_as_late_as_it_was_waited_for() {
        let got = Got {
            times: vec![(2_000_000, 9_000_000), (1_000_000, 2_500_000)],
            ..Got::default()
        };
        let found = latencies(&[got], 1, Duration::from_secs(3));
        assert_eq!(found, [1.5, 7.0, 3000.0]);
    }

    #[test]
    fn the_time_of_a_drain_is_from_the_first_arrival_to_the_last_answer_anywhere() {
        let got = |first, last| Got {
            first_arrival: Some(first),
            last_taken: Some(last),
            ..Got::default()
        };
        let all = [
            got(5_000_000_000, 6_000_000_000),
            Got::default(),
            got(4_000_000_000, 5_500_000_000),
        ];
        assert_eq!(seconds_of(&all), Some(2.0));
        assert_eq!(seconds_of(&[Got::default()]), None);
    }
}
