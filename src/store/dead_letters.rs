//! The dead letters, whatever keeps them: what they say, which are meant, and what is done with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Unavailable;
use crate::domain::dead_letter::Reason;

/// The detail of a message that was given up without ever being settled.
pub(crate) const POISON_DETAIL: &str =
    "it was handed out again and again without being settled; it may crash workers";

/// Looks through the dead letters and moves them.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// The dead letters meant that stand behind `after`, or from the oldest, at most `limit`, oldest
    /// first. Changes nothing, and nobody sees less meanwhile.
    async fn list(
        &self,
        filter: &Filter,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Found, Unavailable>;

    /// Goes once through the dead letters and does `action` with those meant. Calls `report` now
    /// and then with what was done so far.
    async fn process(
        &self,
        action: Action,
        filter: &Filter,
        options: &Options,
        report: Report<'_>,
    ) -> Result<Progress, Unavailable>;
}

/// Who is told, now and then, how far a job through the dead letters is.
pub type Report<'a> = &'a mut (dyn for<'p> FnMut(&'p Progress) + Send + 'a);

/// A dead letter, as people and filters see it. What a header does not say legibly is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Why it was given up; absent if the letter says nothing known.
    pub reason: Option<Reason>,
    /// The reason as a sentence.
    pub detail: Option<String>,
    /// Since when.
    pub dead_at: Option<Timestamp>,
    /// The organization; absent if it cannot be told.
    pub organization: Option<String>,
    /// The webhook, of a delivery.
    pub webhook: Option<String>,
    /// The event type, or the routing key of what is no event.
    pub event_type: Option<String>,
    /// The event's id.
    pub event: Option<String>,
    /// The delivery's id, of a delivery.
    pub delivery: Option<String>,
    /// The number of the last attempt, of a delivery.
    pub attempts: Option<u32>,
    /// How the last attempt went.
    pub last_outcome: Option<String>,
    /// The HTTP status of the last attempt.
    pub last_status: Option<u16>,
    /// The size of the body in bytes.
    pub size: usize,
}

/// Which dead letters are meant. What is `None` is not asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The reason.
    pub reason: Option<Reason>,
    /// The webhook's id.
    pub webhook: Option<String>,
    /// The event type.
    pub event_type: Option<String>,
    /// The organization. A letter whose organization cannot be told is nobody's: only who asks about
    /// none, the operator, sees it.
    pub organization: Option<String>,
    /// Given up then or later.
    pub since: Option<Timestamp>,
    /// Given up before then.
    pub until: Option<Timestamp>,
    /// Of those alone that were there then: what has been given up since, nobody who was asked has
    /// seen. A letter that does not say since when was there.
    pub seen: Option<Timestamp>,
    /// One of these: ids of deliveries, or of events for what is no delivery.
    pub ids: Option<BTreeSet<String>>,
}

impl Summary {
    /// Returns the id to choose a letter by: the delivery's, or the event's of what is no delivery.
    pub fn id(&self) -> Option<&str> {
        self.delivery.as_deref().or(self.event.as_deref())
    }
}

impl Filter {
    /// Whether `letter` is meant.
    pub fn matches(&self, letter: &Summary) -> bool {
        let equal =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        (self.reason.is_none() || self.reason == letter.reason)
            && equal(&self.webhook, &letter.webhook)
            && equal(&self.event_type, &letter.event_type)
            && self.is_of_organization(letter)
            && self.is_of_time(letter)
            && self
                .ids
                .as_ref()
                .is_none_or(|ids| letter.id().is_some_and(|id| ids.contains(id)))
    }

    /// A letter that does not say since when is of no particular time.
    fn is_of_time(&self, letter: &Summary) -> bool {
        let (since, until) = (self.since, self.until);
        since.is_none_or(|since| letter.dead_at.is_some_and(|at| at >= since))
            && until.is_none_or(|until| letter.dead_at.is_some_and(|at| at < until))
            && self
                .seen
                .is_none_or(|seen| letter.dead_at.is_none_or(|at| at < seen))
    }

    /// Whether `letter` is of the organization meant, whatever else is asked about.
    pub(crate) fn is_of_organization(&self, letter: &Summary) -> bool {
        self.organization.is_none() || self.organization == letter.organization
    }
}

/// The result of a look through the dead letters.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The letters that matched, oldest first.
    pub letters: Vec<Summary>,
    /// How many letters were looked at.
    pub looked_at: u64,
    /// Where the list goes on: behind the last that was looked at. `None` at its end.
    pub next: Option<Position>,
}

impl Found {
    /// Whether nothing stands behind what was found.
    pub fn is_complete(&self) -> bool {
        self.next.is_none()
    }
}

/// A place among the dead letters: that of one letter, whether or not it is still there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Since when it was dead, in microseconds since 1970.
    pub at: i64,
    /// What tells it from others of the same microsecond.
    pub id: String,
}

/// A text that is no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is the `next` of the part before, as it is")]
pub struct NoPosition;

