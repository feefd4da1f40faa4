//! A Redis of a test's own.

use super::{PrivateServer, ports::free_ports};

/// A Redis that writes every command to disk before it answers, so that what it
/// acknowledged survives a kill. Dropping it leaves nothing running.
#[derive(Debug)]
pub struct PrivateRedis {
    server: PrivateServer,
    url: String,
}

impl PrivateRedis {
    /// Starts it and waits until it answers a PING.
    pub async fn start() -> Self {
        let [port] = free_ports();
        let mut redis = Self {
            server: PrivateServer::new("redis", vec![port]),
            url: format!("redis://127.0.0.1:{port}"),
        };
        redis.start_again().await;
        redis
    }

    /// Where it answers; the same after every restart.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops it in good order and waits until it is gone. Its data stays.
    pub async fn shutdown(&mut self) {
        // The connection ends instead of an answer.
        let _closed = command(&self.url, "SHUTDOWN").await;
        self.server.ended().await;
    }

    /// Kills it with SIGKILL and waits until it is gone. Its data stays.
    pub fn kill9(&mut self) {
        self.server.kill9();
    }

    /// Starts it again on the same port and data.
    pub async fn start_again(&mut self) {
        let url = self.url.clone();
        // An error is also what it says while it still loads its data.
        self.server
            .start(async || command(&url, "PING").await)
            .await;
    }
}

async fn command(url: &str, name: &str) -> redis::RedisResult<()> {
    let mut connection = redis::Client::open(url)?
        .get_multiplexed_async_connection()
        .await?;
    redis::cmd(name).exec_async(&mut connection).await
}
