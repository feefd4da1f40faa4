//! How long what is kept, and how much.

use std::time::Duration;

/// A webhook's good answers are noted at most this often, but for the one that ends a run of
/// failures.
pub const SUCCESS_NOTED_EVERY: Duration = Duration::from_secs(60);

/// How long the record of a webhook's failures outlives the last of them: 30 days.
pub const HEALTH_KEPT: Duration = Duration::from_secs(30 * 86_400);

/// How long Redis keeps the attempts of a webhook that has no new ones: 90 days.
pub const QUIET_KEPT: Duration = Duration::from_secs(90 * 86_400);

/// How long marks are kept in case nobody removes them: longer than a message stays unsettled.
pub const MARKS_KEPT: Duration = Duration::from_secs(86_400);

/// How long marks are kept once their event is acknowledged: that the acknowledgement was sent does
/// not prove that it arrived, and a broker that lost the worker needs its time to find out.
pub const SERVED_MARKS_KEPT: Duration = Duration::from_secs(120);

/// How long the sequence of a delivery is kept that has nothing else on record.
pub const SEQUENCE_KEPT: Duration = Duration::from_secs(3600);

/// How long a retry by hand stands in the way of another of the same delivery, should its attempt not
/// be on record sooner: its webhook may be held back.
pub const RETRY_CLAIMED: Duration = Duration::from_secs(300);

/// The same of a requeue: less, for the letters that a killed one had in hand are nobody's so long.
pub const REQUEUE_CLAIMED: Duration = Duration::from_secs(60);

/// How many entries one listing looks at before it hands back what it has: a filter that matches next
/// to nothing must not read a long record in one call. Measured: 80 ms on Redis, 8 ms on SQLite.
pub const MAX_EXAMINED: usize = 5_000;

/// How much of the record is kept, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryLogSettings {
    /// About how many attempts the stream of all webhooks keeps.
    pub attempts_kept: u64,
    /// About how many attempts the stream of one webhook keeps.
    pub attempts_kept_per_webhook: u64,
    /// How long a delivery that failed, with its body, is kept after its last change.
    pub deliveries_kept: Duration,
    /// How many bytes of bodies are kept with the deliveries of one organization; beyond that the
    /// oldest go.
    pub bodies_per_organization: u64,
    /// The most entries that are written together.
    pub batch: usize,
}

impl Default for DeliveryLogSettings {
    /// A million attempts in all, a thousand for each webhook, deliveries for a week, 64 MiB of their
    /// bodies for each organization.
    fn default() -> Self {
        Self {
            attempts_kept: 1_000_000,
            attempts_kept_per_webhook: 1_000,
            deliveries_kept: Duration::from_secs(7 * 86_400),
            bodies_per_organization: 64 << 20,
            batch: 512,
        }
    }
}
