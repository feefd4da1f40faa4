//! The engine's ports on SQLite, in one process and one file.
//!
//! | file | what it does |
//! |---|---|
//! | [`database`] | opens the file for this process alone |
//! | `schema` | the tables, and how an older file is brought up to date |
//! | [`store`] | the one store behind all ports |
//! | [`writer`] | the one task that writes, in groups |
//! | `message` | messages as rows |
//! | `signals` | news of messages for whoever hands them out |
//! | [`handover`] | taking events in, and taking what comes next |
//! | [`source`] | handing out what is due, settling it |
//! | `due` | which messages that are |
//! | [`log_writer`] | the delivery log, for the engine |
//! | [`board`], [`calendars`] | what is known in memory: whose deliveries are held back, rate limits and deferrals |
//! | [`sessions`] | who is signed in to the page, in memory |
//! | [`pauses`] | which endpoints asked to be left alone |
//! | `health` | when a webhook last answered well, and its streak of failures |
//! | [`attempts`], [`deliveries`] | the record, read |
//! | `following` | the attempts as they are made: one reader for all who follow |
//! | `intake`, `delivery_log` | both, for whoever asks from outside |
//! | [`audit`] | who changed what, and when |
//! | [`statistics`] | how many attempts came to what |
//! | [`documents`] | the webhooks' documents, and telling of changes |
//! | [`subscriptions`] | the webhooks, for the engine |
//! | [`dead_letters`] | looking through the dead letters and moving them |
//! | `letter_rows` | reading them from their table |
//!
//! Everything that was answered is on the disk. A message stays in its table until it is settled;
//! that it is handed out is known in memory alone, so whatever a process leaves unsettled is there
//! for the next one.

pub mod attempts;
pub mod audit;
pub mod board;
pub mod calendars;
pub mod database;
pub mod dead_letters;
pub mod deliveries;
mod delivery_log;
pub mod documents;
mod due;
mod following;
pub mod handover;
mod health;
mod intake;
mod letter_rows;
pub mod log_writer;
mod message;
pub mod pauses;
mod schema;
pub mod sessions;
mod signals;
pub mod source;
pub mod statistics;
pub mod store;
pub mod subscriptions;
pub mod writer;

use std::sync::Arc;

use crate::engine::Ports;
use crate::engine::clock::Clock;
use crate::engine::faults::Faults;
use crate::engine::ports::{Sender, Source};
use crate::registry::documents::DocumentReader;
use crate::registry::webhooks::Webhooks;
use crate::store::audit::AuditKept;
use crate::store::following::Following;
use crate::store::retention::DeliveryLogSettings;

use attempts::Attempts;
use audit::EmbeddedAuditLog;
use board::EmbeddedBoard;
use calendars::EmbeddedCalendars;
use database::Database;
use dead_letters::DeadLetters;
use deliveries::Deliveries;
use documents::Documents;
use handover::Intake;
use log_writer::EmbeddedLogWriter;
use pauses::EmbeddedPauses;
use source::SourceHandle;
use statistics::Statistics;
use store::{ReadError, Store};
use subscriptions::EmbeddedSubscriptions;

/// How the embedded store works.
#[derive(Debug, Clone)]
pub struct EmbeddedSettings {
    /// How much of the record is kept.
    pub log: DeliveryLogSettings,
    /// How much of the audit log is kept.
    pub audit: AuditKept,
    /// The most organizations whose webhooks are kept in memory.
    pub max_organizations: u64,
    /// The most messages of each kind that are handed out and not settled.
    pub prefetch: usize,
    /// Where the time of day comes from; the engine's own, or delays would not be as it means them.
    pub clock: Clock,
}

/// Why the embedded store could not be set to work.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] database::OpenError),
    /// The database cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Everything that the program needs of a store, on one database.
#[derive(Debug, Clone)]
pub struct Embedded {
    store: Store,
    documents: Documents,
    reader: DocumentReader,
    log: Arc<EmbeddedLogWriter>,
    calendars: Arc<EmbeddedCalendars>,
    board: Arc<EmbeddedBoard>,
    pauses: EmbeddedPauses,
    following: Arc<Following<Attempts>>,
    settings: EmbeddedSettings,
}

