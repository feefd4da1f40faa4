//! The database file: opened for one process alone, private to its user, and durable.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError as Busy};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::schema;

/// The database's name in its directory.
const FILE: &str = "prism.db";

/// The file that whoever has the directory open holds a lock on.
const LOCK: &str = "prism.lock";

/// How many connections read beside the one that writes: deliveries are looked up while somebody
/// goes through the record.
const READERS: usize = 3;

/// Nobody else has the file open but backups and people with a shell; they are waited for so long.
const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// An open database. Its directory is free again once this is dropped.
#[derive(Debug)]
pub struct Database {
    writer: Mutex<Connection>,
    /// None in memory: what is there belongs to one connection.
    readers: Vec<Mutex<Connection>>,
    directory: PathBuf,
    _lock: Option<File>,
}

/// Why the database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the data directory {} is in use by another process; stop that one, or set PRISM_DATA_DIR \
         to a directory of this one's own", .directory.display()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// A later version of the program has written it.
    #[error(
        "the database in {} has version {found}, this program knows {}; use the newer program, or \
         another data directory", .directory.display(), schema::VERSION
    )]
    Newer {
        /// The directory.
        directory: PathBuf,
        /// Its version.
        found: usize,
    },
    /// The directory or a file in it cannot be made or opened.
    #[error("the data directory {} cannot be used: {}", .directory.display(), unusable(.source))]
    Io {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite cannot open the file.
    #[error("the database in {} cannot be opened: {}", .directory.display(), unopened(.source))]
    Sqlite {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// Why a directory cannot be used, and what mends it.
fn unusable(error: &io::Error) -> String {
    let mend = match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            "a file is in its place: set PRISM_DATA_DIR to a directory"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room on its disk",
        // Of handles for instance: what is missing says so itself.
        _ if !is_of_the_directory(error) => return error.to_string(),
        _ => "the user of this process must be able to make it and write to it (PRISM_DATA_DIR)",
    };
    format!("{error}; {mend}")
}

fn is_of_the_directory(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    let kinds = [K::NotFound, K::PermissionDenied, K::ReadOnlyFilesystem];
    kinds.contains(&error.kind())
}

/// Why SQLite cannot open its file, and what mends it.
fn unopened(error: &rusqlite::Error) -> String {
    let said = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "prism.db is damaged, or no database of this program: restore it from a backup, or set \
             PRISM_DATA_DIR to another directory"
        }
        Some(ErrorCode::DiskFull) => "its disk is full: make room",
        Some(ErrorCode::SystemIoFailure) => {
            "the disk cannot be written or read: make room if it is full, and see the system's log"
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            "its files must belong to the user of this process"
        }
        _ => return error.to_string(),
    };
    said.to_owned()
}

impl Database {
    /// Opens the database in `directory`, for this process alone. Makes both if they are not there,
    /// readable for nobody else.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io {
            directory: directory.to_owned(),
            source,
        };
        make_directory(directory).map_err(io)?;
        let lock = open_private(&directory.join(LOCK)).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse {
                    directory: directory.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let file = directory.join(FILE);
        // Made here, not by SQLite, so that it and the files that SQLite puts beside it are private.
        drop(open_private(&file).map_err(io)?);
        let opened = || -> Result<_, Result<usize, rusqlite::Error>> {
            let mut writer = connect(&file).map_err(Err)?;
            schema::migrate(&mut writer)?;
            let readers = (0..READERS).map(|_| connect(&file).map(Mutex::new));
            let readers = readers.collect::<Result<_, _>>().map_err(Err)?;
            Ok((writer, readers))
        };
        let (writer, readers) = opened().map_err(|problem| problem_with(directory, problem))?;
        Ok(Self {
            writer: Mutex::new(writer),
            readers,
            directory: directory.to_owned(),
            _lock: Some(lock),
        })
    }

    /// A database in memory, gone when this is dropped: for tests and simulations.
    pub fn in_memory() -> Result<Self, OpenError> {
        let directory = PathBuf::from(":memory:");
        let opened = || -> Result<_, Result<usize, rusqlite::Error>> {
            let mut writer = Connection::open_in_memory().map_err(Err)?;
            schema::migrate(&mut writer)?;
            Ok(writer)
        };
        let writer = opened().map_err(|problem| problem_with(&directory, problem))?;
        Ok(Self {
            writer: Mutex::new(writer),
            readers: Vec::new(),
            directory,
            _lock: None,
        })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Lets the database grow to so many bytes at most, about; beyond that it behaves as on a full
    /// disk. Never less than it has already.
    pub fn limit_size(&self, bytes: u64) -> rusqlite::Result<()> {
        let writer = self.writer();
        let page: u64 = writer.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let pages = i64::try_from(bytes.div_ceil(page)).unwrap_or(i64::MAX);
        let sql = format!("PRAGMA max_page_count = {}", pages.clamp(1, 4_294_967_294));
        writer.query_row(&sql, [], |_| Ok(()))
    }

    /// The connection that writes.
    pub(super) fn writer(&self) -> MutexGuard<'_, Connection> {
        // A panic in the middle of a transaction has rolled it back.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to read from: one that is free, if there is one.
    pub(super) fn reader(&self) -> MutexGuard<'_, Connection> {
        for reader in &self.readers {
            match reader.try_lock() {
                Ok(free) => return free,
                Err(Busy::Poisoned(free)) => return free.into_inner(),
                Err(Busy::WouldBlock) => {}
            }
        }
        let any = self.readers.first().unwrap_or(&self.writer);
        any.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn problem_with(directory: &Path, problem: Result<usize, rusqlite::Error>) -> OpenError {
    let directory = directory.to_owned();
    match problem {
        Ok(found) => OpenError::Newer { directory, found },
        Err(source) => OpenError::Sqlite { directory, source },
    }
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY_LIMIT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit is on the disk when it returns, whatever happens to the machine.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn make_directory(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn open_private(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_opening_is_refused_with_the_directory_and_the_mend_until_the_first_ends() {
        let directory = tempfile::tempdir().unwrap();
        let first = Database::open(directory.path()).unwrap();
        let error = Database::open(directory.path()).unwrap_err();
        assert!(matches!(error, OpenError::InUse { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(&*directory.path().to_string_lossy()),
            "{text}"
        );
        assert!(text.contains("PRISM_DATA_DIR"), "{text}");
        drop(first);
        Database::open(directory.path()).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn directory_and_files_are_private_to_their_user() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("deep/data");
        let _database = Database::open(&directory).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        let mut files = 0;
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            files += 1;
        }
        assert!(files >= 3, "the database, its log and the lock: {files}");
    }

    #[test]
    fn a_database_of_a_later_program_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(directory.path()).unwrap();
        database
            .writer()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        drop(database);
        let error = Database::open(directory.path()).unwrap_err();
        assert!(
            matches!(error, OpenError::Newer { found: 99, .. }),
            "{error}"
        );
    }
}
