//! The rest of a body that nobody read: of a request that was refused early.
//!
//! A connection that is closed while its client still sends is reset, and the client may never see
//! why it was refused. So the rest is read, up to a limit, before the answer goes out.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use futures::{StreamExt as _, stream};

/// How many bytes of the rest are read at most: whoever sends more is cut off.
const LIMIT: usize = 16 << 20;

/// How long that may take.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// Answers a request once its body has come, or as much of the rest as is put up with.
pub(super) async fn read(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    // Such a client sends nothing until it is asked to, and reading asks it to.
    let waits = parts.headers.contains_key(header::EXPECT);
    let body = Arc::new(Mutex::new(SharedBody {
        chunks: body.into_data_stream().fuse(),
        begun: !waits,
    }));
    let shared = Arc::clone(&body);
    let chunks = stream::poll_fn(move |context| {
        let mut body = shared.lock().unwrap_or_else(PoisonError::into_inner);
        body.begun = true;
        body.chunks.poll_next_unpin(context)
    });
    let request = Request::from_parts(parts, Body::from_stream(chunks));
    let response = next.run(request).await;
    // Either way there is an answer.
    let _ = tokio::time::timeout(TIME_LIMIT, discard(&body)).await;
    response
}

/// A body that the handler reads, and this the rest of.
struct SharedBody {
    chunks: stream::Fuse<axum::body::BodyDataStream>,
    /// Whether the client has been asked for it.
    begun: bool,
}

async fn discard(body: &Mutex<SharedBody>) {
    let mut left = LIMIT;
    let rest = stream::poll_fn(|context| {
        let mut body = body.lock().unwrap_or_else(PoisonError::into_inner);
        if body.begun {
            body.chunks.poll_next_unpin(context)
        } else {
            std::task::Poll::Ready(None)
        }
    });
    let mut rest = std::pin::pin!(rest);
    while let Some(Ok(chunk)) = rest.next().await {
        left = left.saturating_sub(chunk.len());
        if left == 0 {
            return;
        }
    }
}
