//! The one task that writes: what has come together while a transaction was under way is the next.
//!
//! The more there is to write, the cheaper each job gets, and nothing waits for a timer. A group
//! that cannot be committed is taken apart, so that one bad job cannot hold up the others; a job
//! that must not be lost is tried again for as long as it takes. Transactions run on a thread for
//! blocking work; a job is answered when its commit is on the disk.

use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::database::Database;
use super::message::MessageKind;
use super::signals::Signals;
use crate::reconnect::Reconnect;

/// The most jobs in one transaction: a tenth of a second's work, so that nobody waits for long.
const MAX_JOBS: usize = 1024;

/// A transaction is closed once it has about so many bytes.
const MAX_BYTES: usize = 4 << 20;

/// What to do with a job that cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenFull {
    /// Try again for as long as it takes: it must not be lost.
    Wait,
    /// Try again while that may help; what the database will never take is refused.
    WaitIfItHelps,
    /// Refuse it at once: whoever asked can be told.
    Refuse,
}

/// How something is to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    /// What to do while the job cannot be written.
    pub(super) when_full: WhenFull,
    /// About how many bytes it takes.
    pub(super) size: usize,
    /// The messages that it adds, if it does: whoever waits for such is told.
    pub(super) adds: Option<MessageKind>,
}

impl Write {
    pub(super) fn new(when_full: WhenFull) -> Self {
        Self {
            when_full,
            size: 0,
            adds: None,
        }
    }

    pub(super) fn size(self, size: usize) -> Self {
        Self { size, ..self }
    }

    pub(super) fn adds(self, kind: MessageKind) -> Self {
        Self {
            adds: Some(kind),
            ..self
        }
    }
}

/// Why something was not written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// There is no room for it.
    #[error("the disk is full, or the database as large as it may be; make room and try again")]
    Full,
    /// The database does not take it.
    #[error("the database cannot be written to: {0}")]
    Sqlite(Arc<rusqlite::Error>),
    /// The store is closed.
    #[error("the store is closed")]
    Stopped,
}

impl WriteError {
    fn new(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Sqlite(Arc::new(error)),
        }
    }

    /// Whether the same write may succeed later.
    fn is_passing(&self) -> bool {
        let Self::Sqlite(error) = self else {
            return true;
        };
        matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
                    | ErrorCode::OutOfMemory
                    | ErrorCode::PermissionDenied
                    | ErrorCode::FileLockingProtocolFailed
                    | ErrorCode::SchemaChanged
                    | ErrorCode::OperationInterrupted
            )
        )
    }
}

/// Something for the writer.
pub(super) enum Job {
    /// To be written.
    Write(Write, Box<dyn Work>),
    /// Nothing more is to be taken; it tells that everything before it is written.
    Close(oneshot::Sender<()>),
}

/// Work on the database for somebody who waits for the result.
pub(super) trait Work: Send {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, problem: Option<WriteError>);
}

struct Asked<T, F> {
    run: F,
    result: Option<T>,
    done: oneshot::Sender<Result<T, WriteError>>,
}

impl<T: Send, F: FnMut(&Connection) -> rusqlite::Result<T> + Send> Work for Asked<T, F> {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.result = Some((self.run)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, problem: Option<WriteError>) {
        let result = match (problem, self.result) {
            (None, Some(result)) => Ok(result),
            (problem, _) => Err(problem.unwrap_or(WriteError::Stopped)),
        };
        // Whoever asked may have been stopped meanwhile.
        let _ = self.done.send(result);
    }
}

impl Job {
    /// A job and where its result will be.
    pub(super) fn new<T: Send + 'static>(
        write: Write,
        run: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> (Self, oneshot::Receiver<Result<T, WriteError>>) {
        let (done, result) = oneshot::channel();
        let work = Asked {
            run,
            result: None,
            done,
        };
        (Self::Write(write, Box::new(work)), result)
    }
}

type Group = Vec<(Write, Box<dyn Work>)>;

/// Writes what comes, in order.
pub(super) struct Writer {
    database: Arc<Database>,
    signals: Arc<Signals>,
    /// Why the last try did not go well, if so.
    writing: watch::Sender<Option<WriteError>>,
}

impl Writer {
    pub(super) fn new(
        database: Arc<Database>,
        signals: Arc<Signals>,
        writing: watch::Sender<Option<WriteError>>,
    ) -> Self {
        Self {
            database,
            signals,
            writing,
        }
    }

