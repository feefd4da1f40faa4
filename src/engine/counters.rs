//! What a worker has done since it started, for its report at the end.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::admission::Why;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident: $label:literal,)*) => {
        /// Counters that only grow.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
            /// The deliveries put off, by why.
            deferred_for: [Counter; Why::ALL.len()],
        }

        impl fmt::Display for Counters {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut separator = "";
                $(
                    write!(f, "{separator}{} {}", self.$name.get(), $label)?;
                    separator = ", ";
                )*
                let mut separator = "; deferred: ";
                for (why, count) in self.deferred_for() {
                    if count > 0 {
                        write!(f, "{separator}{count} for {}", why.name())?;
                        separator = ", ";
                    }
                }
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

impl Counters {
    /// Counts one more delivery put off.
    pub fn put_off(&self, why: Why) {
        self.deferred.count();
        self.deferred_for[why as usize].count();
    }

    /// How many deliveries were put off, by why.
    pub fn deferred_for(&self) -> impl Iterator<Item = (Why, u64)> + '_ {
        let counts = self.deferred_for.iter().map(Counter::get);
        Why::ALL.into_iter().zip(counts)
    }
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
