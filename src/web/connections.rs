//! The connections to the port: a bounded number, of which idle ones make room for new ones.
//!
//! Each takes a file handle, and deliveries need those. Whoever opens a connection and asks nothing
//! may keep it as long as nobody else wants its place.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How long nothing is accepted after the system refused a connection to us.
const PAUSE: Duration = Duration::from_millis(500);

/// A port that takes a bounded number of connections at once.
pub(super) struct Bounded {
    listener: TcpListener,
    open: Arc<Mutex<OpenConnections>>,
    most: usize,
    /// Whether the system refuses connections at present, which is told once.
    refused: bool,
}

impl Bounded {
    /// At most `most` connections to `listener` at once.
    pub fn new(listener: TcpListener, most: usize) -> Self {
        Self {
            listener,
            open: Arc::default(),
            most: most.max(1),
            refused: false,
        }
    }

    async fn failed(&mut self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if matches!(
            error.kind(),
            ConnectionAborted | ConnectionRefused | ConnectionReset
        ) {
            return;
        }
        if !self.refused {
            tracing::error!(%error, "connections to the port cannot be accepted at present");
        }
        self.refused = true;
        lock(&self.open).make_room();
        // The connection that could not be accepted is still there: at once, it would fail again.
        tokio::time::sleep(PAUSE).await;
    }
}

impl Listener for Bounded {
    type Io = Counted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Counted, SocketAddr) {
        loop {
            let (stream, address) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.failed(&error).await;
                    continue;
                }
            };
            self.refused = false;
            if let Some(counted) = Counted::enter(&self.open, self.most, stream) {
                return (counted, address);
            }
            // All others are busy: dropping it refuses this one.
            tracing::debug!(%address, "too many connections to the port");
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// The connections that are open.
#[derive(Default)]
struct OpenConnections {
    next: u64,
    all: HashMap<u64, OpenConnection>,
}

struct OpenConnection {
    /// Whether the client has sent something since the last answer.
    asked: bool,
    since: Instant,
    end: CancellationToken,
}

impl OpenConnections {
    /// Ends the connection that has been idle for longest. `false` if none is idle.
    fn make_room(&mut self) -> bool {
        let idle = self.all.iter().filter(|(_, connection)| !connection.asked);
        let Some(id) = idle.min_by_key(|(_, s)| s.since).map(|(id, _)| *id) else {
            return false;
        };
        if let Some(connection) = self.all.remove(&id) {
            connection.end.cancel();
        }
        true
    }

    fn note(&mut self, id: u64, asked: bool) {
        if let Some(connection) = self.all.get_mut(&id) {
            connection.asked = asked;
            connection.since = Instant::now();
        }
    }
}

/// One connection, counted as long as it lives.
pub(super) struct Counted {
    stream: TcpStream,
    id: u64,
    open: Arc<Mutex<OpenConnections>>,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Counted {
    /// Takes a place of `most`, an idle one's if need be.
    fn enter(open: &Arc<Mutex<OpenConnections>>, most: usize, stream: TcpStream) -> Option<Self> {
        let mut all = lock(open);
        if all.all.len() >= most && !all.make_room() {
            return None;
        }
        let id = all.next;
        all.next += 1;
        let end = CancellationToken::new();
        let connection = OpenConnection {
            asked: false,
            since: Instant::now(),
            end: end.clone(),
        };
        all.all.insert(id, connection);
        drop(all);
        Some(Self {
            stream,
            id,
            open: Arc::clone(open),
            end: Box::pin(end.cancelled_owned()),
        })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        lock(&self.open).all.remove(&self.id);
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.end.as_mut().poll(cx).is_ready() {
            // As if the client had closed it.
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            lock(&self.open).note(self.id, true);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        lock(&self.open).note(self.id, false);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs))?;
        lock(&self.open).note(self.id, false);
        Poll::Ready(Ok(written))
    }
}

/// Nothing panics with the lock held that would leave it half changed.
fn lock(open: &Mutex<OpenConnections>) -> MutexGuard<'_, OpenConnections> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
