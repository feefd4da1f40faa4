//! The headers of a message: their names, and how they are read.

use std::fmt::Display;
use std::str::FromStr;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use crate::domain::event::Header;

pub(in crate::rabbitmq) mod header {
    //! The headers' names.
    pub const ORGANIZATION: &str = "organization";
    pub const WEBHOOK: &str = "webhook";
    pub const EVENT_TYPE: &str = "event-type";
    pub const DELIVERY: &str = "delivery";
    pub const EVENT: &str = "event";
    pub const ATTEMPT: &str = "attempt";
    pub const SEQUENCE: &str = "sequence";
    pub const FIRST_ATTEMPT_AT: &str = "first-attempt-at";
    pub const TRIGGER: &str = "trigger";
    pub const LAST_OUTCOME: &str = "last-outcome";
    pub const LAST_STATUS: &str = "last-status";
    pub const REMAINING_WAIT: &str = "remaining-wait-ms";
    pub const TRACEPARENT: &str = "traceparent";
    pub const REASON: &str = "reason";
    pub const DETAIL: &str = "detail";
    pub const DEAD_AT: &str = "dead-at";
    pub const LETTER: &str = "letter";
    pub const STAMP: &str = "x-prism-stamp";

    /// All of them.
    pub const ALL: [&str; 18] = [
        ORGANIZATION,
        WEBHOOK,
        EVENT_TYPE,
        DELIVERY,
        EVENT,
        ATTEMPT,
        SEQUENCE,
        FIRST_ATTEMPT_AT,
        TRIGGER,
        LAST_OUTCOME,
        LAST_STATUS,
        REMAINING_WAIT,
        TRACEPARENT,
        REASON,
        DETAIL,
        DEAD_AT,
        LETTER,
        STAMP,
    ];
}

/// The headers of a message, read leniently as to their types and strictly as to their values.
pub(in crate::rabbitmq) struct Headers<'a>(Option<&'a FieldTable>);

impl<'a> Headers<'a> {
    pub(in crate::rabbitmq) fn of(properties: &'a BasicProperties) -> Self {
        Self(properties.headers().as_ref())
    }

    pub(in crate::rabbitmq) fn get(&self, name: &str) -> Option<&'a AMQPValue> {
        self.0.and_then(|table| table.inner().get(name))
    }

    pub(super) fn raw(&self, name: &str) -> Header {
        match self.get(name) {
            // Clients in dynamic languages write a value that is not set as void.
            None | Some(AMQPValue::Void) => Header::Absent,
            Some(AMQPValue::LongString(text)) => Header::Text(text.as_bytes().to_vec()),
            Some(AMQPValue::ShortString(text)) => Header::Text(text.as_str().into()),
            Some(other) => Header::Other(kind(other)),
        }
    }

    /// The header's text, if it is there.
    pub(in crate::rabbitmq) fn text(&self, name: &str) -> Result<Option<&'a str>, String> {
        match self.get(name) {
            None | Some(AMQPValue::Void) => Ok(None),
            Some(AMQPValue::LongString(text)) => std::str::from_utf8(text.as_bytes())
                .map(Some)
                .map_err(|error| format!("the header {name:?} is not UTF-8: {error}")),
            Some(AMQPValue::ShortString(text)) => Ok(Some(text.as_str())),
            Some(other) => Err(format!(
                "the header {name:?} is {}; it must be a string",
                kind(other)
            )),
        }
    }

    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, String> {
        self.parsed_if_there(name)?
            .ok_or_else(|| format!("the header {name:?} is missing"))
    }

    pub(in crate::rabbitmq) fn parsed_if_there<T: FromStr<Err: Display>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, String> {
        self.text(name)?
            .map(|text| {
                text.parse()
                    .map_err(|error| format!("the header {name:?}: {error}"))
            })
            .transpose()
    }

    /// The header's number, of whatever width, if it is there.
    pub(in crate::rabbitmq) fn number<T: TryFrom<i64>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, String> {
        let number = match self.get(name) {
            None | Some(AMQPValue::Void) => return Ok(None),
            Some(AMQPValue::ShortShortInt(number)) => i64::from(*number),
            Some(AMQPValue::ShortShortUInt(number)) => i64::from(*number),
            Some(AMQPValue::ShortInt(number)) => i64::from(*number),
            Some(AMQPValue::ShortUInt(number)) => i64::from(*number),
            Some(AMQPValue::LongInt(number)) => i64::from(*number),
            Some(AMQPValue::LongUInt(number)) => i64::from(*number),
            Some(AMQPValue::LongLongInt(number)) => *number,
            Some(other) => {
                return Err(format!(
                    "the header {name:?} is {}; it must be a number",
                    kind(other)
                ));
            }
        };
        let out_of_range = || format!("the header {name:?} is {number}, which cannot be");
        T::try_from(number).map(Some).map_err(|_| out_of_range())
    }

    /// A number that counts from 1.
    pub(super) fn counter(&self, name: &str) -> Result<u32, String> {
        match self.number(name)? {
            None => Err(format!("the header {name:?} is missing")),
            Some(0) => Err(format!("the header {name:?} is 0; it counts from 1")),
            Some(number) => Ok(number),
        }
    }
}

fn kind(value: &AMQPValue) -> &'static str {
    match value {
        AMQPValue::Boolean(_) => "a boolean",
        AMQPValue::ShortShortInt(_)
        | AMQPValue::ShortShortUInt(_)
        | AMQPValue::ShortInt(_)
        | AMQPValue::ShortUInt(_)
        | AMQPValue::LongInt(_)
        | AMQPValue::LongUInt(_)
        | AMQPValue::LongLongInt(_)
        | AMQPValue::Float(_)
        | AMQPValue::Double(_)
        | AMQPValue::DecimalValue(_) => "a number",
        AMQPValue::ShortString(_) | AMQPValue::LongString(_) => "a string",
        AMQPValue::FieldArray(_) => "an array",
        AMQPValue::Timestamp(_) => "a timestamp",
        AMQPValue::FieldTable(_) => "a table",
        AMQPValue::ByteArray(_) => "a byte array",
        AMQPValue::Void => "void",
    }
}
