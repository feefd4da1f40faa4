//! How many attempts came to what, and how long they took, by webhook and quarter of an hour.
//!
//! The record of a webhook's attempts is capped, so what happened in a day cannot be told from it.
//! Counters can, and they cost a delivery next to nothing: each worker adds up in memory what it
//! made, and adds that to the store every few seconds. A crash loses the counts of those seconds;
//! the record of attempts itself loses nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::attempt::Attempt;
use crate::domain::delivery::Trigger;
use crate::domain::outcome::Outcome;
use crate::domain::webhook::WebhookKey;

/// How long a bucket is: a quarter of an hour, in seconds. They begin with the UTC hour.
pub const BUCKET_SECONDS: i64 = 900;

/// For how many days buckets are kept, the current one included.
pub const DAYS_KEPT: i64 = 8;

/// How often a worker adds its counts to the store.
pub const COUNTED_EVERY: Duration = Duration::from_secs(2);

/// Durations fall into bins, so many to each doubling: a bin is 19 % wide.
const BINS_PER_DOUBLING: f64 = 4.0;

/// The attempts counted in a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The attempts, by the name of their outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// The attempts, by the [`bin`] of their duration.
    pub durations: BTreeMap<u16, u64>,
}

/// The counts of a time that begins at `from`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// When it begins.
    pub from: Timestamp,
    /// The counts of that time.
    pub counts: Counts,
}

/// How much of the counts is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Outcomes alone: what a list of webhooks shows.
    Outcomes,
    /// Durations as well.
    Durations,
}

impl Counts {
    /// Counts one attempt.
    pub fn count(&mut self, outcome: &str, duration: Duration) {
        // Almost always it is there already: no text is copied then.
        match self.outcomes.get_mut(outcome) {
            Some(count) => *count += 1,
            None => drop(self.outcomes.insert(outcome.to_owned(), 1)),
        }
        *self.durations.entry(bin(duration)).or_default() += 1;
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (outcome, count) in &other.outcomes {
            *self.outcomes.entry(outcome.clone()).or_default() += count;
        }
        for (bin, count) in &other.durations {
            *self.durations.entry(*bin).or_default() += count;
        }
    }

    /// How many attempts there were.
    pub fn attempts(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// How many of them the receiver took.
    pub fn delivered(&self) -> u64 {
        let name = Outcome::Delivered.name();
        self.outcomes.get(name).copied().unwrap_or(0)
    }

    /// How many of them failed.
    pub fn failed(&self) -> u64 {
        self.attempts() - self.delivered()
    }

    /// The duration that a part `share` (0 to 1) of the attempts did not exceed, within a bin's
    /// width; `None` if no durations were counted.
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let all: u64 = self.durations.values().sum();
        let wanted = share.clamp(0.0, 1.0) * all as f64;
        let mut below = 0.0;
        let mut last = None;
        for (bin, count) in &self.durations {
            let count = *count as f64;
            if below + count >= wanted && count > 0.0 {
                let (from, to) = (lower(*bin), lower(bin + 1));
                let inside = ((wanted - below) / count).clamp(0.0, 1.0);
                return Some(Duration::from_secs_f64((from + (to - from) * inside) / 1e6));
            }
            below += count;
            last = Some(*bin);
        }
        last.map(|bin| Duration::from_secs_f64(lower(bin + 1) / 1e6))
    }
}

/// The bin that a duration falls into.
pub fn bin(duration: Duration) -> u16 {
    let micros = duration.as_micros().max(1) as f64;
    // 64 doublings at most.
    (micros.log2() * BINS_PER_DOUBLING).floor() as u16
}

/// Where a bin begins, in microseconds.
fn lower(bin: u16) -> f64 {
    (f64::from(bin) / BINS_PER_DOUBLING).exp2()
}

/// The number of the bucket that a time falls into, counted from 1970.
pub fn number(at: Timestamp) -> i64 {
    at.as_second().div_euclid(BUCKET_SECONDS)
}

