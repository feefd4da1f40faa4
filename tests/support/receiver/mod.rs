//! A receiver of webhooks on 127.0.0.1 that records what comes and answers as
//! the test scripts it, well or badly.
//!
//! It reads HTTP/1.1 with httparse rather than through a server library: the
//! test sees headers in their order, doubles included, and an answer may break
//! every rule on the wire.

mod answer;
mod connection;
mod record;
mod request;
pub mod tls;

pub use answer::{Answer, Gate};
pub use request::Received;

use super::background::Background;
use connection::{Script, serve};
use record::Record;
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;
pub use tls::Identity;
use tokio::net::TcpListener;

/// A running receiver. Dropping it closes the port and every connection.
pub struct Receiver {
    address: SocketAddr,
    identity: Option<Identity>,
    record: Arc<Record>,
    _background: Background,
}

impl Receiver {
    /// Starts one that answers each request as `script` says. The script runs
    /// once a request is read whole, in the order of arrival on a connection.
    pub fn start(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::launch(script, None)
    }

    /// Starts one that answers everything with 200.
    pub fn ok() -> Self {
        Self::start(|_| Answer::ok())
    }

    /// As [`start`](Self::start), behind TLS for `localhost` and 127.0.0.1,
    /// with a certificate that only [`ca_pem`](Self::ca_pem) vouches for.
    pub fn start_tls(script: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        Self::launch(script, Some(Identity::generate()))
    }

    fn launch(
        script: impl Fn(&Received) -> Answer + Send + Sync + 'static,
        identity: Option<Identity>,
    ) -> Self {
        let listener = StdListener::bind("127.0.0.1:0").expect("a free port");
        listener
            .set_nonblocking(true)
            .expect("a listener for tokio");
        let address = listener.local_addr().expect("the listener's address");
        let record = Arc::new(Record::default());
        let background = Background::start();
        let listener = background
            .enter(|| TcpListener::from_std(listener))
            .expect("a listener for tokio");
        let acceptor = identity.as_ref().map(Identity::acceptor);
        background.spawn(serve(
            listener,
            acceptor,
            Script::new(script),
            Arc::clone(&record),
        ));
        Self {
            address,
            identity,
            record,
            _background: background,
        }
    }

    /// Where it listens, without a path: `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        match self.identity {
            None => format!("http://{}", self.address),
            Some(_) => format!("https://localhost:{}", self.port()),
        }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The certificate to trust, in PEM. Panics for a receiver without TLS.
    pub fn ca_pem(&self) -> &str {
        let identity = self.identity.as_ref().expect("a receiver with TLS");
        identity.pem()
    }

    /// Everything received so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Arc<Received>> {
        self.record.all()
    }

    /// How many requests were received so far.
    pub fn count(&self) -> usize {
        self.record.count()
    }

    /// Waits until at least `n` requests were received and gives them all.
    /// Panics with the number that came when they have not within `deadline`.
    pub async fn wait_for(&self, n: usize, deadline: Duration) -> Vec<Arc<Received>> {
        let arrived = tokio::time::timeout(deadline, self.record.wait_for(n)).await;
        assert!(
            arrived.is_ok(),
            "not within {deadline:?}: {n} requests; {} came",
            self.count()
        );
        self.requests()
    }

    /// How often each value of a header came: of `webhook-id`, for instance.
    /// Requests without the header are not counted.
    pub fn counts_by(&self, header: &str) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for request in self.requests() {
            if let Some(value) = request.header(header) {
                *counts.entry(value).or_default() += 1;
            }
        }
        counts
    }

    /// Requests that are open now: read whole, and neither answered nor given
    /// up by the client.
    pub fn open(&self) -> usize {
        self.record.open()
    }

    /// The most requests that were open at once.
    pub fn max_open(&self) -> usize {
        self.record.max_open()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.record.connections()
    }
}
