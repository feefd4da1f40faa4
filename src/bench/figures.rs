//! Medians, spreads, percentiles, and their form as JSON.
//!
//! A round of a scenario gives [`Figures`]: numbers under paths. Rounds are summed up figure by
//! figure. `figure.variant` becomes `{"figure": {"variant": …}}`, with what varied least and most
//! under `figure_min` and `figure_max`, so that the plain path has a plain number.

use serde_json::{Map, Number, Value};

/// The middle of some values, with the least and the greatest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// Of no values there is none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Self { median, min, max })
    }
}

/// The value that `percent` of all are not above, by nearest rank; `None` of none.
pub fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// One figure of a round.
#[derive(Debug, Clone, PartialEq)]
struct Figure {
    path: String,
    value: f64,
    /// Whether it was measured, and not chosen.
    measured: bool,
}

/// The figures of one round, in the order in which they are to be read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures(Vec<Figure>);

impl Figures {
    /// Adds what was chosen: the same in every round.
    pub fn chosen(&mut self, path: impl Into<String>, value: u64) {
        self.add(path.into(), count(value), false);
    }

    /// Adds what was measured.
    pub fn measured(&mut self, path: impl Into<String>, value: f64) {
        self.add(path.into(), value, true);
    }

    /// Adds what was counted.
    pub fn counted(&mut self, path: impl Into<String>, value: u64) {
        self.measured(path, count(value));
    }

    /// Adds what was measured, if it could be.
    pub fn maybe(&mut self, path: impl Into<String>, value: Option<f64>) {
        if let Some(value) = value {
            self.measured(path, value);
        }
    }

    /// Returns the value measured under this path.
    #[cfg(test)]
    pub fn get(&self, path: &str) -> Option<f64> {
        let found = self.0.iter().find(|figure| figure.path == path);
        found.map(|figure| figure.value)
    }

    fn add(&mut self, path: String, value: f64, measured: bool) {
        self.0.push(Figure {
            path,
            value,
            measured,
        });
    }
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn count(n: u64) -> f64 {
    n as f64
}

/// The figures of all rounds of a scenario, summed up.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary(Vec<(String, Spread, bool)>);

impl Summary {
    /// Sums up rounds. A figure that some rounds lack is summed up over the others.
    pub fn of(rounds: &[Figures]) -> Self {
        let mut lines: Vec<(String, Spread, bool)> = Vec::new();
        for figure in rounds.iter().flat_map(|round| &round.0) {
            if lines.iter().any(|(path, ..)| *path == figure.path) {
                continue;
            }
            let all = rounds.iter().flat_map(|round| &round.0);
            let same = all.filter(|other| other.path == figure.path);
            let values: Vec<f64> = same.map(|other| other.value).collect();
            if let Some(spread) = Spread::of(&values) {
                lines.push((figure.path.clone(), spread, figure.measured));
            }
        }
        Self(lines)
    }

    /// As one JSON object.
    pub fn json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        for (path, spread, measured) in &self.0 {
            put(&mut object, path, "", spread.median);
            if *measured {
                put(&mut object, path, "_min", spread.min);
                put(&mut object, path, "_max", spread.max);
            }
        }
        object
    }

    /// As rows of a table: figure, median, least, greatest.
    pub fn rows(&self) -> impl Iterator<Item = [String; 4]> + '_ {
        self.0.iter().map(|(path, spread, measured)| {
            let ends = [spread.min, spread.max].map(|end| match measured {
                true => shown(end),
                false => String::new(),
            });
            let [min, max] = ends;
            [path.clone(), shown(spread.median), min, max]
        })
    }
}

fn put(object: &mut Map<String, Value>, path: &str, suffix: &str, value: f64) {
    let value = number(value);
    match path.split_once('.') {
        None => {
            object.insert(format!("{path}{suffix}"), value);
        }
        Some((figure, variant)) => {
            let variants = object
                .entry(format!("{figure}{suffix}"))
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(variants) = variants {
                variants.insert(variant.to_owned(), value);
            }
        }
    }
}

/// Three decimals at most: more would be noise. Whole numbers are written as such.
fn number(value: f64) -> Value {
    let rounded = (value * 1000.0).round() / 1000.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be whole and small"
    )]
    let whole = (rounded.fract() == 0.0 && rounded.abs() < 1e15).then_some(rounded as i64);
    match whole {
        Some(whole) => Value::from(whole),
        None => Number::from_f64(rounded).map_or(Value::Null, Value::Number),
    }
}

/// A figure for people: as many decimals as say something.
fn shown(value: f64) -> String {
    if value.fract() == 0.0 || value.abs() >= 1000.0 {
        format!("{value:.0}")
    } else if value.abs() >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        let spread = |median, min, max| Some(Spread { median, min, max });
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[7.0]), spread(7.0, 7.0, 7.0));
        assert_eq!(Spread::of(&[9.0, 1.0, 2.0]), spread(2.0, 1.0, 9.0));
        assert_eq!(Spread::of(&[4.0, 1.0, 9.0, 2.0]), spread(3.0, 1.0, 9.0));
    }

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&hundred, 50), Some(50.0));
        assert_eq!(percentile(&hundred, 99), Some(99.0));
        assert_eq!(percentile(&hundred, 100), Some(100.0));
        // Of few values the ninety-ninth is the greatest: nothing is interpolated away.
        assert_eq!(percentile(&[1.0, 2.0, 50.0], 99), Some(50.0));
        assert_eq!(percentile(&[1.0, 2.0, 50.0], 50), Some(2.0));
        assert_eq!(percentile(&[3.0], 1), Some(3.0));
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn the_plain_path_is_the_median_and_the_spread_stands_beside_it() {
        let round = |rate: f64, p99: f64| {
            let mut figures = Figures::default();
            figures.chosen("webhooks", 10);
            figures.measured("deliveries_per_second", rate);
            figures.measured("healthy_p99_ms.hanging", p99);
            figures
        };
        let summary = Summary::of(&[round(10.0, 1.5), round(30.0, 2.0), round(20.0, 1.25)]);
        assert_eq!(
            Value::Object(summary.json()),
            json!({
                "webhooks": 10,
                "deliveries_per_second": 20,
                "deliveries_per_second_min": 10,
                "deliveries_per_second_max": 30,
                "healthy_p99_ms": {"hanging": 1.5},
                "healthy_p99_ms_min": {"hanging": 1.25},
                "healthy_p99_ms_max": {"hanging": 2},
            })
        );
        let rows: Vec<_> = summary.rows().collect();
        assert_eq!(rows[0], ["webhooks", "10", "", ""]);
        assert_eq!(rows[2], ["healthy_p99_ms.hanging", "1.50", "1.25", "2"]);
    }

    #[test]
    fn a_figure_that_a_round_lacks_is_that_of_the_others() {
        let mut with = Figures::default();
        with.maybe("cpu", Some(4.0));
        let mut without = Figures::default();
        without.maybe("cpu", None);
        let summary = Summary::of(&[without, with]);
        assert_eq!(summary.json()["cpu"], 4);
    }

    #[test]
    fn what_is_no_number_becomes_none() {
        assert_eq!(number(f64::NAN), Value::Null);
        assert_eq!(number(0.1239), json!(0.124));
    }
}
