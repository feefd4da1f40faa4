//! Pictures of counts over time, as SVG: no script draws them, and style alone colours them.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::layout::millis;
use crate::store::statistics::{Bucket, Counts};

/// The inside of a large picture, in its own units: it is stretched to the room that there is.
/// Text to be read stands beside it, and is not stretched.
const WIDE: f64 = 760.0;
const HIGH: f64 = 180.0;

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
    let bars = html! {
        @for (index, bucket) in (0u32..).zip(buckets) {
            (bar(bucket, f64::from(index) * step, step, HIGH, HIGH / most))
        }
    };
    figure(
        buckets,
        label,
        &[count(most), count(most / 2.0), count(0.0)],
        &bars,
    )
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
    let lines = html! {
        @for (name, runs) in &lines { @for points in runs { polyline class=(name) points=(points) {} } }
    };
    figure(
        buckets,
        label,
        &[millis(most), millis(most / 2.0), "0".to_owned()],
        &lines,
    )
}

/// A picture with its scale, from top to bottom, and the times of its buckets.
fn figure(buckets: &[Bucket], label: &str, scale: &[String; 3], drawn: &Markup) -> Markup {
    html! {
        div.chart role="img" aria-label=(label) {
            div.scale { @for text in scale { span { (text) } } }
            svg viewBox={ "0 0 " (WIDE) " " (HIGH) } preserveAspectRatio="none" aria-hidden="true" {
                @for part in [0.0, 0.5, 1.0] {
                    line.grid x1="0" x2=(WIDE) y1=(HIGH * part) y2=(HIGH * part) {}
                }
                (drawn)
            }
            div.times { @for at in marks(buckets) { (axis_time(at, is_long(buckets))) } }
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

/// A group of outcomes, for the eye: a colour each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeGroup {
    /// The receiver has the event.
    Delivered,
    /// The receiver asked for patience.
    Throttled,
    /// The receiver answered and did not take it.
    Refused,
    /// There was no whole answer.
    Unanswered,
}

impl OutcomeGroup {
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
    let parts = OutcomeGroup::ALL.map(|group| {
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

/// The buckets whose times are written below: as many as stand at equal distances.
fn marks(buckets: &[Bucket]) -> impl Iterator<Item = Timestamp> {
    let divides = |parts: &usize| buckets.len().is_multiple_of(*parts);
    let parts = [6, 7, 8].into_iter().find(divides).unwrap_or(1);
    let every = (buckets.len() / parts).max(1);
    buckets.iter().step_by(every).map(|bucket| bucket.from)
}

/// Whether a time of day does not tell which one is meant.
fn is_long(buckets: &[Bucket]) -> bool {
    let ends = buckets.first().zip(buckets.last());
    ends.is_some_and(|(first, last)| {
        last.from.duration_since(first.from) > SignedDuration::from_hours(36)
    })
}

/// A time below a picture: in UTC, and by the script in the reader's zone.
fn axis_time(at: Timestamp, long: bool) -> Markup {
    let (kind, format) = if long {
        ("day", "%b %-d, %H:%M UTC")
    } else {
        ("clock", "%H:%M UTC")
    };
    html! { time datetime=(at) data-as=(kind) { (at.strftime(format)) } }
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
    fn times_stand_below_at_equal_distances() {
        let many = |count: usize| buckets(&vec![&[][..]; count]);
        for (count, marked) in [(24, 6), (48, 6), (56, 7), (5, 1), (0, 0)] {
            assert_eq!(marks(&many(count)).count(), marked, "{count}");
        }
        let (day, week) = (many(48), many(56 * 12));
        assert!(stacked(&day, "").into_string().contains(">04:00 UTC<"));
        assert!(
            stacked(&week, "")
                .into_string()
                .contains(">Jan 2, 04:00 UTC<")
        );
    }

    #[test]
    fn scales_end_on_round_numbers() {
        let ends = [0.0, 2.5, 99.0, 100.0, 101.0].map(scale);
        assert_eq!(ends, [2.0, 5.0, 100.0, 100.0, 200.0]);
        assert!(stacked(&[], "none").into_string().contains("svg"));
        assert!(percentiles(&[], "none").into_string().contains("svg"));
    }
}