impl Embedded {
    /// Sets a store to work; must be called on a Tokio runtime.
    pub fn start(
        database: Arc<Database>,
        reader: DocumentReader,
        settings: EmbeddedSettings,
    ) -> Result<Self, ReadError> {
        let store = Store::start(database)?;
        let log = EmbeddedLogWriter::new(store.clone(), settings.log.clone(), settings.clock);
        Ok(Self {
            documents: Documents::new(store.clone(), settings.max_organizations, settings.audit),
            log: Arc::new(log),
            calendars: Arc::default(),
            board: Arc::default(),
            pauses: EmbeddedPauses::new(store.clone(), settings.clock),
            following: Arc::new(Following::new(Attempts::new(store.clone()))),
            store,
            reader,
            settings,
        })
    }

    /// The engine's ports, with a sender of the caller's, and where it is kept that it cannot send.
    pub fn ports(&self, sender: Arc<dyn Sender>, faults: Arc<Faults>) -> Ports {
        Ports {
            handover: Arc::new(self.intake()),
            subscriptions: Arc::new(self.subscriptions()),
            log: self.log.clone(),
            calendars: self.calendars.clone(),
            board: self.board.clone(),
            pauses: Arc::new(self.pauses()),
            sender,
            faults,
        }
    }

    /// Begins to hand out messages. One source at a time.
    pub fn source(&self) -> (Source, SourceHandle) {
        source::start(&self.store, self.settings.clock, self.settings.prefetch)
    }

    /// Takes events, and what comes next.
    pub fn intake(&self) -> Intake {
        Intake::new(self.store.clone(), self.settings.clock)
    }

    /// The record, for the engine.
    pub fn log(&self) -> Arc<EmbeddedLogWriter> {
        self.log.clone()
    }

    /// The rate limits.
    pub fn calendars(&self) -> Arc<EmbeddedCalendars> {
        self.calendars.clone()
    }

    /// Whose deliveries are held back.
    pub fn board(&self) -> Arc<EmbeddedBoard> {
        self.board.clone()
    }

    /// Who asked to be left alone.
    pub fn pauses(&self) -> EmbeddedPauses {
        self.pauses.clone()
    }

    /// The webhooks, for the engine.
    pub fn subscriptions(&self) -> EmbeddedSubscriptions {
        let (documents, reader) = (self.documents.clone(), self.reader.clone());
        EmbeddedSubscriptions::new(documents, reader, self.pauses())
    }

    /// The webhooks, for commands and the API.
    pub fn webhooks(&self) -> Webhooks {
        Webhooks::new(Arc::new(self.documents.clone()), self.reader.clone())
    }

    /// The documents of the webhooks.
    pub fn documents(&self) -> &Documents {
        &self.documents
    }

    /// The attempts on record.
    pub fn attempts(&self) -> Attempts {
        Attempts::new(self.store.clone())
    }

    /// Those who follow the attempts.
    pub(super) fn following(&self) -> &Following<Attempts> {
        &self.following
    }

    /// The deliveries on record.
    pub fn deliveries(&self) -> Deliveries {
        Deliveries::new(self.store.clone(), self.settings.clock)
    }

    /// Who changed what, and when.
    pub fn audit_log(&self) -> EmbeddedAuditLog {
        EmbeddedAuditLog::new(self.store.clone(), self.settings.audit)
    }

    /// The counts of attempts.
    pub fn statistics(&self) -> Statistics {
        Statistics::new(self.store.clone())
    }

    /// The dead letters.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters::new(self.store.clone(), self.settings.clock)
    }

    /// How many messages are not settled: due, waiting for their time, or under way.
    pub async fn unsettled(&self) -> Result<u64, ReadError> {
        let sql = "SELECT count(*) FROM messages";
        self.store
            .read(|connection| connection.query_row(sql, [], |row| row.get(0)))
            .await
    }

    /// The store itself.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Ends in order, once the engine has: the source settles what it was told, then everything
    /// handed over before this call is written. The database is free when the last clone is gone.
    pub async fn close(self, source: SourceHandle) {
        source.close().await;
        self.store.close().await;
    }
}

/// A time as the tables have it: milliseconds since 1970, the beginning of the one that it is in.
fn millis(time: jiff::Timestamp) -> i64 {
    // Towards the past also before 1970.
    i64::try_from(time.as_nanosecond().div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

/// A duration in milliseconds, rounded up.
fn millis_of(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}