/// When the bucket with this number begins.
pub fn start(number: i64) -> Timestamp {
    Timestamp::from_second(number.saturating_mul(BUCKET_SECONDS)).unwrap_or(Timestamp::MAX)
}

/// Puts buckets together to wider ones: all of `from` to `until`, empty ones included. `width` is
/// to be a multiple of a bucket's.
pub fn regroup(
    buckets: &[Bucket],
    from: Timestamp,
    until: Timestamp,
    width: SignedDuration,
) -> Vec<Bucket> {
    let width = width.as_secs().max(BUCKET_SECONDS);
    let first = from.as_second().div_euclid(BUCKET_SECONDS) * BUCKET_SECONDS;
    let spans = (until.as_second() - first).max(0);
    let many = usize::try_from((spans + width - 1) / width).unwrap_or(0);
    let mut groups: Vec<Bucket> = (0i64..)
        .take(many)
        .map(|index| Bucket {
            from: Timestamp::from_second(first + index * width).unwrap_or(Timestamp::MAX),
            counts: Counts::default(),
        })
        .collect();
    for bucket in buckets {
        let index = (bucket.from.as_second() - first).div_euclid(width);
        let group = usize::try_from(index)
            .ok()
            .and_then(|index| groups.get_mut(index));
        if let Some(group) = group {
            group.counts.add(&bucket.counts);
        }
    }
    groups
}

/// The counts of a worker that are not yet in the store.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counted>);

/// Counts by webhook and number of the bucket.
pub type Counted = HashMap<WebhookKey, BTreeMap<i64, Counts>>;

impl Tally {
    /// Counts an attempt. Tests do not count: they are no traffic.
    pub fn count(&self, attempt: &Attempt) {
        if attempt.trigger == Trigger::Test {
            return;
        }
        let number = number(attempt.started_at);
        let webhook = WebhookKey {
            organization: attempt.organization.clone(),
            id: attempt.webhook_id.clone(),
        };
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = counted.entry(webhook).or_default();
        buckets
            .entry(number)
            .or_default()
            .count(&attempt.outcome, attempt.duration);
    }

    /// Takes what is to be added to the store now.
    pub fn take(&self) -> Counted {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn counted(durations: &[u64]) -> Counts {
        let mut counts = Counts::default();
        for micros in durations {
            counts.count("delivered", Duration::from_micros(*micros));
        }
        counts
    }

    #[test]
    fn attempts_are_counted_by_outcome() {
        let mut counts = counted(&[1000, 2000]);
        counts.count("timeout", Duration::from_secs(10));
        assert_eq!(
            (counts.attempts(), counts.delivered(), counts.failed()),
            (3, 2, 1)
        );
        assert_eq!(Counts::default().percentile(0.5), None);
    }

    #[test]
    fn wider_buckets_have_what_theirs_have_and_empty_ones_stay() {
        let bucket = |from, n: usize| Bucket {
            from: at(from),
            counts: counted(&vec![500; n]),
        };
        let buckets = [
            bucket(0, 1),
            bucket(900, 2),
            bucket(7200, 3),
            bucket(90_000, 9),
        ];
        let hours = regroup(&buckets, at(100), at(10_800), SignedDuration::from_hours(1));
        let attempts: Vec<u64> = hours.iter().map(|hour| hour.counts.attempts()).collect();
        assert_eq!(attempts, [3, 0, 3]);
        assert_eq!(hours[2].from, at(7200));
    }

    proptest! {
        #[test]
        fn a_percentile_is_right_within_a_bins_width(
            mut durations in proptest::collection::vec(1u64..20_000_000, 1..200),
            share in 0.01f64..1.0,
        ) {
            let found = counted(&durations).percentile(share).unwrap().as_secs_f64() * 1e6;
            durations.sort_unstable();
            let rank = ((share * durations.len() as f64).ceil() as usize).clamp(1, durations.len());
            let exact = durations[rank - 1] as f64;
            prop_assert!(found >= exact / 1.2 && found <= exact * 1.2, "{found} for {exact}");
        }
    }
}
