//! The counts of attempts, in a table of their own.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::documents::registered;
use super::store::{ReadError, Store};
use super::writer::{WhenFull, Write};
use crate::domain::attempt::Attempt;
use crate::domain::ids::{Organization, WebhookId};
use crate::engine::clock::Clock;
use crate::store::statistics::{
    BUCKET_SECONDS, Bucket, COUNTED_EVERY, Counted, Counts, DAYS_KEPT, Detail, Tally, number, start,
};

/// Reads the counts.
#[derive(Debug, Clone)]
pub struct Statistics {
    store: Store,
}

impl Statistics {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    /// The buckets of a webhook from the one that `from` is in until `until`, oldest first; those
    /// with nothing in them are left out.
    pub async fn get(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        (from, until): (Timestamp, Timestamp),
        detail: Detail,
    ) -> Result<Vec<Bucket>, ReadError> {
        let (organization, webhook) = (organization.clone(), webhook.clone());
        let read = move |connection: &Connection| {
            let sql = "SELECT bucket, what, count FROM statistics WHERE organization = ? \
                       AND webhook = ? AND bucket BETWEEN ? AND ? ORDER BY bucket";
            let mut statement = connection.prepare_cached(sql)?;
            let key = params![
                organization.as_str(),
                webhook.as_str(),
                number(from),
                number(until)
            ];
            let mut rows = statement.query(key)?;
            let mut buckets: Vec<Bucket> = Vec::new();
            while let Some(row) = rows.next()? {
                let (bucket, what, count): (i64, String, u64) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                let from = start(bucket);
                if from >= until {
                    break;
                }
                if buckets.last().is_none_or(|last| last.from != from) {
                    let counts = Counts::default();
                    buckets.push(Bucket { from, counts });
                }
                let Some(last) = buckets.last_mut() else {
                    continue;
                };
                match what.parse::<u16>() {
                    Ok(_) if detail == Detail::Outcomes => {}
                    Ok(bin) => drop(last.counts.durations.insert(bin, count)),
                    Err(_) => drop(last.counts.outcomes.insert(what, count)),
                }
            }
            Ok(buckets)
        };
        self.store.read(read).await
    }
}

/// Counts attempts, and adds the counts to the store now and then.
#[derive(Debug)]
pub(super) struct Counting {
    tally: Tally,
    store: Store,
    clock: Clock,
}

impl Counting {
    /// Adds to the store what is counted, now and then, until this has gone; the store is not held
    /// any longer than that.
    pub(super) fn start(store: Store, clock: Clock) -> Arc<Self> {
        let counting = Arc::new(Self {
            tally: Tally::default(),
            store,
            clock,
        });
        let here = Arc::downgrade(&counting);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(COUNTED_EVERY).await;
                let Some(counting) = here.upgrade() else {
                    return;
                };
                counting.add_rest();
            }
        });
        counting
    }

    /// Counts an attempt.
    pub(super) fn count(&self, attempt: &Attempt) {
        self.tally.count(attempt);
    }

    /// Adds to the store what has been counted by now.
    pub(super) fn add_rest(&self) {
        add(self.tally.take(), &self.store, self.clock);
    }
}

/// Adds counts to those there are, and removes what is no longer kept. Handed to the writer;
/// nobody waits for it.
fn add(counted: Counted, store: &Store, clock: Clock) {
    if counted.is_empty() {
        return;
    }
    let oldest = number(clock.now()) - DAYS_KEPT * 86_400 / BUCKET_SECONDS;
    drop(
        store.submit(Write::new(WhenFull::WaitIfItHelps), move |connection| {
            let sql = "INSERT INTO statistics (organization, webhook, bucket, what, count) \
                       VALUES (?1, ?2, ?3, ?4, ?5) \
                       ON CONFLICT DO UPDATE SET count = count + ?5";
            let mut insert = connection.prepare_cached(sql)?;
            for (webhook, buckets) in &counted {
                if !registered(connection, webhook)? {
                    continue;
                }
                let (organization, id) = (webhook.organization.as_str(), webhook.id.as_str());
                for (bucket, counts) in buckets {
                    for (outcome, count) in &counts.outcomes {
                        insert.execute(params![organization, id, bucket, outcome, count])?;
                    }
                    for (bin, count) in &counts.durations {
                        let bin = bin.to_string();
                        insert.execute(params![organization, id, bucket, bin, count])?;
                    }
                }
            }
            let sql = "DELETE FROM statistics WHERE bucket < ?";
            connection.prepare_cached(sql)?.execute([oldest])?;
            Ok(())
        }),
    );
}
