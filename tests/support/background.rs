//! A runtime of its own for what a test runs beside itself, so that neither a
//! test that blocks its thread nor a paused clock changes how a receiver or a
//! proxy behaves.

use std::future::Future;
use tokio::runtime::{Builder, Runtime};

/// One thread with a runtime; dropping it ends every task on it.
pub struct Background(Option<Runtime>);

impl Background {
    /// Starts the thread.
    pub fn start() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("test-background")
            .enable_all()
            .build()
            .expect("a runtime for the test's servers");
        Self(Some(runtime))
    }

    /// Runs a task until it ends or this value is dropped.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.0 {
            runtime.spawn(task);
        }
    }

    /// Runs `make` where sockets bind themselves to this runtime.
    pub fn enter<T>(&self, make: impl FnOnce() -> T) -> T {
        let _guard = self.0.as_ref().map(Runtime::enter);
        make()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Dropping a runtime inside another one panics; this does not.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
