//! Waiting for what has no signal: ask again at short intervals until the
//! answer is there or the deadline has passed.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// How long to wait between two questions.
const INTERVAL: Duration = Duration::from_millis(10);

/// Polls `probe` until it gives a value. Panics with `what` when it has not
/// within `deadline`.
pub async fn eventually<T>(
    deadline: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    eventually_ok(deadline, what, async || probe().await.ok_or("nothing yet")).await
}

/// Polls `probe` until it succeeds. Panics with `what` and the last error when
/// it has not within `deadline`; one probe that hangs counts as not succeeding.
pub async fn eventually_ok<T, E: Display>(
    deadline: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let end = Instant::now() + deadline;
    let mut last = String::from("it was never asked");
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, probe()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(state)) => last = state.to_string(),
            Err(_) => last = format!("{last} (and the last question was not answered)"),
        }
        assert!(
            Instant::now() < end,
            "not within {deadline:?}: {what}; last state: {last}"
        );
        tokio::time::sleep(INTERVAL).await;
    }
}