impl Position {
    /// The regular expression that those which are given out match.
    pub const PATTERN: &str = "^[0-9]{1,18}-[!-~]{1,255}$";
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at, self.id)
    }
}

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, NoPosition> {
        let (at, id) = text.split_once('-').ok_or(NoPosition)?;
        let is_number =
            (1..=18).contains(&at.len()) && at.bytes().all(|byte| byte.is_ascii_digit());
        let is_id = (1..=255).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        match at.parse() {
            Ok(at) if is_number && is_id => Ok(Self {
                at,
                id: id.to_owned(),
            }),
            _ => Err(NoPosition),
        }
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// What to do with the letters that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start them again from attempt 1.
    Requeue,
    /// Throw them away.
    Purge,
}

/// How to go about it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only count.
    pub dry_run: bool,
    /// Act on so many letters at most, the oldest.
    pub limit: Option<u64>,
    /// Act on so many letters a second at most.
    pub rate: Option<f64>,
    /// Ends early once this is cancelled: what was done stays done, the rest is as it was.
    pub stop: CancellationToken,
}

/// What a job did with the dead letters, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The letters in the queue at the start.
    pub total: u64,
    /// The letters looked at.
    pub looked_at: u64,
    /// Those of them that are of the organization meant: all that one tenant may be told.
    #[serde(skip)]
    pub own: u64,
    /// Whether it ended before it had looked at all of them: somebody else has the rest.
    pub cut_short: bool,
    /// The letters acted upon: requeued or purged, or in a dry run those that would be.
    pub done: u64,
    /// The letters that stay since they do not match.
    pub kept: u64,
    /// The letters that match and stay since nothing can come of them: what was no delivery.
    pub unusable: u64,
    /// The letters acted upon, by reason.
    pub by_reason: BTreeMap<String, u64>,
    /// The letters acted upon, by organization, where one can be told.
    #[serde(skip)]
    pub by_organization: BTreeMap<String, u64>,
    /// The letters acted upon, by webhook; of those without a webhook nothing is said.
    pub by_webhook: BTreeMap<String, u64>,
}

/// What becomes of a letter that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// The letter is acted upon.
    Done,
    /// The letter is of another organization.
    Foreign,
    /// The letter does not match.
    Kept,
    /// The letter matches, and nothing can come of it.
    Unusable,
    /// Its delivery was delivered since, or has a newer letter: it goes without a word.
    Superseded,
}

/// Decides what becomes of a letter that `action` comes by.
pub(crate) fn disposition(
    letter: &Summary,
    usable: bool,
    action: Action,
    filter: &Filter,
) -> Disposition {
    match action {
        _ if !filter.is_of_organization(letter) => Disposition::Foreign,
        _ if !filter.matches(letter) => Disposition::Kept,
        Action::Requeue if !usable => Disposition::Unusable,
        _ => Disposition::Done,
    }
}

impl Progress {
    /// Counts a letter that was looked at.
    pub(crate) fn note(&mut self, letter: &Summary, disposition: Disposition) {
        self.looked_at += 1;
        if !matches!(disposition, Disposition::Foreign | Disposition::Superseded) {
            self.own += 1;
        }
        match disposition {
            Disposition::Foreign | Disposition::Kept => self.kept += 1,
            Disposition::Unusable => self.unusable += 1,
            Disposition::Superseded => {}
            Disposition::Done => {
                self.done += 1;
                let reason = letter.reason.map_or("unknown", Reason::name);
                *self.by_reason.entry(reason.to_owned()).or_default() += 1;
                if let Some(organization) = &letter.organization {
                    *self
                        .by_organization
                        .entry(organization.clone())
                        .or_default() += 1;
                }
                if let Some(webhook) = &letter.webhook {
                    *self.by_webhook.entry(webhook.clone()).or_default() += 1;
                }
            }
        }
    }
}

/// Spaces actions out evenly.
pub(crate) struct Pace {
    gap: Duration,
    next: Instant,
}

impl Pace {
    pub(crate) fn new(rate: Option<f64>) -> Self {
        let gap = rate
            .filter(|rate| *rate > 0.0)
            .and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok())
            .unwrap_or_default();
        Self {
            gap,
            next: Instant::now(),
        }
    }

    pub(crate) async fn wait(&mut self) {
        if !self.gap.is_zero() {
            tokio::time::sleep_until(self.next).await;
            self.next = self.next.max(Instant::now() - self.gap) + self.gap;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_given_out_and_nothing_else_is_one() {
        let pattern = regex::Regex::new(Position::PATTERN).unwrap();
        let position = Position {
            at: 1_764_000_000_000_000,
            id: "d-1_x".to_owned(),
        };
        let text = position.to_string();
        assert!(pattern.is_match(&text));
        assert_eq!(text.parse(), Ok(position));
        for bad in [
            "",
            "-",
            "1",
            "1-",
            "-1-a",
            "x-a",
            "1-a b",
            "+1-a",
            "9999999999999999999-a",
        ] {
            assert_eq!(bad.parse::<Position>(), Err(NoPosition), "{bad}");
            assert!(!pattern.is_match(bad), "{bad}");
        }
    }
}
