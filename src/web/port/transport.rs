//! A connection's bytes, and how long its client may take to send and to take them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::connections::{Connection, Stage};
use super::limits::PortLimits;

/// A connection that ends when its client takes too long.
pub(super) struct Transport {
    stream: TcpStream,
    connection: Arc<Connection>,
    limits: Arc<PortLimits>,
    reading: Alarm,
    writing: Alarm,
}

impl Transport {
    pub fn new(stream: TcpStream, connection: Arc<Connection>, limits: Arc<PortLimits>) -> Self {
        Self {
            stream,
            connection,
            limits,
            reading: Alarm::default(),
            writing: Alarm::default(),
        }
    }

    /// Until when the next byte must come; `None`: nothing is waited for here.
    fn read_by(&self) -> Option<Instant> {
        let (stage, since) = self.connection.stage();
        match stage {
            Stage::Idle => Some(since + self.limits.idle),
            Stage::Head => Some(since + self.limits.head),
            Stage::Body | Stage::Answering | Stage::Taking => None,
        }
    }

    /// What a write came to.
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if result.is_ready() {
            self.connection.taken();
            self.writing = Alarm::default();
            return result;
        }
        self.connection.stuck();
        let (_, since) = self.connection.stage();
        match self.writing.is_due(cx, since + self.limits.taking) {
            true => Poll::Ready(Err(late(
                "none of the answer was taken",
                self.limits.taking,
            ))),
            false => Poll::Pending,
        }
    }
}

fn late(what: &str, limit: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} within {limit:?}"))
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if result.is_ready() {
            if buf.filled().len() > before {
                self.connection.received();
            }
            return result;
        }
        let Some(by) = self.read_by() else {
            return Poll::Pending;
        };
        match self.reading.is_due(cx, by) {
            // As if the client had closed it.
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, result)
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
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(cx, result)
    }
}

/// Wakes a task at a time that may change.
#[derive(Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Whether it is `by` yet; if not, the task is woken then.
    pub fn is_due(&mut self, cx: &mut Context<'_>, by: Instant) -> bool {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(by)));
        if sleep.deadline() != by {
            sleep.as_mut().reset(by);
        }
        sleep.as_mut().poll(cx).is_ready()
    }
}
