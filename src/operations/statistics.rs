//! How a webhook did over a time: counts in buckets of one width, and all of them together.

use jiff::{SignedDuration, Timestamp};

use super::deployment::Deployment;
use crate::domain::ids::{Organization, WebhookId};
use crate::store::Unavailable;
use crate::store::statistics::{
    BUCKET_SECONDS, Bucket, Counts, DAYS_KEPT, Detail, number, regroup, start,
};

/// A time, and how finely it is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its beginning, which is that of a quarter of an hour.
    pub from: Timestamp,
    /// Its end, which does not belong to it.
    pub until: Timestamp,
    /// The width of a bucket: a multiple of a quarter of an hour.
    pub width: SignedDuration,
}

/// What was counted in a period.
#[derive(Debug)]
pub struct Statistics {
    /// The period.
    pub period: Period,
    /// Its buckets, oldest first, empty ones included.
    pub buckets: Vec<Bucket>,
    /// All of them together.
    pub total: Counts,
}

impl Period {
    /// The time from `from` until `until` as far as counts are kept of it at `now`.
    pub fn new(from: Timestamp, until: Timestamp, width: SignedDuration, now: Timestamp) -> Self {
        let oldest = start(number(now) - DAYS_KEPT * 86_400 / BUCKET_SECONDS);
        let end = start(number(now) + 1);
        Self {
            from: start(number(from.clamp(oldest, end))),
            until: until.clamp(oldest, end),
            width,
        }
    }

    /// The last `many` buckets of this width, the one of `now` included.
    pub fn last(many: i32, width: SignedDuration, now: Timestamp) -> Self {
        let end = start(number(now) + 1);
        Self::new(end - width * many, end, width, now)
    }
}

/// Reads what was counted of a webhook in a period.
pub async fn statistics(
    deployment: &Deployment,
    organization: &Organization,
    webhook: &WebhookId,
    period: Period,
    detail: Detail,
) -> Result<Statistics, Unavailable> {
    let log = &deployment.delivery_log;
    let time = (period.from, period.until);
    let found = log.statistics(organization, webhook, time, detail).await?;
    let mut total = Counts::default();
    for bucket in &found {
        total.add(&bucket.counts);
    }
    Ok(Statistics {
        period,
        buckets: regroup(&found, period.from, period.until, period.width),
        total,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_no_longer_than_counts_are_kept() {
        let now: Timestamp = "2026-03-10T12:34:56Z".parse().unwrap();
        let hour = SignedDuration::from_hours(1);
        let all = Period::new(Timestamp::MIN, Timestamp::MAX, hour, now);
        assert_eq!(all.from.to_string(), "2026-03-02T12:30:00Z");
        assert_eq!(all.until.to_string(), "2026-03-10T12:45:00Z");
        let day = Period::last(24, hour, now);
        assert_eq!(day.from.to_string(), "2026-03-09T12:45:00Z");
        assert_eq!(regroup(&[], day.from, day.until, day.width).len(), 24);
        let none = Period::new(now, Timestamp::MIN, hour, now);
        assert_eq!(regroup(&[], none.from, none.until, none.width).len(), 0);
    }
}
