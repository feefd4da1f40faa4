//! Accepts connections, reads requests, reports and answers them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::behaviour::{Behaviour, Manner};
use super::verification::{self, Verification};
use crate::domain::secret::Secret;

/// The largest body that is read, in bytes: ten times the largest event.
const BODY_LIMIT: usize = 10 * 1024 * 1024;
/// How long the answers under way may take once the receiver is told to stop.
const GRACE: Duration = Duration::from_secs(2);
/// How long accepting pauses when the process has run out of file descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// A request that came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its method.
    pub method: Method,
    /// Its path, with the query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Whether its signatures are valid.
    pub verified: Verification,
    /// When it had come whole.
    pub at: Timestamp,
    /// How it is being answered.
    pub answered: Behaviour,
}

/// The receiver cannot listen where it was told to.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another address or port")]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    source: io::Error,
}

/// A receiver that listens, and accepts once it is run.
#[derive(Debug)]
pub struct Receiver {
    listener: TcpListener,
    address: SocketAddr,
    desk: Arc<Desk>,
}

/// What every connection needs to deal with its requests.
#[derive(Debug)]
struct Desk {
    secrets: Vec<Secret>,
    behaviour: Behaviour,
    reports: mpsc::Sender<Received>,
    requests: AtomicU64,
}

impl Receiver {
    /// Listens on `address`. Each request is verified with `secrets`, reported to `reports`, and
    /// then answered as `behaviour` says; a full channel holds up the answers.
    pub async fn bind(
        address: SocketAddr,
        secrets: Vec<Secret>,
        behaviour: Behaviour,
        reports: mpsc::Sender<Received>,
    ) -> Result<Self, BindError> {
        let failed = |source| BindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        Ok(Self {
            address: listener.local_addr().map_err(failed)?,
            listener,
            desk: Arc::new(Desk {
                secrets,
                behaviour,
                reports,
                requests: AtomicU64::new(0),
            }),
        })
    }

    /// Where it listens; the port is the one in use, also when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Receives until `stop` is over, then finishes the answers under way; those that hang or drip
    /// are broken off. Dropping the future breaks off all of them.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let stopping = CancellationToken::new();
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let desk = Arc::clone(&self.desk);
                        connections.spawn(converse(stream, desk, stopping.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(BREATH).await;
                    }
                },
            }
        }
        drop(self.listener);
        stopping.cancel();
        let rest = async { while connections.join_next().await.is_some() {} };
        let grace = GRACE.saturating_add(self.desk.behaviour.delay);
        // Whoever is not done by then is broken off with the set.
        let _ = tokio::time::timeout(grace, rest).await;
    }
}

async fn converse(stream: TcpStream, desk: Arc<Desk>, stopping: CancellationToken) {
    // Without it an answer may wait for the sender's acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| desk.receive(request, &stopping));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Breaks the connection off without an answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer is given")]
struct NoAnswer;

type Body = UnsyncBoxBody<Bytes, Infallible>;

impl Desk {
    async fn receive(
        &self,
        request: Request<Incoming>,
        stopping: &CancellationToken,
    ) -> Result<Response<Body>, NoAnswer> {
        let (head, body) = request.into_parts();
        let body = match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                let mut response = Response::new(whole("the body is too large\n".into()));
                *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                return Ok(response);
            }
            // The sender went away.
            Err(_) => return Err(NoAnswer),
        };
        let at = Timestamp::now();
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let behaviour = self.behaviour.of(number);
        let received = Received {
            verified: verification::verify(&self.secrets, &head.headers, &body, at),
            method: head.method,
            path: head.uri.to_string(),
            headers: head.headers,
            body,
            at,
            answered: behaviour.clone(),
        };
        // Without anyone to report to, it still answers.
        let _ = self.reports.send(received).await;
        answer(behaviour, stopping).await
    }
}

async fn answer(
    behaviour: Behaviour,
    stopping: &CancellationToken,
) -> Result<Response<Body>, NoAnswer> {
    tokio::time::sleep(behaviour.delay).await;
    let body = match behaviour.manner {
        Manner::Whole => whole(behaviour.answer.body),
        Manner::Drip => dripping(behaviour.answer.body, stopping.clone()),
        Manner::Hang => {
            stopping.cancelled().await;
            return Err(NoAnswer);
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = behaviour.answer.status;
    *response.headers_mut() = behaviour.answer.headers;
    Ok(response)
}

fn whole(body: Bytes) -> Body {
    Full::new(body).boxed_unsync()
}

/// One byte of `body` a second; of no body, dots without end.
fn dripping(body: Bytes, stopping: CancellationToken) -> Body {
    let second = tokio::time::interval(Duration::from_secs(1));
    let drops = stream::unfold((second, body.clone()), move |(mut second, mut rest)| {
        let dots = body.is_empty();
        async move {
            let drop = match (dots, rest.is_empty()) {
                (true, _) => Bytes::from_static(b"."),
                (false, true) => return None,
                (false, false) => rest.split_to(1),
            };
            second.tick().await;
            Some((Ok(Frame::data(drop)), (second, rest)))
        }
    });
    StreamBody::new(drops.take_until(stopping.cancelled_owned())).boxed_unsync()
}
