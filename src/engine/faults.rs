//! The outages of our own, as the whole process sees them: told once each, asked by `/readyz`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::own_fault::{Outages, Over, OwnFault};

/// Keeps track of what this process lacks, and says in the log when that begins and ends. One for
/// all senders of a process.
#[derive(Debug, Default)]
pub struct Faults {
    outages: Mutex<Outages>,
    /// Whether there is an outage: what every request asks, without the lock.
    any: AtomicBool,
}

impl Faults {
    /// A request could not be made, by `fault`. Gives how long its delivery is put off.
    pub fn hit(&self, fault: OwnFault) -> Duration {
        let mut outages = self.lock();
        let hit = outages.hit(fault, Instant::now().into_std());
        self.any.store(true, Ordering::Relaxed);
        drop(outages);
        if hit.news {
            tracing::error!(
                fault = fault.name(),
                "{fault}; deliveries are put off meanwhile, which is no attempt"
            );
        }
        hit.delay
    }

    /// A request was made, whatever came of it.
    pub fn got_through(&self) {
        if self.any.load(Ordering::Relaxed) {
            self.end(Outages::got_through);
        }
    }

    /// Time has passed: to be called now and then.
    pub fn passed(&self) {
        if self.any.load(Ordering::Relaxed) {
            self.end(Outages::passed);
        }
    }

    /// The fault that lasts now, if any.
    pub fn current(&self) -> Option<OwnFault> {
        self.passed();
        self.lock().current()
    }

    fn end(&self, by: fn(&mut Outages, std::time::Instant) -> Option<Over>) {
        let mut outages = self.lock();
        let Some(over) = by(&mut outages, Instant::now().into_std()) else {
            return;
        };
        self.any.store(false, Ordering::Relaxed);
        drop(outages);
        tracing::info!(
            lasted = ?over.lasted,
            put_off = over.faults,
            "requests can be made again"
        );
    }

    /// Nothing panics with the lock held that would leave it half changed.
    fn lock(&self) -> MutexGuard<'_, Outages> {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
