//! Adds up what was published, what is on record and what the receivers got.

use std::collections::BTreeSet;

use super::receivers::ReceiverKind;

/// A recorded attempt, as far as it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// To whom.
    pub to: ReceiverKind,
    /// Of which delivery.
    pub delivery: String,
    /// Whether the receiver took it.
    pub delivered: bool,
}

/// What the demonstration knows at the end.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// The types of the events that were published.
    pub published: Vec<&'static str>,
    /// The attempts on record.
    pub made: Vec<Made>,
    /// The deliveries among the dead letters.
    pub dead: Vec<(ReceiverKind, String)>,
    /// To whom each request came, as the receivers counted them.
    pub received: Vec<ReceiverKind>,
}

/// What came of one webhook's deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Whose.
    pub of: ReceiverKind,
    /// How many events it was to get.
    pub wanted: usize,
    /// How many of these it has.
    pub delivered: usize,
    /// How many became dead letters.
    pub dead: usize,
    /// How many attempts are on record.
    pub attempts: usize,
    /// How many requests the receiver counted.
    pub received: usize,
}

impl Line {
    /// Whether every event ended as delivered or as a dead letter, and every request is on record.
    pub fn adds_up(&self) -> bool {
        self.wanted == self.delivered + self.dead && self.attempts == self.received
    }

    /// Whether there is nothing to wait for any more.
    pub fn is_over(&self) -> bool {
        self.wanted <= self.delivered + self.dead
    }
}

impl Tally {
    /// A line for each webhook.
    pub fn lines(&self) -> [Line; 3] {
        ReceiverKind::ALL.map(|of| self.line(of))
    }

    fn line(&self, of: ReceiverKind) -> Line {
        let wanted = |event_type: &&&str| of.event_types().contains(*event_type);
        let made = || self.made.iter().filter(|made| made.to == of);
        let delivered = made().filter(|made| made.delivered);
        let delivered: BTreeSet<&str> = delivered.map(|made| made.delivery.as_str()).collect();
        let dead = self.dead.iter().filter(|(to, _)| *to == of);
        let dead: BTreeSet<&str> = dead.map(|(_, delivery)| delivery.as_str()).collect();
        Line {
            of,
            wanted: self.published.iter().filter(wanted).count(),
            delivered: delivered.len(),
            dead: dead.difference(&delivered).count(),
            attempts: made().count(),
            received: self.received.iter().filter(|to| **to == of).count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(to: ReceiverKind, delivery: &str, delivered: bool) -> Made {
        let delivery = delivery.to_owned();
        Made {
            to,
            delivery,
            delivered,
        }
    }

    fn tally() -> Tally {
        Tally {
            published: vec!["error.occurred", "budget.exceeded"],
            made: vec![
                made(ReceiverKind::Healthy, "h1", true),
                made(ReceiverKind::Flaky, "f1", false),
                made(ReceiverKind::Healthy, "h2", true),
                made(ReceiverKind::Gone, "g1", false),
                made(ReceiverKind::Flaky, "f1", true),
            ],
            dead: vec![(ReceiverKind::Gone, "g1".to_owned())],
            received: vec![
                ReceiverKind::Healthy,
                ReceiverKind::Flaky,
                ReceiverKind::Healthy,
                ReceiverKind::Gone,
                ReceiverKind::Flaky,
            ],
        }
    }

    #[test]
    fn what_ended_one_way_or_the_other_adds_up() {
        let lines = tally().lines();
        assert!(lines.iter().all(Line::adds_up), "{lines:?}");
        let [healthy, flaky, gone] = lines;
        assert_eq!((healthy.wanted, healthy.delivered, healthy.dead), (2, 2, 0));
        assert_eq!((flaky.wanted, flaky.delivered, flaky.attempts), (1, 1, 2));
        assert_eq!((gone.wanted, gone.delivered, gone.dead), (1, 0, 1));
    }

    #[test]
    fn a_delivery_that_went_nowhere_does_not() {
        let mut tally = tally();
        tally.made.retain(|made| made.delivery != "h2");
        tally.received.remove(2);
        let [healthy, ..] = tally.lines();
        assert!(!healthy.adds_up() && !healthy.is_over(), "{healthy:?}");
    }

    #[test]
    fn a_request_that_is_not_on_record_does_not() {
        let mut tally = tally();
        tally.received.push(ReceiverKind::Flaky);
        let [_, flaky, _] = tally.lines();
        assert!(flaky.is_over() && !flaky.adds_up(), "{flaky:?}");
    }

    #[test]
    fn a_repeat_is_one_delivery() {
        let mut tally = tally();
        tally.made.push(made(ReceiverKind::Healthy, "h1", true));
        tally.received.push(ReceiverKind::Healthy);
        let [healthy, ..] = tally.lines();
        assert_eq!((healthy.delivered, healthy.attempts), (2, 3));
    }
}
