//! Pictures of counts over time, as SVG: no script draws them, and style alone colours them.

use jiff::Timestamp;
use maud::{Markup, html};

use super::layout::millis;
use crate::records::statistics::{Bucket, Counts};

/// The inside of a large picture, in its own units.
const WIDE: f64 = 760.0;
const HIGH: f64 = 180.0;
/// The room for the numbers beside it, and for the times below.
const LEFT: f64 = 76.0;
const BELOW: f64 = 26.0;

/// A sparkline: what arrived upwards, what failed above it.
pub fn sparkline(buckets: &[Bucket], label: &str) -> Markup {
    let (wide, high) = (120.0, 28.0);
    let most = most(buckets).max(1.0);
    let step = wide / (buckets.len().max(1) as f64);
    html! {
        svg.spark viewBox={ "0 0 " (wide) " " (high) } role="img" aria-label=(label) preserveAspectRatio="none" {
            rect.nothing x="0" y=(high - 1.0) width=(wide) height="1" {}
            @for (index, bucket) in (0u32..).zip(buckets) {
                (bar(bucket, f64::from(index) * step, step, high, high / most))
            }
        }
    }
}

/// Attempts over time, stacked by whether they arrived.
pub fn stacked(buckets: &[Bucket], label: &str) -> Markup {
    let most = scale(most(buckets));
    let step = WIDE / (buckets.len().max(1) as f64);
    html! {
        svg.chart viewBox=(view()) role="img" aria-label=(label) {
            (grid(&[(0.0, "0".to_owned()), (0.5, count(most / 2.0)), (1.0, count(most))]))
            g transform={ "translate(" (LEFT) " 6)" } {
                @for (index, bucket) in (0u32..).zip(buckets) {
                    (bar(bucket, f64::from(index) * step, step, HIGH, HIGH / most))
                }
            }
            (times(buckets))
        }
    }
}

/// Durations over time: half, 95 and 99 of 100 attempts did not exceed them.
pub fn percentiles(buckets: &[Bucket], label: &str) -> Markup {
    let at = |bucket: &Bucket, share| {
        let duration = bucket.counts.percentile(share)?;
        Some(duration.as_secs_f64() * 1e3)
    };
    let slowest = buckets.iter().filter_map(|bucket| at(bucket, 0.99));
    let most = scale(slowest.fold(0.0, f64::max));
    let step = WIDE / (buckets.len().max(1) as f64);
    let x = |index: u32| (f64::from(index) + 0.5) * step;
    let y = |ms: f64| HIGH - ms / most * HIGH;
    let lines = [("p99", 0.99), ("p95", 0.95), ("p50", 0.5)].map(|(name, share)| {
        let points: Vec<Option<(f64, f64)>> = (0u32..)
            .zip(buckets)
            .map(|(index, bucket)| at(bucket, share).map(|ms| (x(index), y(ms))))
            .collect();
        (name, runs(&points))
    });
    html! {
        svg.chart viewBox=(view()) role="img" aria-label=(label) {
            (grid(&[(0.0, "0".to_owned()), (0.5, millis(most / 2.0)), (1.0, millis(most))]))
            g transform={ "translate(" (LEFT) " 6)" } {
                @for (name, runs) in &lines { @for points in runs { polyline class=(name) points=(points) {} } }
            }
            (times(buckets))
        }
    }
}

/// The lines between neighbours that are both there. A point without neighbours becomes a short
/// dash, or it would not be seen.
fn runs(points: &[Option<(f64, f64)>]) -> Vec<String> {
    let runs = points.split(Option::is_none).filter(|run| !run.is_empty());
    let text = |run: &[Option<(f64, f64)>]| match run {
        [Some((x, y))] => format!("{:.1},{y:.1} {:.1},{y:.1}", x - 3.0, x + 3.0),
        run => {
            let points = run.iter().flatten();
            let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            points.join(" ")
        }
    };
    runs.map(text).collect()
}

fn most(buckets: &[Bucket]) -> f64 {
    let counts = buckets.iter().map(|bucket| bucket.counts.attempts());
    counts.max().unwrap_or(0) as f64
}

/// What outcomes have in common, for the eye: a colour each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The receiver has it.
    Delivered,
    /// The receiver asked for patience.
    Throttled,
    /// The receiver answered and did not take it.
    Refused,
    /// There was no whole answer.
    Unanswered,
}

impl Group {
    /// All, from the bottom of a bar to its top.
    pub const ALL: [Self; 4] = [
        Self::Delivered,
        Self::Throttled,
        Self::Refused,
        Self::Unanswered,
    ];

    fn of(outcome: &str) -> Self {
        match outcome {
            "delivered" => Self::Delivered,
            "throttled" => Self::Throttled,
            "rejected" | "redirected" | "gone" => Self::Refused,
            _ => Self::Unanswered,
        }
    }

    /// How many of the attempts are of this group.
    pub fn count(self, counts: &Counts) -> u64 {
        let own = counts
            .outcomes
            .iter()
            .filter(|(name, _)| Self::of(name) == self);
        own.map(|(_, count)| count).sum()
    }

