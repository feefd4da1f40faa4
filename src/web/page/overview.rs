//! How a webhook does: deliveries over time, and how long its endpoint takes.

use axum::extract::{Path, Query, State};
use axum::response::Html;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use serde::Deserialize;

use super::attempts::outcome;
use super::chart::{OutcomeGroup, percentiles, stacked};
use super::error::PageError;
use super::layout::{millis, time};
use super::visitor::Visitor;
use super::webhook::{Tab, about, find, held_back_notice, last_attempt};
use crate::domain::attempt::Attempt;
use crate::operations::statistics::{Period, Statistics, statistics};
use crate::store::statistics::{Bucket, Counts, Detail};
use crate::web::state::AppState;

/// The time that is looked at.
#[derive(Debug, Default, Deserialize)]
pub struct PeriodChoice {
    #[serde(default)]
    period: String,
}

/// The times that can be looked at: name, title, how many buckets of how many minutes.
const PERIODS: [(&str, &str, i32, i64); 3] = [
    ("6h", "Last 6 hours", 24, 15),
    ("day", "Last day", 48, 30),
    ("week", "Last week", 56, 180),
];

/// The overview.
pub async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(wanted): Query<PeriodChoice>,
) -> Result<Html<String>, PageError> {
    let webhook = find(&app, &visitor, &id).await?;
    let (organization, key) = (&visitor.organization, &webhook.webhook.id);
    let chosen = PERIODS.iter().find(|(name, ..)| *name == wanted.period);
    let (name, title, many, minutes) = *chosen.unwrap_or(&PERIODS[1]);
    let width = SignedDuration::from_mins(minutes);
    let period = Period::last(many, width, Timestamp::now());
    let deployment = &app.deployment;
    let found = statistics(deployment, organization, key, period, Detail::Durations).await?;
    let last = last_attempt(&app, &visitor, key).await?;
    let content = html! {
        (held_back_notice(&app, &visitor, &webhook).await?)
        nav.periods aria-label="Period" {
            @for (own, title, ..) in PERIODS {
                a.button.small href={ "/webhooks/" (webhook.document.id) "?period=" (own) } aria-current=[(own == name).then_some("true")] { (title) }
            }
        }
        (facts(&found.total, last.as_ref()))
        @if found.total.attempts() == 0 { (nothing(title)) } @else { (pictures(title, &found)) }
    };
    Ok(about(&visitor, &webhook, Tab::Overview, &content))
}

/// The part that arrived, in per cent.
pub fn success_rate(counts: &Counts) -> Option<String> {
    let attempts = counts.attempts();
    if attempts == 0 {
        return None;
    }
    let share = counts.delivered() as f64 / attempts as f64 * 100.0;
    // Rounded down: 100 % is said of nothing that failed.
    Some(format!("{} %", (share * 10.0).floor() / 10.0))
}

fn duration(counts: &Counts, share: f64) -> String {
    let duration = counts.percentile(share);
    duration.map_or_else(
        || "none".to_owned(),
        |duration| millis(duration.as_secs_f64() * 1e3),
    )
}

fn facts(total: &Counts, last: Option<&Attempt>) -> Markup {
    html! {
        dl.card.facts.large {
            div { dt { "Attempts" } dd { (total.attempts()) } }
            div { dt { "Success rate" } dd { (success_rate(total).unwrap_or_else(|| "none".to_owned())) } }
            div { dt { "Half took at most" } dd { (duration(total, 0.5)) } }
            div { dt { "95 % took at most" } dd { (duration(total, 0.95)) } }
            div { dt { "99 % took at most" } dd { (duration(total, 0.99)) } }
            div { dt { "Last attempt" } dd { @match last { Some(last) => { (time(last.started_at)) " " (outcome(last)) }, None => "none yet" } } }
        }
    }
}

fn nothing(title: &str) -> Markup {
    html! {
        div.card {
            h2 { "Nothing was sent in this time" }
            p { (title) ": no event came that this webhook subscribes to. Send a test with the button above, or publish an event:" }
            pre { "prism-webhooks publish request.completed" }
        }
    }
}

fn pictures(title: &str, found: &Statistics) -> Markup {
    let total = &found.total;
    let said = format!(
        "{title}: {} attempts, {} delivered, {} failed",
        total.attempts(),
        total.delivered(),
        total.failed()
    );
    let took = format!(
        "{title}: half of the attempts took at most {}, 95 of 100 at most {}, 99 of 100 at most {}",
        duration(total, 0.5),
        duration(total, 0.95),
        duration(total, 0.99)
    );
    html! {
        section.card aria-labelledby="over-time" {
            h2 #over-time { "Deliveries over time" }
            (stacked(&found.buckets, &said))
            ul.keys {
                @for group in OutcomeGroup::ALL {
                    li { svg viewBox="0 0 14 7" aria-hidden="true" { rect class=(group.class()) width="14" height="7" {} } (group.name()) " (" (group.count(total)) ")" }
                }
            }
            @if total.failed() > 0 {
                p.small.quiet { "Of these failed: "
                    @for (index, (name, count)) in total.outcomes.iter().filter(|(name, _)| *name != "delivered").enumerate() {
                        @if index > 0 { ", " } (name.replace('_', " ")) " " (count)
                    }
                }
            }
        }
        section.card aria-labelledby="durations" {
            h2 #durations { "How long the endpoint takes" }
            (percentiles(&found.buckets, &took))
            ul.keys {
                @for (class, name) in [("p50", "half took at most"), ("p95", "95 % took at most"), ("p99", "99 % took at most")] {
                    li { svg viewBox="0 0 14 7" aria-hidden="true" { polyline class=(class) points="0,3.5 14,3.5" {} } (name) }
                }
            }
        }
        details.card { summary { "The same in numbers" } (numbers(&found.buckets)) }
    }
}

fn numbers(buckets: &[Bucket]) -> Markup {
    let columns = ["From", "Delivered", "Failed", "50 %", "95 %", "99 %"];
    html! {
        div.scroll {
            table role="table" {
                thead role="rowgroup" { tr role="row" { @for column in columns { th role="columnheader" scope="col" { (column) } } } }
                tbody role="rowgroup" {
                    @for bucket in buckets.iter().rev().filter(|bucket| bucket.counts.attempts() > 0) {
                        tr role="row" {
                            td.number role="cell" data-label=(columns[0]) { (time(bucket.from)) }
                            td.number role="cell" data-label=(columns[1]) { (bucket.counts.delivered()) }
                            td.number role="cell" data-label=(columns[2]) { (bucket.counts.failed()) }
                            @for (share, column) in [(0.5, columns[3]), (0.95, columns[4]), (0.99, columns[5])] {
                                td.number role="cell" data-label=(column) { (duration(&bucket.counts, share)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
