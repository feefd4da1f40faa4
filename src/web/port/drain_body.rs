//! The rest of a body that nobody read: of a request that was refused early.
//!
//! A connection that is closed while its client still sends is reset, and the client may never see
//! why it was refused. So the rest is read, up to a limit, before the answer goes out.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::{Buf as _, Bytes};
use futures::future::poll_fn;
use hyper::body::{Body as _, Frame, SizeHint};

/// How many bytes of the rest are read at most: whoever sends more is cut off.
const LIMIT: usize = 16 << 20;

/// How long that may take.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// Answers a request once its body has come, or as much of the rest as is put up with.
pub(in crate::web) async fn read(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    // Such a client sends nothing until it is asked to, and reading asks it to.
    let waits = parts.headers.contains_key(header::EXPECT);
    let rest = SharedBody(Arc::new(Mutex::new(State {
        body,
        begun: !waits,
        ended: false,
        failed: false,
    })));
    let request = Request::from_parts(parts, Body::new(rest.clone()));
    let mut response = next.run(request).await;
    let discarded = tokio::time::timeout(TIME_LIMIT, rest.discard()).await;
    if discarded.is_err() || rest.state().failed {
        // What is still to come of this request would be taken for the next.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// A body that the handler reads, and this the rest of.
#[derive(Clone)]
struct SharedBody(Arc<Mutex<State>>);

struct State {
    body: Body,
    /// Whether the client has been asked for it.
    begun: bool,
    ended: bool,
    failed: bool,
}

impl SharedBody {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn discard(&self) {
        let mut left = LIMIT;
        loop {
            let next = poll_fn(|context| {
                let mut state = self.state();
                match state.begun {
                    true => state.poll(context),
                    false => Poll::Ready(None),
                }
            });
            let Some(Ok(frame)) = next.await else { return };
            left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.remaining()));
            if left == 0 {
                return;
            }
        }
    }
}

impl State {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.failed |= matches!(frame, Some(Err(_)));
        self.ended = !matches!(frame, Some(Ok(_)));
        Poll::Ready(frame)
    }
}

impl hyper::body::Body for SharedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut state = self.state();
        state.begun = true;
        state.poll(cx)
    }

    fn is_end_stream(&self) -> bool {
        let state = self.state();
        state.ended || state.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.state().body.size_hint()
    }
}
