//! How a webhook did: counts and durations over time.

use std::collections::BTreeMap;

use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::operations::statistics::{Period, statistics};
use crate::store::statistics::{Counts, Detail};
use crate::web::api::answers::{ForOrganization, OfWebhook, Usual};
use crate::web::api::authentication::CurrentOrganization;
use crate::web::api::query::{Path, Query};
use crate::web::problem::Problem;
use crate::web::state::AppState;

/// Which time is wanted, and how finely divided.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::web::api) struct StatisticsQuery {
    /// From the quarter of an hour that this is in; counts are kept for eight days. By default the
    /// last day.
    #[param(value_type = String, format = DateTime, required = false)]
    since: Option<Timestamp>,
    /// To this time, which does not belong to it. By default now.
    #[param(value_type = String, format = DateTime, required = false)]
    until: Option<Timestamp>,
    /// How long each bucket is.
    #[serde(default)]
    #[param(value_type = Width, inline, required = false)]
    bucket: Width,
}

/// How long a bucket is.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
pub(in crate::web::api) enum Width {
    #[serde(rename = "15m")]
    Quarter,
    #[default]
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "6h")]
    QuarterDay,
    #[serde(rename = "1d")]
    Day,
}

impl Width {
    fn duration(self) -> SignedDuration {
        match self {
            Self::Quarter => SignedDuration::from_mins(15),
            Self::Hour => SignedDuration::from_hours(1),
            Self::QuarterDay => SignedDuration::from_hours(6),
            Self::Day => SignedDuration::from_hours(24),
        }
    }
}

/// What was counted of a webhook's attempts. Tests by hand do not count.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::web::api) struct StatisticsView {
    /// When the first bucket begins.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// When the last one ends.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// How long each bucket is, in seconds.
    bucket_seconds: i64,
    /// Everything together.
    total: CountsView,
    /// The buckets, oldest first, empty ones included.
    buckets: Vec<BucketView>,
}

/// The counts of one bucket.
#[derive(Debug, Serialize, ToSchema)]
struct BucketView {
    /// When it begins.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// What was counted in it.
    #[serde(flatten)]
    counts: CountsView,
}

/// How many attempts came to what, and how long they took.
#[derive(Debug, Serialize, ToSchema)]
struct CountsView {
    /// All attempts.
    attempts: u64,
    /// Those that the receiver took.
    delivered: u64,
    /// Those that failed.
    failed: u64,
    /// All, by their outcome.
    outcomes: BTreeMap<String, u64>,
    /// The duration that half of them did not exceed, in milliseconds, within a tenth.
    p50_ms: Option<f64>,
    /// That 95 of 100 did not exceed.
    p95_ms: Option<f64>,
    /// That 99 of 100 did not exceed.
    p99_ms: Option<f64>,
}

impl From<&Counts> for CountsView {
    fn from(counts: &Counts) -> Self {
        let percentile = |share| {
            let duration = counts.percentile(share)?;
            Some((duration.as_secs_f64() * 1e6).round() / 1e3)
        };
        Self {
            attempts: counts.attempts(),
            delivered: counts.delivered(),
            failed: counts.failed(),
            p50_ms: percentile(0.5),
            p95_ms: percentile(0.95),
            p99_ms: percentile(0.99),
            outcomes: counts.outcomes.clone(),
        }
    }
}

/// Get a webhook's statistics
///
/// Counted by the workers and added to the store every few seconds, for quarters of an hour, kept
/// for eight days. Independent of how many attempts the record keeps.
#[utoipa::path(
    get,
    path = "/webhooks/{id}/statistics",
    operation_id = "get_webhook_statistics",
    tag = "webhooks",
    params(ForOrganization, ("id" = String, Path, description = "Its id, or its name"), StatisticsQuery),
    responses(
        (status = 200, description = "The counts", body = StatisticsView),
        Usual, OfWebhook,
    )
)]
pub(in crate::web::api) async fn get(
    State(app): State<AppState>,
    CurrentOrganization(organization): CurrentOrganization,
    Path(id): Path<String>,
    Query(query): Query<StatisticsQuery>,
) -> Result<axum::Json<StatisticsView>, Problem> {
    let webhook = app.deployment.webhooks.get(&organization, &id).await?;
    let now = Timestamp::now();
    let until = query.until.unwrap_or(now);
    let day_before = until.checked_sub(SignedDuration::from_hours(24));
    let since = query.since.unwrap_or(day_before.unwrap_or(Timestamp::MIN));
    let period = Period::new(since, until, query.bucket.duration(), now);
    let (deployment, key) = (&app.deployment, &webhook.webhook.id);
    let found = statistics(deployment, &organization, key, period, Detail::Durations).await?;
    Ok(axum::Json(StatisticsView {
        from: period.from,
        until: period.until,
        bucket_seconds: period.width.as_secs(),
        total: CountsView::from(&found.total),
        buckets: found
            .buckets
            .iter()
            .map(|bucket| BucketView {
                from: bucket.from,
                counts: CountsView::from(&bucket.counts),
            })
            .collect(),
    }))
}
