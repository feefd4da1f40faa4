//! The counts of attempts: two hashes for each webhook and UTC day, which expire.
//!
//! Fields are `<bucket>.<outcome>` in one and `<bucket>.<bin>` in the other; the bucket is counted
//! from 1970, so that a field says its time by itself.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use redis::{Pipeline, cmd};

use super::connection::Connection;
use super::error::StoreError;
use super::keys::Keys;
use crate::domain::ids::{Organization, WebhookId};
use crate::domain::webhook::WebhookKey;
use crate::store::statistics::{BUCKET_SECONDS, Bucket, Counts, DAYS_KEPT, Detail, number, start};

/// How many buckets a day has.
const A_DAY: i64 = 86_400 / BUCKET_SECONDS;

/// Reads the counts.
#[derive(Debug, Clone)]
pub struct Statistics {
    connection: Connection,
    keys: Keys,
}

impl Statistics {
    /// The counts of the deployment whose keys these are.
    pub fn new(connection: Connection, keys: Keys) -> Self {
        Self { connection, keys }
    }

    /// The buckets of a webhook from the one that `from` is in until `until`, oldest first; those
    /// with nothing in them are left out.
    pub async fn get(
        &self,
        organization: &Organization,
        webhook: &WebhookId,
        (from, until): (Timestamp, Timestamp),
        detail: Detail,
    ) -> Result<Vec<Bucket>, StoreError> {
        let (first, end) = (number(from), number(until) + 1);
        let oldest = number(Timestamp::now()).div_euclid(A_DAY) - DAYS_KEPT;
        let days = first.div_euclid(A_DAY).max(oldest)..=(end - 1).div_euclid(A_DAY);
        let mut found: BTreeMap<i64, Counts> = BTreeMap::new();
        for day in days {
            let key = self.keys.outcomes(organization, webhook, day);
            for (field, count) in self.hash(&key).await? {
                if let Some((bucket, outcome)) = split(&field) {
                    let counts = found.entry(bucket).or_default();
                    counts.outcomes.insert(outcome.to_owned(), count);
                }
            }
            if detail == Detail::Outcomes {
                continue;
            }
            let key = self.keys.durations(organization, webhook, day);
            for (field, count) in self.hash(&key).await? {
                if let Some((bucket, Ok(bin))) = split(&field).map(|(b, bin)| (b, bin.parse())) {
                    found
                        .entry(bucket)
                        .or_default()
                        .durations
                        .insert(bin, count);
                }
            }
        }
        let wanted = found
            .into_iter()
            .filter(|(bucket, _)| (first..end).contains(bucket) && start(*bucket) < until);
        let buckets = wanted.map(|(bucket, counts)| Bucket {
            from: start(bucket),
            counts,
        });
        Ok(buckets.collect())
    }

    async fn hash(&self, key: &str) -> Result<HashMap<String, u64>, StoreError> {
        let mut command = cmd("HGETALL");
        command.arg(key);
        self.connection.call(&command).await
    }
}

fn split(field: &str) -> Option<(i64, &str)> {
    let (bucket, what) = field.split_once('.')?;
    Some((bucket.parse().ok()?, what))
}

/// Adds the commands that add counts to those there are. Returns about how many bytes they take.
pub(super) fn add(
    keys: &Keys,
    webhook: &WebhookKey,
    bucket: i64,
    counts: &Counts,
    pipeline: &mut Pipeline,
) -> usize {
    let WebhookKey { organization, id } = webhook;
    let day = bucket.div_euclid(A_DAY);
    let outcomes = keys.outcomes(organization, id, day);
    for (outcome, count) in &counts.outcomes {
        let field = format!("{bucket}.{outcome}");
        pipeline
            .cmd("HINCRBY")
            .arg(&outcomes)
            .arg(field)
            .arg(*count);
    }
    let durations = keys.durations(organization, id, day);
    for (bin, count) in &counts.durations {
        let field = format!("{bucket}.{bin}");
        pipeline
            .cmd("HINCRBY")
            .arg(&durations)
            .arg(field)
            .arg(*count);
    }
    // One more: the end of a day is kept as long as its beginning.
    let seconds = (DAYS_KEPT + 1) * 86_400;
    for key in [&outcomes, &durations] {
        // From its beginning on: what comes later does not prolong it.
        pipeline.cmd("EXPIRE").arg(key).arg(seconds).arg("NX");
    }
    100 * (counts.outcomes.len() + counts.durations.len() + 2)
}

/// The first and the last day of which something may be kept at `now`.
pub(super) fn days(now: Timestamp) -> (i64, i64) {
    let today = number(now).div_euclid(A_DAY);
    (today - DAYS_KEPT, today + 1)
}

/// The keys of everything that is kept of a webhook's counts at `now`.
pub(super) fn kept(keys: &Keys, webhook: &WebhookKey, now: Timestamp) -> Vec<String> {
    let (first, last) = days(now);
    let WebhookKey { organization, id } = webhook;
    (first..=last)
        .flat_map(|day| {
            [
                keys.outcomes(organization, id, day),
                keys.durations(organization, id, day),
            ]
        })
        .collect()
}
