//! A line of a batch: an event as it is, or one that comes with its id, `{"id": …, "body": {…}}`.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{InvalidEvent, named_event, words};
use crate::domain::ids::EventId;

/// An event of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// The id that the publisher gave it.
    pub id: Option<String>,
    /// The event type that it names.
    pub event_type: String,
    /// The event, byte for byte.
    pub body: &'a [u8],
}

/// Reads a line. An event always names its event type in `event`: what does not, and has a `body`,
/// is an event with its id.
pub fn read(line: &[u8]) -> Result<Line<'_>, InvalidEvent> {
    let unnamed = match named_event(line) {
        Ok(event_type) => {
            return Ok(Line {
                id: None,
                event_type,
                body: line,
            });
        }
        Err(InvalidEvent::Unnamed) if has_body(line) => with_id(line)?,
        Err(error) => return Err(error),
    };
    // A message without an id may be an event, for it gets one. Who gives one gives a whole one.
    EventId::new(&unnamed.id)?;
    let body = unnamed.body.get().as_bytes();
    Ok(Line {
        id: Some(unnamed.id),
        event_type: named_event(body)?,
        body,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithId<'a> {
    id: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

fn has_body(line: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Peek {
        event: Option<IgnoredAny>,
        body: Option<IgnoredAny>,
    }
    serde_json::from_slice::<Peek>(line)
        .is_ok_and(|peek| peek.body.is_some() && peek.event.is_none())
}

fn with_id(line: &[u8]) -> Result<WithId<'_>, InvalidEvent> {
    serde_json::from_slice(line).map_err(|error| InvalidEvent::WithId(words(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_taken_as_it_is_and_one_with_an_id_as_what_it_holds() {
        let plain = br#"{"event":"a.b", "id": "mine", "body": {"event":"c.d"}}"#;
        let line = read(plain).unwrap();
        assert_eq!(
            (line.id, &*line.event_type, line.body),
            (None, "a.b", &plain[..])
        );
        let line = read(br#" {"id":"ev-1","body": { "event" : "a.b", "n": 1.50 } }"#).unwrap();
        assert_eq!(line.id.as_deref(), Some("ev-1"));
        assert_eq!(line.event_type, "a.b");
        assert_eq!(line.body, br#"{ "event" : "a.b", "n": 1.50 }"#);
    }

    #[test]
    fn what_is_neither_says_what_is_wrong_with_it() {
        for (line, said) in [
            (r#"{"id":"x"}"#, "no string field \"event\""),
            (r#"{"event":5,"body":{}}"#, "no string field \"event\""),
            (r#"{"body":{"event":"a.b"}}"#, "missing field `id`"),
            (r#"{"id":7,"body":{"event":"a.b"}}"#, "expected a string"),
            (
                r#"{"id":"x","body":{"event":"a.b"},"more":1}"#,
                "unknown field `more`",
            ),
            (r#"{"id":"x","body":{}}"#, "no string field \"event\""),
            (r#"{"id":"x","body":[1]}"#, "it is an array"),
            (
                r#"{"id":"","body":{"event":"a.b"}}"#,
                "the event id \"\" is not usable",
            ),
            ("1", "not a JSON object"),
        ] {
            let error = read(line.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
