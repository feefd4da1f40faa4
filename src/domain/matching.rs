//! Which webhooks want an event.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{EventType, InvalidId};
use super::spelling::nearest;

/// One entry of a webhook's event subscriptions: `request.completed`, `guardrail.*` or `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EventSubscription {
    /// `*`: every event type.
    All,
    /// `guardrail.*`: every event type below `guardrail`, at any depth, but not `guardrail`.
    Below(EventType),
    /// Exactly this event type.
    Exactly(EventType),
}

impl EventSubscription {
    /// The regular expression that entries match, as others may check them; they are as long as an
    /// event type at most.
    pub const PATTERN: &str = "^([*]|[a-z0-9_-]+([.][a-z0-9_-]+)*([.][*])?)$";

    /// Reads an entry as people write it.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        match text.strip_suffix(".*") {
            _ if text == "*" => Ok(Self::All),
            Some(prefix) => Ok(Self::Below(EventType::new(prefix)?)),
            None => Ok(Self::Exactly(EventType::new(text)?)),
        }
    }

    /// Whether the entry covers `event_type`.
    pub fn covers(&self, event_type: &EventType) -> bool {
        match self {
            Self::All => true,
            Self::Exactly(wanted) => wanted == event_type,
            Self::Below(prefix) => event_type
                .as_str()
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.starts_with('.')),
        }
    }
}

/// Whether a webhook with these event subscriptions wants `event_type`. None at all means every
/// event type.
pub fn wants(subscriptions: &[EventSubscription], event_type: &EventType) -> bool {
    subscriptions.is_empty() || subscriptions.iter().any(|entry| entry.covers(event_type))
}

/// An event subscription that covers no event type of the deployment: a slip, or a type that is still
/// to be named in its settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{entry} covers no event type of this deployment; {}it has {known}", .meant.as_ref().map(|meant| format!("did you mean {meant}? ")).unwrap_or_default())]
pub struct CoversNothing {
    /// The entry.
    pub entry: EventSubscription,
    /// The entry that may have been meant.
    pub meant: Option<String>,
    /// Those that there are.
    pub known: String,
}

/// Finds the first entry that covers none of the `known` event types.
pub fn check(
    subscriptions: &[EventSubscription],
    known: &BTreeSet<EventType>,
) -> Result<(), CoversNothing> {
    let covers_nothing = |entry: &&EventSubscription| {
        **entry != EventSubscription::All && !known.iter().any(|one| entry.covers(one))
    };
    let Some(entry) = subscriptions.iter().find(covers_nothing) else {
        return Ok(());
    };
    let names: Vec<_> = known.iter().map(EventType::as_str).collect();
    let alike = names.iter().filter_map(|name| match entry {
        EventSubscription::Below(_) => Some(format!("{}.*", name.rsplit_once('.')?.0)),
        _ => Some((*name).to_owned()),
    });
    Err(CoversNothing {
        meant: nearest(&entry.to_string(), alike.map(|name| (name.clone(), name))),
        known: names.join(", "),
        entry: entry.clone(),
    })
}

/// All entries that cover one of the `known` event types, as people write them.
pub fn entries(known: &BTreeSet<EventType>) -> BTreeSet<String> {
    let below = |name: &str| {
        let dots: Vec<_> = name.match_indices('.').map(|(dot, _)| dot).collect();
        let prefixes = dots.into_iter().filter_map(|dot| name.get(..dot));
        prefixes
            .map(|prefix| format!("{prefix}.*"))
            .collect::<Vec<_>>()
    };
    let names = known.iter().map(EventType::as_str);
    let entries = names.flat_map(|name| below(name).into_iter().chain([name.to_owned()]));
    entries.chain(["*".to_owned()]).collect()
}

impl fmt::Display for EventSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Below(prefix) => write!(f, "{prefix}.*"),
            Self::Exactly(event_type) => write!(f, "{event_type}"),
        }
    }
}

impl TryFrom<String> for EventSubscription {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(&text)
    }
}

impl From<EventSubscription> for String {
    fn from(entry: EventSubscription) -> Self {
        entry.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wanted(entries: &[&str], event_type: &str) -> bool {
        let entries: Vec<_> = entries
            .iter()
            .map(|text| EventSubscription::parse(text).unwrap())
            .collect();
        wants(&entries, &EventType::new(event_type).unwrap())
    }

    #[test]
    fn the_entries_of_a_deployment_are_those_that_cover_something() {
        let known = ["a.b.c", "a.b", "d"].map(|name| EventType::new(name).unwrap());
        let known = BTreeSet::from(known);
        let entries = entries(&known);
        assert_eq!(
            Vec::from_iter(&entries),
            ["*", "a.*", "a.b", "a.b.*", "a.b.c", "d"]
        );
        for entry in entries {
            let entry = EventSubscription::parse(&entry).unwrap();
            assert_eq!(check(&[entry], &known), Ok(()));
        }
    }

    #[test]
    fn an_entry_that_covers_nothing_is_told_with_what_may_have_been_meant() {
        let known = ["request.completed", "guardrail.triggered"];
        let known = known.map(|name| EventType::new(name).unwrap()).into();
        let check = |entry: &str| check(&[EventSubscription::parse(entry).unwrap()], &known);
        for entry in ["*", "request.completed", "guardrail.*"] {
            assert_eq!(check(entry), Ok(()), "{entry}");
        }
        for (entry, meant) in [
            ("request.complete", Some("request.completed")),
            ("guardrails.*", Some("guardrail.*")),
            ("something.else", None),
        ] {
            let error = check(entry).unwrap_err();
            assert_eq!(error.meant.as_deref(), meant, "{error}");
            assert!(
                error.to_string().contains("guardrail.triggered, request"),
                "{error}"
            );
        }
    }

    #[test]
    fn entries_cover_what_they_say() {
        assert!(wanted(&["guardrail.*"], "guardrail.triggered"));
        assert!(wanted(&["guardrail.*"], "guardrail.triggered.twice"));
        assert!(!wanted(&["guardrail.*"], "guardrail"));
        assert!(!wanted(&["guardrail.*"], "guardrails.triggered"));
        assert!(wanted(&["*"], "anything"));
        assert!(wanted(
            &["budget.exceeded", "error.occurred"],
            "error.occurred"
        ));
        assert!(!wanted(&["budget.exceeded"], "error.occurred"));
    }

    #[test]
    fn an_empty_list_wants_everything() {
        assert!(wanted(&[], "batch.completed"));
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for text in [
            "",
            "**",
            "*.completed",
            "request.*.x",
            "request*",
            ".*",
            "Request.*",
        ] {
            assert!(EventSubscription::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_pattern_says_what_is_taken(text in "[a-cA0-1.*_ -]{0,6}") {
            let matches = regex::Regex::new(EventSubscription::PATTERN).unwrap().is_match(&text);
            prop_assert_eq!(matches, EventSubscription::parse(&text).is_ok());
        }

        #[test]
        fn an_event_type_is_covered_by_itself_its_prefixes_and_the_star(
            words in proptest::collection::vec("[a-z0-9_-]{1,6}", 2..5)
        ) {
            let event_type = EventType::new(&words.join(".")).unwrap();
            prop_assert!(EventSubscription::Exactly(event_type.clone()).covers(&event_type));
            prop_assert!(EventSubscription::All.covers(&event_type));
            for end in 1..words.len() {
                let entry = format!("{}.*", words[..end].join("."));
                let parsed = EventSubscription::parse(&entry).unwrap();
                prop_assert!(parsed.covers(&event_type));
                prop_assert_eq!(parsed.to_string(), entry);
            }
        }
    }
}
