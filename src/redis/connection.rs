//! One connection to Redis that mends itself, and the time limit round every call.
//!
//! A supervisor task owns the connection. Callers use the connection of the moment and tell the supervisor
//! when it failed them. So there is one place that paces reconnecting, one that
//! says once that Redis is gone and once that it is back, and a dead peer that sends no reset is
//! noticed too.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::io::tcp::TcpSettings;
use redis::{
    Client, Cmd, ConnectionInfo, FromRedisValue, IntoConnectionInfo as _, Pipeline, RedisError,
    RedisResult, ScriptInvocation, Value,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::error::{InvalidRedisUrl, StoreError, is_permanent};
use super::supervisor::{Live, State, Supervisor, TIME_LIMIT, connect};
use crate::reconnect::Reconnect;

/// A connection to Redis that mends itself. Cloning shares it.
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    address: Arc<str>,
    state: watch::Receiver<State>,
    failed: mpsc::UnboundedSender<u64>,
    complained: AtomicBool,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection")
            .field(&self.shared.address)
            .finish()
    }
}

impl Connection {
    /// Begins to connect, in the background; must be called on a Tokio runtime. The connection is
    /// closed when the last clone is dropped.
    pub fn open(url: &str) -> Result<Self, InvalidRedisUrl> {
        let invalid = |error: RedisError| InvalidRedisUrl {
            reason: error.to_string(),
        };
        let info = url.into_connection_info().map_err(invalid)?;
        let address: Arc<str> = info.addr().to_string().into();
        let client = Client::open(tuned(info)).map_err(invalid)?;
        let (state, observer) = watch::channel(State::Connecting);
        let (failed, failures) = mpsc::unbounded_channel();
        let supervisor = Supervisor {
            client: client.clone(),
            address: address.clone(),
        };
        tokio::spawn(async move {
            tokio::select! {
                () = state.closed() => {}
                () = supervisor.run(&state, failures) => {}
            }
        });
        Ok(Self {
            shared: Arc::new(Shared {
                client,
                address,
                state: observer,
                failed,
                complained: AtomicBool::new(false),
            }),
        })
    }

    /// Whether Redis answered when it was last asked.
    pub fn is_up(&self) -> bool {
        matches!(*self.shared.state.borrow(), State::Up(_))
    }

    /// Returns once Redis answers; at once if it did when it was last asked.
    pub async fn up(&self) {
        if self.is_up() {
            return;
        }
        let mut state = self.shared.state.clone();
        if state.wait_for(|s| matches!(s, State::Up(_))).await.is_err() {
            // The supervisor is gone only when the runtime is going down.
            std::future::pending::<()>().await;
        }
    }