    /// Writes until it is closed, or nobody can ask any more.
    pub(super) async fn run(self, mut queue: mpsc::UnboundedReceiver<Job>) {
        let mut reconnect = Reconnect::new();
        let mut left = Group::new();
        let mut closing = None;
        while closing.is_none() || !left.is_empty() {
            let mut group = Group::new();
            if left.is_empty() {
                match queue.recv().await {
                    Some(job) => fill(&mut group, job, &mut queue, &mut closing),
                    None => return,
                }
            } else {
                // New jobs are tried at once: one may be refused, and somebody waits to hear.
                tokio::select! {
                    () = tokio::time::sleep(reconnect.next_wait()) => group.append(&mut left),
                    Some(job) = queue.recv(), if closing.is_none() => {
                        fill(&mut group, job, &mut queue, &mut closing);
                    }
                }
            }
            if group.is_empty() {
                continue;
            }
            let (database, signals) = (self.database.clone(), self.signals.clone());
            let writing = tokio::task::spawn_blocking(move || write(&database, &signals, group));
            // After a panic in a job its whole group is unanswered, and so not done.
            let (mut rest, problem) = writing.await.unwrap_or_default();
            // If others wait to be tried again, that new ones are written says nothing of them.
            let tried_all = left.is_empty();
            left.append(&mut rest);
            if problem.is_some() || tried_all {
                self.report(problem.as_ref());
            }
            if left.is_empty() {
                reconnect.succeeded();
            }
        }
        if let Some(closed) = closing {
            let _ = closed.send(());
        }
    }

    /// Tells how writing goes. Whenever it goes badly something waits to be tried again, so that it
    /// will be known when it goes well.
    fn report(&self, problem: Option<&WriteError>) {
        let changed = self.writing.send_if_modified(|state| {
            let changed = state.is_some() != problem.is_some();
            *state = problem.cloned();
            changed
        });
        match problem {
            Some(error) if changed => {
                tracing::warn!(%error, "the database takes no writes; deliveries wait");
            }
            None if changed => tracing::info!("the database takes writes again"),
            _ => {}
        }
    }
}

/// Adds `job` and what has come together behind it.
fn fill(
    group: &mut Group,
    job: Job,
    queue: &mut mpsc::UnboundedReceiver<Job>,
    closing: &mut Option<oneshot::Sender<()>>,
) {
    let mut size = 0;
    let mut next = Some(job);
    while let Some(job) = next.take() {
        match job {
            Job::Write(write, work) => {
                size += write.size;
                group.push((write, work));
            }
            Job::Close(done) => {
                *closing = Some(done);
                return;
            }
        }
        if group.len() < MAX_JOBS && size < MAX_BYTES {
            next = queue.try_recv().ok();
        }
    }
}

/// Writes a group and answers it. Returns the jobs that are to be tried again, and the last reason
/// why one of them was not written that is not its own fault.
fn write(database: &Database, signals: &Signals, mut group: Group) -> (Group, Option<WriteError>) {
    let mut connection = database.writer();
    if group.len() > 1 && commit(&mut connection, &mut group).is_ok() {
        answer(signals, group);
        return (Group::new(), None);
    }
    // Each by itself: it is not known whose fault it was.
    let mut left = Group::new();
    let mut trouble = None;
    for job in group {
        let mut alone = vec![job];
        match commit(&mut connection, &mut alone) {
            Ok(()) => answer(signals, alone),
            Err(error) => {
                let problem = WriteError::new(error);
                for (write, work) in alone {
                    let again = match write.when_full {
                        WhenFull::Wait => true,
                        WhenFull::WaitIfItHelps => problem.is_passing(),
                        WhenFull::Refuse => false,
                    };
                    if again {
                        if problem.is_passing() {
                            trouble = Some(problem.clone());
                        } else {
                            tracing::error!(error = %problem, "something that must be written is not taken; trying again");
                        }
                        left.push((write, work));
                    } else {
                        work.answer(Some(problem.clone()));
                    }
                }
            }
        }
    }
    (left, trouble)
}

fn commit(connection: &mut Connection, group: &mut Group) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (_, work) in group {
        work.run(&transaction)?;
    }
    transaction.commit()
}

fn answer(signals: &Signals, group: Group) {
    for (write, work) in group {
        if let Some(kind) = write.adds {
            signals.of(kind).notify_one();
        }
        work.answer(None);
    }
}

/// Returns once an entry is written. One that the database will never take is reported and counts
/// as written, so that it cannot hold up its message for ever.
pub(super) async fn recorded<T: Default>(written: Result<T, WriteError>) -> T {
    match written {
        Ok(result) => result,
        // What was not written must never be taken for written.
        Err(WriteError::Stopped) => std::future::pending().await,
        Err(error) => {
            tracing::error!(%error, "an entry of the log cannot be written and is left out");
            T::default()
        }
    }
}
