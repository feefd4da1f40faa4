//! Which connections have served before.
//!
//! A receiver may close an idle connection in the moment in which the next request is on its way.
//! Nobody has done anything wrong then, and the request is sent again on a new connection. On a new
//! one the same end says that the receiver did not want this request, or broke down over it.
//!
//! The client does not tell whether a connection is new. So each that is made is noted by its two
//! addresses, which no other has as long as it lives, and noted again when an answer came over it.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::{Connection, HttpInfo};
use tower_layer::Layer;
use tower_service::Service;

/// Of so many connections it is known that they served; of those that served before these, perhaps.
const KNOWN: usize = 32_768;

/// The two ends of a connection: ours and the receiver's.
type Ends = (SocketAddr, SocketAddr);

/// The connections that have served.
#[derive(Debug, Clone, Default)]
pub(super) struct Served(Arc<Mutex<Generations>>);

/// Two sets, so that what is forgotten is what did not serve for longest, without keeping times.
#[derive(Debug, Default)]
struct Generations {
    young: HashSet<Ends>,
    old: HashSet<Ends>,
}

impl Served {
    /// An answer came over this connection.
    pub fn note(&self, connection: &HttpInfo) {
        let mut known = self.lock();
        if known.young.len() >= KNOWN {
            known.old = std::mem::take(&mut known.young);
        }
        known.young.insert(ends(connection));
    }

    /// Whether an answer came over this connection before.
    pub fn has(&self, connection: &HttpInfo) -> bool {
        let (known, ends) = (self.lock(), ends(connection));
        known.young.contains(&ends) || known.old.contains(&ends)
    }

    /// A new connection: whatever had the same ends is gone.
    fn made(&self, connection: &HttpInfo) {
        let (mut known, ends) = (self.lock(), ends(connection));
        known.young.remove(&ends);
        known.old.remove(&ends);
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ends(connection: &HttpInfo) -> Ends {
    (connection.local_addr(), connection.remote_addr())
}

impl<S> Layer<S> for Served {
    type Service = Watched<S>;

    fn layer(&self, connector: S) -> Watched<S> {
        Watched {
            connector,
            served: self.clone(),
        }
    }
}

/// A connector whose connections are noted as they are made.
#[derive(Debug, Clone)]
pub(super) struct Watched<S> {
    connector: S,
    served: Served,
}

impl<S, T> Service<T> for Watched<S>
where
    S: Service<T, Response: Connection>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, target: T) -> Self::Future {
        let served = self.served.clone();
        let made = self.connector.call(target).map(move |made| {
            made.inspect(|connection| {
                let mut about = http::Extensions::new();
                connection.connected().get_extras(&mut about);
                if let Some(info) = about.get::<HttpInfo>() {
                    served.made(info);
                }
            })
        });
        made.boxed()
    }
}