    /// Its class in the style.
    pub fn class(self) -> &'static str {
        match self {
            Self::Delivered => "good",
            Self::Throttled => "wait",
            Self::Refused => "bad",
            Self::Unanswered => "lost",
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Throttled => "throttled",
            Self::Refused => "refused",
            Self::Unanswered => "no answer",
        }
    }
}

/// One bucket: what arrived at the bottom, what failed above it. Whatever there is can be seen.
fn bar(bucket: &Bucket, x: f64, step: f64, high: f64, unit: f64) -> Markup {
    let gap = (step * 0.15).min(3.0);
    let (x, width) = (
        format!("{:.2}", x + gap / 2.0),
        format!("{:.2}", step - gap),
    );
    let mut below = high;
    let parts = Group::ALL.map(|group| {
        let count = group.count(&bucket.counts);
        let tall = if count == 0 {
            0.0
        } else {
            (count as f64 * unit).max(1.5)
        };
        below = (below - tall).max(0.0);
        (group, below, tall)
    });
    html! {
        @for (group, y, tall) in parts.iter().filter(|(.., tall)| *tall > 0.0) {
            rect class=(group.class()) x=(x) width=(width) y=(format!("{y:.2}")) height=(format!("{tall:.2}")) {}
        }
    }
}

fn view() -> String {
    format!("0 0 {} {}", LEFT + WIDE + 8.0, HIGH + BELOW + 6.0)
}

/// Lines across, with what they stand for; places are parts of the height.
fn grid(lines: &[(f64, String)]) -> Markup {
    html! {
        @for (place, name) in lines {
            @let y = 6.0 + HIGH - place * HIGH;
            line.grid x1=(LEFT) x2=(LEFT + WIDE) y1=(y) y2=(y) {}
            text x=(LEFT - 6.0) y=(y + 4.0) text-anchor="end" { (name) }
        }
    }
}

/// The beginning of some buckets, below. In UTC: a picture has no zone of its own.
fn times(buckets: &[Bucket]) -> Markup {
    let step = WIDE / (buckets.len().max(1) as f64);
    let every = buckets.len().div_ceil(6).max(1);
    let long = match (buckets.first(), buckets.last()) {
        (Some(first), Some(last)) => {
            last.from.duration_since(first.from) > jiff::SignedDuration::from_hours(36)
        }
        _ => false,
    };
    let name = |at: Timestamp| {
        at.strftime(if long { "%b %d %Hh" } else { "%H:%M" })
            .to_string()
    };
    html! {
        @for (index, bucket) in (0u32..).zip(buckets).step_by(every) {
            text x=(format!("{:.1}", LEFT + f64::from(index) * step)) y=(HIGH + BELOW) { (name(bucket.from)) }
        }
    }
}

/// The next round number: 1, 2 or 5 times a power of ten.
fn scale(most: f64) -> f64 {
    if most <= 2.0 {
        return 2.0;
    }
    let power = 10f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= most).unwrap_or(most)
}

fn count(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{} M", n / 1e6),
        n if n >= 1e4 => format!("{} k", n / 1e3),
        n => format!("{n}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn buckets(attempts: &[&[(&str, u64)]]) -> Vec<Bucket> {
        let bucket = |(index, all): (i64, &&[(&str, u64)])| {
            let mut counts = Counts::default();
            for (outcome, ms) in *all {
                counts.count(outcome, Duration::from_millis(*ms));
            }
            Bucket {
                from: Timestamp::from_second(index * 900).unwrap(),
                counts,
            }
        };
        (0..).zip(attempts).map(bucket).collect()
    }

    #[test]
    fn what_failed_stands_above_what_arrived_and_nothing_leaves_the_picture() {
        let drawn = stacked(
            &buckets(&[&[("delivered", 1), ("delivered", 1), ("timeout", 9)], &[]]),
            "three",
        )
        .into_string();
        assert_eq!(drawn.matches("rect class=\"good\"").count(), 1, "{drawn}");
        assert_eq!(drawn.matches("rect class=\"lost\"").count(), 1, "{drawn}");
        assert!(!drawn.contains("\"-") && !drawn.contains("NaN"), "{drawn}");
        assert!(drawn.contains("aria-label=\"three\""), "{drawn}");
    }

    #[test]
    fn a_gap_parts_a_line() {
        let point = |x: f64| Some((x, 1.0));
        let lines = runs(&[point(1.0), point(2.0), None, point(4.0)]);
        assert_eq!(lines, ["1.0,1.0 2.0,1.0", "1.0,1.0 7.0,1.0"]);
    }

    #[test]
    fn scales_end_on_round_numbers() {
        let ends = [0.0, 2.5, 99.0, 100.0, 101.0].map(scale);
        assert_eq!(ends, [2.0, 5.0, 100.0, 100.0, 200.0]);
        assert!(stacked(&[], "none").into_string().contains("svg"));
        assert!(percentiles(&[], "none").into_string().contains("svg"));
    }
}
