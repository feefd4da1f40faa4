//! What a worker has done since it started, for its report at the end.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident: $label:literal,)*) => {
        /// Counters that only grow.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
        }

        impl fmt::Display for Counters {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut separator = "";
                $(
                    write!(f, "{separator}{} {}", self.$name.get(), $label)?;
                    separator = ", ";
                )*
                let _ = separator;
                Ok(())
            }
        }
    };
}

counters! {
    /// Events taken that keep the contract.
    events: "events",
    /// Messages that break it.
    invalid: "invalid messages",
    /// HTTP requests made.
    attempts: "attempts",
    /// Deliveries that reached their receiver.
    delivered: "delivered",
    /// Failed attempts that are to be followed by another.
    retried: "to be retried",
    /// Deliveries put off without an attempt.
    deferred: "deferred",
    /// Deliveries given up.
    dead: "dead letters",
    /// Messages recognised as repeats of something settled.
    skipped: "repeats skipped",
    /// Messages left unsettled: they go back to their queue.
    returned: "returned",
}

/// One counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one more.
    pub fn count(&self) {
        self.add(1);
    }

    /// Counts `n` more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
