//! Keeps the one connection up.
//!
//! Connects, asks every second whether the server still answers, and reconnects for as long as it
//! takes; says once that Redis is gone and once that it is back.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, RedisResult};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::error::explain;
use crate::reconnect::Reconnect;

/// The longest that one call, or connecting, may take. A healthy Redis answers within
/// milliseconds; 2 s tells slow from gone and is well within an attempt's own time.
pub const TIME_LIMIT: Duration = Duration::from_secs(2);

/// How often the supervisor asks whether Redis still answers.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How it stands with the connection.
pub(super) enum State {
    /// Not tried yet, or just lost.
    Connecting,
    Up(Live),
    Away(RedisError),
}

/// A connection that answers.
#[derive(Clone)]
pub(super) struct Live {
    /// Counts the connections, so that a late complaint about an old one is ignored.
    pub(super) generation: u64,
    pub(super) connection: MultiplexedConnection,
}

/// Keeps one connection up.
pub(super) struct Supervisor {
    pub(super) client: Client,
    pub(super) address: Arc<str>,
}

impl Supervisor {
    /// Connects and reconnects, for ever. `failed` tells which connection failed somebody.
    pub(super) async fn run(
        &self,
        state: &watch::Sender<State>,
        mut failed: mpsc::UnboundedReceiver<u64>,
    ) {
        let mut reconnect = Reconnect::new();
        let mut reported = false;
        for generation in 0.. {
            match connect(&self.client).await {
                Ok(connection) => {
                    if std::mem::take(&mut reported) {
                        tracing::info!(redis = %self.address, "Redis can be reached again");
                    }
                    let live = Live {
                        generation,
                        connection,
                    };
                    state.send_replace(State::Up(live.clone()));
                    if supervise(live, &mut failed).await {
                        reconnect.succeeded();
                    }
                    state.send_replace(State::Connecting);
                }
                Err(error) => {
                    if !std::mem::replace(&mut reported, true) {
                        let error = explain(&error);
                        tracing::warn!(redis = %self.address, error, "Redis cannot be reached; waiting for it");
                    }
                    state.send_replace(State::Away(error));
                }
            }
            sleep(reconnect.next_wait()).await;
        }
    }
}

/// Returns once the connection is lost; `true` if it had answered before.
async fn supervise(mut live: Live, failed: &mut mpsc::UnboundedReceiver<u64>) -> bool {
    let mut answered = false;
    loop {
        tokio::select! {
            Some(generation) = failed.recv() => {
                if generation == live.generation {
                    return answered;
                }
            }
            () = sleep(HEARTBEAT) => {
                match timeout(TIME_LIMIT, ping(&mut live.connection)).await {
                    Ok(Ok(())) => answered = true,
                    _ => return answered,
                }
            }
        }
    }
}

/// Connects, and makes sure that the server serves: one that is loading its data does not.
pub(super) async fn connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    // The time limits are ours, and those of blocking commands differ.
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None);
    let connecting = async {
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        ping(&mut connection).await?;
        Ok(connection)
    };
    timeout(TIME_LIMIT, connecting).await.unwrap_or_else(|_| {
        let message = "no answer within the time limit";
        Err(std::io::Error::new(std::io::ErrorKind::TimedOut, message).into())
    })
}

async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PING").query_async::<()>(connection).await
}
