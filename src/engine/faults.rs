//! The outages of our own, as the whole process sees them: told once each, asked by `/readyz`; and what
//! else it stands still for.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
    /// What is put off for want of a secret key. Apart: that requests are made ends none of it.
    keys: Mutex<Outages>,
    /// Why no messages are to be had, if so.
    no_messages: Mutex<Option<String>>,
    /// How many messages wait for the record to take something.
    waiting_for_record: AtomicUsize,
}

impl Faults {
    /// A request could not be made, by `fault`. Gives how long its delivery is put off.
    pub fn hit(&self, fault: OwnFault) -> Duration {
        let now = Instant::now().into_std();
        let hit = if fault == OwnFault::SecretKey {
            locked(&self.keys).hit(fault, now)
        } else {
            let mut outages = self.lock();
            self.any.store(true, Ordering::Relaxed);
            outages.hit(fault, now)
        };
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
        let over = locked(&self.keys).passed(Instant::now().into_std());
        if let Some(over) = over {
            tracing::info!(
                lasted = ?over.lasted,
                put_off = over.faults,
                "nothing is put off for want of a secret key any more"
            );
        }
    }

    /// The fault that lasts now, if any.
    pub fn current(&self) -> Option<OwnFault> {
        self.passed();
        let requests = self.lock().current();
        requests.or_else(|| locked(&self.keys).current())
    }

    /// No messages can be taken from their queues, for this reason; `None`: they can.
    pub fn no_messages(&self, why: Option<String>) {
        *locked(&self.no_messages) = why;
    }

    /// A message waits for the record to take something, until the guard is dropped.
    pub fn waits_for_record(&self) -> impl Drop + use<'_> {
        self.waiting_for_record.fetch_add(1, Ordering::Relaxed);
        WaitsForRecord(&self.waiting_for_record)
    }

    /// Why nothing is delivered, if that is so although requests could be made.
    pub fn standstill(&self) -> Option<String> {
        if self.waiting_for_record.load(Ordering::Relaxed) > 0 {
            return Some(
                "what is to be put on record is refused or not answered, so deliveries wait: the \
                 log of this process says why"
                    .to_owned(),
            );
        }
        let why = locked(&self.no_messages).clone();
        why.map(|why| format!("no messages can be taken from their queues: {why}"))
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

    fn lock(&self) -> MutexGuard<'_, Outages> {
        locked(&self.outages)
    }
}

/// Nothing panics with the lock held that would leave it half changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct WaitsForRecord<'a>(&'a AtomicUsize);

impl Drop for WaitsForRecord<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
