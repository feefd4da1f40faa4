//! Redis: the registered webhooks, and the record of what was done.
//!
//! | file | holds |
//! |---|---|
//! | [`keys`] | the name of every key and channel |
//! | [`connection`] | one connection that mends itself, and the time limit round every call |
//! | `supervisor` | the task that mends it |
//! | [`error`] | why a call gave no result, and whether to try again |
//! | `documents` | the hash of an organization's webhooks: reading, compare-and-set, notices |
//! | `names` | the index of an organization's names |
//! | [`webhooks`] | the registered webhooks, for commands and the API |
//! | [`subscriptions`] | the registered webhooks, for the engine: cached and kept up to date |
//! | [`log_writer`] | the delivery log, for the engine: written in batches |
//! | [`attempts`] | the attempts on record, for commands and the API |
//! | `following` | the same as they are made: one reader for all who follow |
//! | [`deliveries`] | the deliveries on record, for a retry by hand |
//! | [`letters`] | the index of the dead-letter queue |
//! | [`delivery_log`] | all of the record, for whoever asks from outside |
//! | [`audit`] | who changed what, and when |
//! | [`probe`] | whether anything can be written |
//! | [`board`] | whose deliveries are held back |
//! | [`calendars`] | rate limits and deferrals, shared by all workers |
//! | [`pauses`] | which endpoints asked to be left alone |
//! | `listener` | hears what is told on channels |
//! | [`statistics`] | how many attempts came to what |
//! | `attempt_fields`, `delivery_fields` | the form of an attempt and of a delivery on record |
//! | `texts` | fields that Redis keeps as texts, read back |
//!
//! Everything here needs Redis 7 or later: before, an error inside a script hides whether it passes.
//! A cluster is not supported.

mod attempt_fields;
pub mod attempts;
pub mod audit;
pub mod board;
pub mod calendars;
pub mod connection;
pub mod deliveries;
mod delivery_fields;
pub mod delivery_log;
mod documents;
pub mod error;
mod following;
pub mod keys;
pub mod letters;
mod listener;
pub mod log_writer;
mod names;
pub mod pauses;
pub mod probe;
pub mod sessions;
pub mod statistics;
pub mod subscriptions;
mod supervisor;
mod texts;
pub mod webhooks;
