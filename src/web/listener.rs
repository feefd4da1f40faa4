//! The port: where it may be, and serving until told to stop.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connections::Bounded;
use super::router;
use crate::config::ApiToken;
use crate::web::state::AppState;

/// How long requests under way may take once the service is to stop; live streams end then.
const STOP_LIMIT: Duration = Duration::from_secs(5);

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
    #[error("cannot listen on {address}: {source}; PRISM_LISTEN takes another address")]
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
    most: usize,
}

impl Listener {
    /// Takes the port, for at most `most` connections at once. Without a token only loopback is
    /// allowed.
    pub async fn bind(
        address: SocketAddr,
        tokens: &[ApiToken],
        most: usize,
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
            most,
        })
    }

    /// Where it listens, the port that was taken included.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is cancelled, and then lets requests under way end.
    pub async fn serve(self, app: AppState, stop: CancellationToken) {
        let stopped = stop.clone();
        let serving = axum::serve(Bounded::new(self.listener, self.most), router(app))
            .with_graceful_shutdown(async move { stopped.cancelled().await });
        let cut_off = async {
            stop.cancelled().await;
            tokio::time::sleep(STOP_LIMIT).await;
        };
        tokio::select! {
            served = serving => {
                if let Err(error) = served {
                    tracing::error!(%error, "the API ended");
                }
            }
            () = cut_off => {}
        }
    }
}
