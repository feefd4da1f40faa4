//! Crash tests: real workers, and a RabbitMQ and a Redis of each test's own, which it kills, stops
//! and cuts off while events are on their way.
//!
//! Each test publishes, does its harm in the middle of the deliveries, waits until everything has
//! come to rest, and then counts: nothing is lost, the record of attempts has no holes, and no
//! more is repeated than the promise allows. The counts are printed, one line a test.

mod account;
mod broker;
mod connection;
mod embedded;
mod plan;
mod poison;
mod publisher;
mod redis;
mod site;
mod workers;

use tokio::sync::{Semaphore, SemaphorePermit};

/// So many crash tests run at once, each with servers and workers: more would starve each other
/// on a small machine, and run into deadlines.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Waits until this test may begin; it may go on while it holds the result.
async fn turn() -> SemaphorePermit<'static> {
    TURNS.acquire().await.expect("it is never closed")
}
