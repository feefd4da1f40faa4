//! A `worker` process and the commands, on a real broker and a real Redis. `running` has what runs
//! everything in one process.
//!
//! Receivers record what came. Nothing here looks inside; every test has a deployment of its own.

mod bounds;
mod broker;
mod deployment;
mod documents;
mod egress;
mod headers;
mod identity;
mod intake;
mod matching;
mod misbehaving;
mod publishing;
mod records;
mod secrets;
mod several;
mod topology;
mod verdicts;
mod verification;
mod webhook_commands;

use crate::support::deadline::eventually;
use crate::support::process::Process;
use crate::support::servers::redis_url;

/// A connection of the test's own to Redis, as the gateway's control plane has one.
async fn redis_connection() -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(redis_url()).expect("a URL");
    let connection = client.get_multiplexed_async_connection().await;
    connection.expect("the shared Redis lets us in")
}

/// Does `again` until the process writes a line with `part`, and gives the line.
async fn until_line(process: &mut Process, part: &str, again: impl AsyncFn()) -> String {
    eventually(deployment::SOON, part, async || {
        again().await;
        let stdout = process.stdout();
        let line = stdout.lines().find(|line| line.contains(part));
        line.map(str::to_owned)
    })
    .await
}
