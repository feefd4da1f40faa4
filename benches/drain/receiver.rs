//! The receiver of the bench: answers 200 at once, over keep-alive, and counts.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// A running receiver.
pub struct Receiver {
    port: u16,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    arrived: AtomicU64,
    wanted: AtomicU64,
    done: Notify,
    span: std::sync::Mutex<Option<(Instant, Instant)>>,
}

impl Receiver {
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let counts = Arc::<Counts>::default();
        counts.wanted.store(u64::MAX, Ordering::SeqCst);
        tokio::spawn({
            let counts = counts.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(serve(TokioIo::new(stream), counts.clone()));
                }
            }
        });
        Ok(Self { port, counts })
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// Waits until `n` requests have come.
    pub async fn arrived(&self, n: u64) {
        let done = self.counts.done.notified();
        self.counts.wanted.store(n, Ordering::SeqCst);
        if self.counts.arrived.load(Ordering::SeqCst) < n {
            done.await;
        }
    }

    /// From the first arrival to the last.
    pub fn elapsed(&self) -> Duration {
        let span = self
            .counts
            .span
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        span.map(|(first, last)| last - first).unwrap_or_default()
    }
}

async fn serve(stream: TokioIo<tokio::net::TcpStream>, counts: Arc<Counts>) {
    let answer = service_fn(|request: Request<Incoming>| {
        let counts = counts.clone();
        async move {
            let _ = request.into_body().collect().await;
            counts.count();
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(stream, answer)
        .await;
}

impl Counts {
    fn count(&self) {
        let arrived = self.arrived.fetch_add(1, Ordering::SeqCst) + 1;
        if arrived == 1 || arrived >= self.wanted.load(Ordering::SeqCst) {
            let now = Instant::now();
            let mut span = self
                .span
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let first = span.map_or(now, |(first, _)| first);
            *span = Some((first, now));
            if arrived > 1 {
                self.done.notify_one();
            }
        }
    }
}
