//! Which scenarios there are, and how large each is.

use std::time::Duration;

use clap::ValueEnum;

/// One thing that is measured. Its name is its key in the JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// A backlog of events for one webhook.
    #[value(name = "drain")]
    Drain,
    /// The same for three webhooks of one organization.
    #[value(name = "fanout_3")]
    Fanout3,
    /// For ten.
    #[value(name = "fanout_10")]
    Fanout10,
    /// For 33.
    #[value(name = "fanout_33")]
    Fanout33,
    /// For a hundred.
    #[value(name = "fanout_100")]
    Fanout100,
    /// For 200 organizations with one webhook each.
    #[value(name = "organizations")]
    Organizations,
    /// Many events at once for a receiver that takes its time.
    #[value(name = "burst")]
    Burst,
    /// From publish to receiver at a steady rate.
    #[value(name = "latency")]
    Latency,
    /// Nine webhooks beside one that misbehaves.
    #[value(name = "isolation")]
    Isolation,
    /// One organization beside another whose webhooks all hang.
    #[value(name = "hanging_organization")]
    HangingOrganization,
    /// A trickle of one organization beside another's flood.
    #[value(name = "flood")]
    Flood,
}

/// Who gets the events of a backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// So many webhooks of one organization get every event.
    Fanout(u64),
    /// So many organizations take turns, with one webhook each.
    Organizations(u64),
}

impl Scenario {
    /// Its name.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// Returns the shape of what is drained, if the scenario drains.
    pub fn shape(self) -> Option<Shape> {
        match self {
            Self::Drain => Some(Shape::Fanout(1)),
            Self::Fanout3 => Some(Shape::Fanout(3)),
            Self::Fanout10 => Some(Shape::Fanout(10)),
            Self::Fanout33 => Some(Shape::Fanout(33)),
            Self::Fanout100 => Some(Shape::Fanout(100)),
            Self::Organizations => Some(Shape::Organizations(200)),
            _ => None,
        }
    }
}

impl Shape {
    /// How many webhooks there are.
    pub fn webhooks(self) -> u64 {
        match self {
            Self::Fanout(n) | Self::Organizations(n) => n,
        }
    }

    /// How many deliveries one event makes.
    pub fn deliveries_an_event(self) -> u64 {
        match self {
            Self::Fanout(n) => n,
            Self::Organizations(_) => 1,
        }
    }
}

/// How large everything is.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizes {
    /// Rounds of each scenario.
    pub rounds: usize,
    /// Deliveries of a backlog, however many webhooks there are.
    pub deliveries: u64,
    /// Events of a burst.
    pub burst: u64,
    /// How long the receivers of bursts take to answer.
    pub burst_latencies: Vec<Duration>,
    /// Events a second, where latency is measured.
    pub rate: f64,
    /// How long latency is measured.
    pub latency: Duration,
    /// How long one webhook of ten misbehaves.
    pub isolation: Duration,
    /// How long an organization's webhooks hang.
    pub hanging: Duration,
    /// Events of the flood.
    pub flood: u64,
    /// How long a backlog, a burst or a flood may take; what has not arrived then is counted.
    pub limit: Duration,
    /// How long the last deliveries are waited for where latency is measured.
    pub patience: Duration,
}

impl Sizes {
    /// The sizes that show most, in about twenty minutes.
    pub fn full() -> Self {
        Self {
            rounds: 3,
            deliveries: 60_000,
            burst: 1000,
            burst_latencies: [20, 150, 300, 2000].map(Duration::from_millis).into(),
            rate: 100.0,
            latency: Duration::from_secs(20),
            isolation: Duration::from_secs(25),
            hanging: Duration::from_secs(60),
            flood: 20_000,
            limit: Duration::from_secs(180),
            patience: Duration::from_secs(15),
        }
    }

    /// The sizes that show enough in three minutes.
    pub fn quick() -> Self {
        Self {
            rounds: 1,
            // More events than a worker is handed ahead, for ten webhooks too.
            deliveries: 15_000,
            burst: 250,
            latency: Duration::from_secs(5),
            isolation: Duration::from_secs(7),
            hanging: Duration::from_secs(16),
            flood: 5000,
            limit: Duration::from_secs(10),
            patience: Duration::from_secs(3),
            ..Self::full()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_keys_of_json_and_values_of_only() {
        let names: Vec<String> = Scenario::value_variants()
            .iter()
            .map(|scenario| scenario.name())
            .collect();
        assert_eq!(names[0], "drain");
        assert_eq!(names[2], "fanout_10");
        let key = |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        assert!(names.iter().all(key), "{names:?}");
    }

    #[test]
    fn a_backlog_makes_about_as_many_deliveries_for_any_number_of_webhooks() {
        for sizes in [Sizes::full(), Sizes::quick()] {
            for shape in Scenario::value_variants().iter().filter_map(|s| s.shape()) {
                let events = sizes.deliveries / shape.deliveries_an_event();
                let made = events * shape.deliveries_an_event();
                assert!(made * 100 >= sizes.deliveries * 99, "{shape:?}: {made}");
            }
        }
    }
}
