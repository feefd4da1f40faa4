//! The one store behind all ports: writes through the writer, reads beside it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::database::Database;
use super::signals::Signals;
use super::writer::{Job, WhenFull, Write, WriteError, Writer};

/// How long it counts whether something could be written.
const PROBE_AGAIN: Duration = Duration::from_secs(1);

/// How many bytes are written to find out whether there is room: more than most events have.
const PROBE_SIZE: usize = 128 << 10;

/// How long to wait before reading again what could not be read.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// A store at work. Dropping the last of its clones ends it like a crash: what was not answered
/// may not have happened. [`close`](Self::close) ends it in order.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    database: Arc<Database>,
    jobs: mpsc::UnboundedSender<Job>,
    writing: watch::Receiver<Option<WriteError>>,
    signals: Arc<Signals>,
    /// The highest id of a message when the store was started.
    found: i64,
    messages: AtomicI64,
    probed: Mutex<Option<(Instant, Result<(), WriteError>)>>,
    _writer: AbortOnDropHandle<()>,
}

/// The database cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the database cannot be read: {0}")]
pub struct ReadError(#[source] pub(super) rusqlite::Error);

impl Store {
    /// Sets a store to work on `database`; must be called on a Tokio runtime. One at a time: what
    /// another left unsettled counts as handed out before.
    pub fn start(database: Arc<Database>) -> Result<Self, ReadError> {
        let sql = "SELECT coalesce(max(id), 0) FROM messages";
        let found = database.writer().query_row(sql, [], |row| row.get(0));
        let found: i64 = found.map_err(ReadError)?;
        let (jobs, queue) = mpsc::unbounded_channel();
        let (state, writing) = watch::channel(None);
        let signals = Arc::<Signals>::default();
        let writer = Writer::new(database.clone(), signals.clone(), state);
        Ok(Self(Arc::new(Inner {
            database,
            jobs,
            writing,
            signals,
            found,
            messages: AtomicI64::new(found),
            probed: Mutex::default(),
            _writer: AbortOnDropHandle::new(tokio::spawn(writer.run(queue))),
        })))
    }

    /// Where the data is.
    pub fn directory(&self) -> &Path {
        self.0.database.directory()
    }

    /// Returns once everything handed to the store before this call is written; afterwards it takes
    /// no more.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.0.jobs.send(Job::Close(done)).is_ok() {
            // An error means that it has ended already.
            let _ = closed.await;
        }
    }

    /// Ids of new messages, `count` of them from the one returned: never one that was used before,
    /// so that what is remembered of a message is never taken for another's.
    pub(super) fn message_ids(&self, count: usize) -> i64 {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.0.messages.fetch_add(count, Ordering::Relaxed) + 1
    }

    /// Whether the message was there when the store was started.
    pub(super) fn was_found(&self, message: i64) -> bool {
        message <= self.0.found
    }

    pub(super) fn signals(&self) -> &Signals {
        &self.0.signals
    }

    /// Says why the database takes no writes, if so: found out by making one, for a disk that is full
    /// says so to nobody else. What was found out counts for a second.
    pub async fn writable(&self) -> Result<(), WriteError> {
        self.0.writing.borrow().clone().map_or(Ok(()), Err)?;
        let mut probed = self.0.probed.lock().await;
        if let Some((at, found)) = &*probed
            && at.elapsed() < PROBE_AGAIN
        {
            return found.clone();
        }
        let found = self.probe().await;
        *probed = Some((Instant::now(), found.clone()));
        found
    }

    async fn probe(&self) -> Result<(), WriteError> {
        let write = Write::new(WhenFull::Refuse).size(PROBE_SIZE);
        let written = self.submit(write, |connection| {
            connection.execute("INSERT INTO probe VALUES (zeroblob(?))", [PROBE_SIZE])
        });
        written.await?;
        // In a transaction of its own, or nothing would be written at all.
        let removed = self.submit(Write::new(WhenFull::Refuse), |connection| {
            connection.execute("DELETE FROM probe", [])
        });
        removed.await.map(drop)
    }

    /// Why the last write did not go well, if so, and news of that.
    pub(super) fn writing(&self) -> watch::Receiver<Option<WriteError>> {
        self.0.writing.clone()
    }

    /// Hands `run` to the writer, which calls it in a transaction with others, and again should the
    /// transaction fail. The result is durable once it is there.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        write: Write,
        run: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T, WriteError>> + Send + 'static {
        let (job, result) = Job::new(write, run);
        // The result tells of a writer that is gone.
        let _ = self.0.jobs.send(job);
        async move { result.await.unwrap_or(Err(WriteError::Stopped)) }
    }

    /// Reads on another thread than the callers'.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        let database = self.0.database.clone();
        let reading = tokio::task::spawn_blocking(move || run(&database.reader()));
        match reading.await {
            Ok(result) => result.map_err(ReadError),
            Err(problem) => match problem.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going down, and with it the caller.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Reads, and waits while that cannot be done: to take it for nothing would lose something.
    pub(super) async fn read_retrying<T: Send + 'static>(
        &self,
        what: &str,
        run: impl Fn(&Connection) -> rusqlite::Result<T> + Clone + Send + 'static,
    ) -> T {
        loop {
            match self.read(run.clone()).await {
                Ok(found) => return found,
                Err(error) => {
                    tracing::error!(%error, what, "waiting until the database can be read");
                    tokio::time::sleep(READ_AGAIN).await;
                }
            }
        }
    }
}
