//! The port: where it may be, and serving until told to stop.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use super::connections::{Connection, Connections, Place};
use super::limits::PortLimits;
use super::timed_body::TimedBody;
use super::transport::Transport;
use crate::config::ApiToken;
use crate::web::router;
use crate::web::state::AppState;

#[cfg(test)]
mod tests;

/// How long requests under way may take once the service is to stop; live streams end then.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// How long nothing is accepted after the system refused a connection to us.
const PAUSE: Duration = Duration::from_millis(500);

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Anybody on the network could use it.
    #[error(
        "{address} can be reached from other machines, and without a token whoever reaches it may \
         do everything: set PRISM_API_TOKEN (openssl rand -hex 32 makes one), or listen on 127.0.0.1"
    )]
    Open {
        /// Where it was to listen.
        address: SocketAddr,
    },
    /// The port cannot be had.
    #[error(
        "cannot listen on {address}: {source}; take another address or port (PRISM_LISTEN, or --listen of demo)"
    )]
    Bind {
        /// Where it was to listen.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A port, bound and not yet served.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    limits: Arc<PortLimits>,
}

impl Listener {
    /// Takes the port; its clients may take as much as `limits` say. Without a token only loopback
    /// is allowed.
    pub async fn bind(
        address: SocketAddr,
        tokens: &[ApiToken],
        limits: PortLimits,
    ) -> Result<Self, ServeError> {
        if tokens.is_empty() && !address.ip().to_canonical().is_loopback() {
            return Err(ServeError::Open { address });
        }
        let failed = |source| ServeError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            limits: Arc::new(limits),
        })
    }

    /// Where it listens, the port that was taken included.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled, and then lets requests under way end.
    pub async fn serve(self, app: AppState, stop: CancellationToken) {
        self.serve_with(router(app), stop).await;
    }

    async fn serve_with(self, router: Router, stop: CancellationToken) {
        let serving = TaskTracker::new();
        let port = Port {
            connections: Connections::new(Arc::clone(&self.limits)),
            limits: self.limits,
            router,
            stop: stop.clone(),
        };
        tokio::select! {
            () = accept(&self.listener, &port, &serving) => {}
            () = stop.cancelled() => {}
        }
        drop(self.listener);
        serving.close();
        // Whoever is not done by then is cut off with the process.
        let _ = tokio::time::timeout(STOP_LIMIT, serving.wait()).await;
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Port {
    connections: Arc<Connections>,
    limits: Arc<PortLimits>,
    router: Router,
    stop: CancellationToken,
}

/// Accepts connections for as long as it is let.
async fn accept(listener: &TcpListener, port: &Port, serving: &TaskTracker) {
    // Whether the system refuses connections at present, which is told once.
    let mut refused = false;
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_the_clients(&error) => continue,
            Err(error) => {
                if !refused {
                    tracing::error!(%error, "connections to the port cannot be accepted at present");
                }
                refused = true;
                port.connections.make_room();
                // The connection that could not be accepted is still there: at once, it would fail
                // again.
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        refused = false;
        let Some(place) = port.connections.enter() else {
            // All others are busy: dropping it refuses this one.
            tracing::debug!(%address, "too many connections to the port");
            continue;
        };
        serving.spawn(converse(stream, address, place, port.clone()));
    }
}

/// Whether a connection was gone before it could be accepted.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// Serves a connection to its end.
async fn converse(stream: TcpStream, address: SocketAddr, place: Place, port: Port) {
    // Without it an event of a live stream may wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    // Nothing is set aside for one that asks nothing.
    let begun = tokio::select! {
        readable = stream.readable() => readable.is_ok(),
        () = tokio::time::sleep(port.limits.idle) => false,
        () = place.connection().ended() => false,
        () = port.stop.cancelled() => false,
    };
    if begun {
        Box::pin(answer(stream, address, &place, port)).await;
    }
}

async fn answer(stream: TcpStream, address: SocketAddr, place: &Place, port: Port) {
    let Port {
        limits,
        router,
        stop,
        ..
    } = port;
    let connection = place.connection();
    let io = Transport::new(stream, Arc::clone(connection), Arc::clone(&limits));
    let service = service_fn(|request: Request<Incoming>| {
        let body = !request.body().is_end_stream();
        connection.asked(body);
        let client = Client {
            address,
            connection: Arc::clone(connection),
        };
        let (mut parts, incoming) = request.into_parts();
        parts.extensions.insert(client);
        let body = TimedBody::new(incoming, Arc::clone(connection), Arc::clone(&limits));
        let underway = UnderWay(Arc::clone(connection));
        let answering = router
            .clone()
            .call(Request::from_parts(parts, Body::new(body)));
        async move {
            let Ok(response) = answering.await;
            Ok::<_, Infallible>(response.map(|body| AnswerBody {
                body,
                _underway: underway,
            }))
        }
    });
    let serving = http1::Builder::new()
        .max_buf_size(PortLimits::BUFFER)
        .max_header_size(PortLimits::HEAD)
        // The transport has limits of its own, which tell a head from an idle connection.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(io), service);
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = connection.ended() => return,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%address, %error, "a connection to the port ended");
    }
}

/// Who sent a request, and on which connection.
#[derive(Debug, Clone)]
pub(in crate::web) struct Client {
    /// The other end of the connection: the client's, or that of a proxy before it.
    pub address: SocketAddr,
    connection: Arc<Connection>,
}

impl Client {
    /// The request showed a token, or needs none.
    pub fn authenticated(&self) {
        self.connection.authenticated();
    }
}

/// A request that is answered as long as this lives.
struct UnderWay(Arc<Connection>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.answered();
    }
}

/// The body of an answer.
struct AnswerBody {
    body: Body,
    _underway: UnderWay,
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
