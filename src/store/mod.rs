//! What a deployment keeps, and the traits that keep it: the other side of the seam from the engine's
//! ports, for whoever asks from outside.
//!
//! | file | what it says |
//! |---|---|
//! | [`intake`] | taking in what is to be delivered |
//! | [`delivery_log`] | attempts and deliveries on record, and how to read them |
//! | [`cursor_key`] | what places in the record are sealed with |
//! | [`entry`] | where an attempt stands in the record |
//! | [`following`] | attempts as they are made, for any number of followers |
//! | [`search`] | looking through the whole record, part by part |
//! | [`retention`] | how long what is kept |
//! | [`statistics`] | how many attempts came to what |
//! | [`successes`] | which good answers are noted |
//! | [`sessions`] | who is signed in to the page |
//! | [`audit`] | who changed what, and when |
//! | [`dead_letters`] | what was given up, and how to look through it and move it |
//! | `to_its_end` | work that goes on to its end, whoever waits for it |
//! | [`letter_index`] | what is in a dead-letter queue, without taking it out |
//!
//! Each trait is implemented twice: in [`rabbitmq`](crate::rabbitmq) or [`redis`](crate::redis), and
//! in [`embedded`](crate::embedded); but for the index, which a queue alone needs.

pub mod audit;
pub mod cursor_key;
pub mod dead_letters;
pub mod delivery_log;
pub mod entry;
pub mod following;
pub mod intake;
pub mod letter_index;
pub mod retention;
pub mod search;
pub mod sessions;
pub mod statistics;
pub mod successes;
mod to_its_end;

pub(crate) use to_its_end::to_its_end;

/// A store gave no answer, or refused; its own error says which and what mends it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Unavailable(Box<dyn std::error::Error + Send + Sync>);

impl Unavailable {
    /// Wraps the store's own error, whose text names cause and mend.
    pub fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }

    /// The store's own error.
    pub fn cause(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        &*self.0
    }
}
