//! What a receiver has seen.

use super::request::Received;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;

/// The requests and the gauges of one receiver.
#[derive(Debug, Default)]
pub struct Record {
    requests: Mutex<Vec<Arc<Received>>>,
    arrived: watch::Sender<usize>,
    connections: AtomicU64,
    open: AtomicUsize,
    max_open: AtomicUsize,
}

impl Record {
    /// The number of a new connection, from 1.
    pub fn connect(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Keeps a request; it is open as long as the value returned lives.
    pub fn arrive(&self, request: Arc<Received>) -> Open<'_> {
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.max_open.fetch_max(open, Ordering::SeqCst);
        let count = {
            let mut requests = self.lock();
            requests.push(request);
            requests.len()
        };
        // Two connections may come here in the other order.
        self.arrived.send_if_modified(|arrived| {
            let more = count > *arrived;
            *arrived = count.max(*arrived);
            more
        });
        Open(self)
    }

    /// Returns once `n` requests have arrived.
    pub async fn wait_for(&self, n: usize) {
        let mut arrived = self.arrived.subscribe();
        // The sender is ours: it cannot go away meanwhile.
        let _count = arrived.wait_for(|count| *count >= n).await;
    }

    pub fn all(&self) -> Vec<Arc<Received>> {
        self.lock().clone()
    }

    pub fn count(&self) -> usize {
        self.lock().len()
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub fn max_open(&self) -> usize {
        self.max_open.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Received>>> {
        self.requests
            .lock()
            .expect("nothing panics with the lock held")
    }
}

/// An open request.
#[derive(Debug)]
pub struct Open<'a>(&'a Record);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