    /// Carries out one command.
    pub async fn call<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.within(TIME_LIMIT, |mut connection| async move {
            command.query_async(&mut connection).await
        })
        .await
    }

    /// Carries out a script, loading it if the server does not know it.
    pub async fn script<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        self.within(TIME_LIMIT, |mut connection| async move {
            script.invoke_async(&mut connection).await
        })
        .await
    }

    /// Carries out many commands in one go, each of which succeeds or fails by itself.
    pub async fn pipeline(
        &self,
        commands: &mut Pipeline,
        limit: Duration,
    ) -> Result<Vec<RedisResult<Value>>, StoreError> {
        let commands = &*commands.ignore_errors();
        self.within(limit, |mut connection| async move {
            commands.query_async(&mut connection).await
        })
        .await
    }

    /// Reads with many commands in one go, all of which must succeed.
    pub async fn read_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, StoreError> {
        self.within(TIME_LIMIT, |mut connection| async move {
            commands.query_async(&mut connection).await
        })
        .await
    }

    /// Repeats `call` until it succeeds or is refused for good, for as long as Redis is away.
    pub async fn persist<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut reconnect = Reconnect::new();
        let mut failed = false;
        loop {
            match call().await {
                Err(error) if error.is_passing() => {
                    failed = true;
                    self.warn_once(&error);
                    self.pause(&mut reconnect).await;
                }
                done => {
                    if failed {
                        self.relent();
                    }
                    return done;
                }
            }
        }
    }

    /// Waits before a call is repeated: for the supervisor if it reconnects, or else a little.
    pub(super) async fn pause(&self, reconnect: &mut Reconnect) {
        if self.is_up() {
            sleep(reconnect.next_wait()).await;
        }
        self.up().await;
    }

    /// Warns once an outage, however many callers wait. Lost connections are for the supervisor to
    /// report.
    pub(super) fn warn_once(&self, error: &StoreError) {
        let lost = matches!(error, StoreError::Away { .. } | StoreError::TimedOut { .. });
        if !lost && !self.shared.complained.swap(true, Ordering::Relaxed) {
            tracing::warn!(redis = %self.shared.address, %error, "Redis does not serve; deliveries wait");
        }
    }

    /// Says that the outage is over, once what failed in it has succeeded.
    pub(super) fn relent(&self) {
        if self.shared.complained.swap(false, Ordering::Relaxed) {
            tracing::info!(redis = %self.shared.address, "Redis serves again");
        }
    }

    /// A connection of its own, for commands that block.
    pub(super) async fn dedicated(&self) -> Result<MultiplexedConnection, StoreError> {
        connect(&self.shared.client)
            .await
            .map_err(|source| self.away(source))
    }

    /// A connection of its own, for a subscription.
    pub(super) async fn pubsub(&self) -> Result<PubSub, StoreError> {
        let connecting = self.shared.client.get_async_pubsub();
        match timeout(TIME_LIMIT, connecting).await {
            Ok(connected) => connected.map_err(|source| self.away(source)),
            Err(_) => Err(self.timed_out(TIME_LIMIT)),
        }
    }

    async fn within<T, F: Future<Output = RedisResult<T>>>(
        &self,
        limit: Duration,
        call: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, StoreError> {
        let live = self.live().await?;
        let error = match timeout(limit, call(live.connection)).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => self.classify(error),
            Err(_) => self.timed_out(limit),
        };
        if matches!(error, StoreError::Away { .. } | StoreError::TimedOut { .. }) {
            // Nobody listens only once the supervisor is gone.
            let _ = self.shared.failed.send(live.generation);
        }
        Err(error)
    }

    /// The connection of the moment: waits for one that is being made, not for one that failed.
    async fn live(&self) -> Result<Live, StoreError> {
        if let State::Up(live) = &*self.shared.state.borrow() {
            return Ok(live.clone());
        }
        let mut state = self.shared.state.clone();
        let tried = state.wait_for(|state| !matches!(state, State::Connecting));
        match timeout(TIME_LIMIT, tried).await {
            Ok(Ok(state)) => match &*state {
                State::Up(live) => Ok(live.clone()),
                State::Away(error) => Err(self.away(error.clone())),
                State::Connecting => Err(self.timed_out(TIME_LIMIT)),
            },
            _ => Err(self.timed_out(TIME_LIMIT)),
        }
    }

    fn classify(&self, error: RedisError) -> StoreError {
        if is_permanent(&error) {
            StoreError::Refused(error)
        } else if error.code().is_some() {
            StoreError::Refusing(error)
        } else {
            self.away(error)
        }
    }

    pub(super) fn away(&self, source: RedisError) -> StoreError {
        let address = self.shared.address.clone();
        StoreError::Away { address, source }
    }

    pub(super) fn timed_out(&self, limit: Duration) -> StoreError {
        let address = self.shared.address.clone();
        StoreError::TimedOut { address, limit }
    }
}

/// Small writes are not held back, and the system notices a dead peer even where we only listen.
fn tuned(info: ConnectionInfo) -> ConnectionInfo {
    let keepalive = redis::io::tcp::socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(5));
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive);
    info.set_tcp_settings(tcp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_that_cannot_be_used_is_refused_without_quoting_its_password() {
        for url in ["redis://:hunter2@", "http://:hunter2@host", "hunter2"] {
            let error = Connection::open(url).unwrap_err().to_string();
            assert!(error.contains("write it like"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[tokio::test]
    async fn nothing_that_is_printed_shows_the_password() {
        let connection = Connection::open("redis://:hunter2@127.0.0.1:1/0").unwrap();
        let error = connection
            .call::<()>(&redis::cmd("PING"))
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Away { .. }), "{error:?}");
        let shown = format!("{connection:?} {error} {error:?}");
        assert!(shown.contains("127.0.0.1:1"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
