//! What `bench` prints: a table for people, one JSON object for machines.

use serde_json::{Map, Value, json};

use crate::bench::figures::Summary;
use crate::bench::plan::Scenario;
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::table;

/// Each scenario with its summary.
pub(super) type Summaries = Vec<(Scenario, Summary)>;

/// What `bench` was asked for, and what came of it.
pub(super) struct Report {
    pub(super) embedded: bool,
    pub(super) quick: bool,
    pub(super) rounds: usize,
    pub(super) workers: u16,
    /// What could not be measured, and why.
    pub(super) left_out: Vec<String>,
    pub(super) summaries: Summaries,
}

impl Report {
    /// Prints it.
    pub(super) fn print(self, as_json: bool, console: &mut Console) -> Result<(), Failure> {
        if as_json {
            let object = Value::Object(self.object());
            return Ok(writeln!(console.out, "{object:#}")?);
        }
        for reason in &self.left_out {
            console.say(format_args!("left out: {reason}"));
        }
        let rows = self.summaries.iter().flat_map(|(scenario, summary)| {
            let name = scenario.name();
            summary
                .rows()
                .map(move |[figure, median, min, max]| vec![name.clone(), figure, median, min, max])
        });
        let header = ["scenario", "figure", "median", "least", "greatest"];
        let (out, width) = (&mut console.out, console.shows.width);
        let empty = "nothing was measured";
        Ok(table::print(out, width, &header, rows, empty)?)
    }

    /// Everything as one object: what was asked for, then a key for each scenario.
    fn object(&self) -> Map<String, Value> {
        let mut object = Map::new();
        let mode = if self.embedded { "embedded" } else { "servers" };
        object.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        object.insert("debug_build".into(), cfg!(debug_assertions).into());
        object.insert("mode".into(), mode.into());
        object.insert("quick".into(), self.quick.into());
        object.insert("rounds".into(), self.rounds.into());
        object.insert("workers".into(), self.workers.into());
        object.insert("left_out".into(), json!(self.left_out));
        for (scenario, summary) in &self.summaries {
            object.insert(scenario.name(), Value::Object(summary.json()));
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Figures;

    #[test]
    fn the_json_object_has_a_key_for_each_scenario_with_plain_numbers() {
        let mut figures = Figures::default();
        figures.measured("deliveries_per_second", 1234.5);
        let mut isolated = Figures::default();
        isolated.measured("healthy_p99_ms.hanging", 2.25);
        let report = Report {
            embedded: false,
            quick: true,
            rounds: 1,
            workers: 2,
            left_out: vec!["the CPU of Redis: elsewhere".to_owned()],
            summaries: vec![
                (Scenario::Fanout10, Summary::of(&[figures])),
                (Scenario::Isolation, Summary::of(&[isolated])),
            ],
        };
        let object = Value::Object(report.object());
        assert_eq!(object["fanout_10"]["deliveries_per_second"], 1234.5);
        assert_eq!(object["isolation"]["healthy_p99_ms"]["hanging"], 2.25);
        assert_eq!(
            (&object["rounds"], &object["workers"], &object["mode"]),
            (&json!(1), &json!(2), &json!("servers"))
        );
    }
}
