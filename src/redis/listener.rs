//! Listens to channels, and subscribes again whenever that is lost.

use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt as _;
use redis::Value;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::connection::Connection;
use super::error::StoreError;
use super::supervisor::TIME_LIMIT;
use crate::reconnect::Reconnect;

/// How often the subscription asks whether Redis still answers. A peer that died without a word
/// holds back messages for this long and one time limit.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Listens to channels.
pub(super) struct Listener<B, H> {
    pub(super) connection: Connection,
    pub(super) channels: Vec<String>,
    /// The subject of the messages, for the log.
    pub(super) what: &'static str,
    /// Called whenever it begins to listen: something may have been missed.
    pub(super) begins: B,
    /// Called with the channel and each message.
    pub(super) hears: H,
}

impl<B, H> Listener<B, H>
where
    B: Fn() + Send + Sync + 'static,
    H: Fn(&str, &[u8]) + Send + Sync + 'static,
{
    /// Listens in the background until the handle is dropped; must be called on a Tokio runtime.
    pub(super) fn start(self) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tokio::spawn(self.run()))
    }

    async fn run(self) {
        let mut reconnect = Reconnect::new();
        let mut reported = false;
        let what = self.what;
        loop {
            let Err(error) = self.listen(&mut reconnect, &mut reported).await;
            if !std::mem::replace(&mut reported, true) {
                tracing::warn!(%error, "{what} are not heard of; subscribing again");
            }
            self.connection.pause(&mut reconnect).await;
        }
    }

    /// Listens until the subscription is lost.
    async fn listen(
        &self,
        reconnect: &mut Reconnect,
        reported: &mut bool,
    ) -> Result<Infallible, StoreError> {
        let (mut sink, mut messages) = self.connection.pubsub().await?.split();
        self.answered(sink.subscribe(&self.channels)).await?;
        (self.begins)();
        if std::mem::take(reported) {
            tracing::info!("{} are heard of again", self.what);
        }
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => {
                        (self.hears)(message.get_channel_name(), message.get_payload_bytes());
                    }
                    None => return Err(self.closed()),
                },
                () = sleep(HEARTBEAT) => {
                    self.answered(sink.ping::<Value>()).await?;
                    reconnect.succeeded();
                }
            }
        }
    }

    async fn answered<T>(
        &self,
        call: impl Future<Output = redis::RedisResult<T>>,
    ) -> Result<T, StoreError> {
        match timeout(TIME_LIMIT, call).await {
            Ok(result) => result.map_err(|source| self.connection.away(source)),
            Err(_) => Err(self.connection.timed_out(TIME_LIMIT)),
        }
    }

    fn closed(&self) -> StoreError {
        let error = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        self.connection.away(error.into())
    }
}
