//! The body of a request as it comes: within its time, or not at all.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use bytes::{Buf as _, Bytes};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Instant;

use super::connections::Connection;
use super::limits::PortLimits;
use super::transport::Alarm;

/// A body came too slowly.
#[derive(Debug, thiserror::Error)]
#[error("after {0:?} there was more to come")]
pub(super) struct TooSlow(Duration);

/// A body that fails with [`TooSlow`] when its client takes too long to send it.
pub(super) struct TimedBody {
    incoming: Incoming,
    connection: Arc<Connection>,
    limits: Arc<PortLimits>,
    /// Since when it is read: a client may wait until it is asked for it.
    began: Option<Instant>,
    received: u64,
    alarm: Alarm,
    failed: bool,
}

impl TimedBody {
    pub fn new(incoming: Incoming, connection: Arc<Connection>, limits: Arc<PortLimits>) -> Self {
        Self {
            incoming,
            connection,
            limits,
            began: None,
            received: 0,
            alarm: Alarm::default(),
            failed: false,
        }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.failed {
            return Poll::Ready(None);
        }
        let began = *self.began.get_or_insert_with(Instant::now);
        let time = self.limits.body_time(self.received);
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            if self.alarm.is_due(cx, began + time) {
                self.failed = true;
                return Poll::Ready(Some(Err(TooSlow(time).into())));
            }
            return Poll::Pending;
        };
        match &frame {
            Some(Ok(frame)) => {
                let came = frame.data_ref().map_or(0, |data| data.remaining());
                self.received += came as u64;
            }
            Some(Err(_)) => self.failed = true,
            None => {}
        }
        if self.incoming.is_end_stream() || frame.is_none() {
            self.connection.whole();
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        self.connection.whole();
    }
}
