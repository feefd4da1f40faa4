//! Fields that Redis keeps as texts, read back as what they were.

use std::collections::HashMap;
use std::str::FromStr;

use redis::Value;

/// The fields of a stream's entry or of a hash.
#[derive(Debug, Default)]
pub(super) struct Texts(HashMap<String, Vec<u8>>);

/// A field that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the field {field:?} is missing or not what it should be")]
pub struct Unreadable {
    pub(super) field: &'static str,
}

impl Texts {
    pub(super) fn from_hash(fields: HashMap<String, Vec<u8>>) -> Self {
        Self(fields)
    }

    pub(super) fn from_entry(fields: HashMap<String, Value>) -> Self {
        let text = |(name, value)| match value {
            Value::BulkString(bytes) => Some((name, bytes)),
            _ => None,
        };
        Self(fields.into_iter().filter_map(text).collect())
    }

    /// Whether the field is there at all.
    pub(super) fn has(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// The bytes of a field that must be there.
    pub(super) fn bytes(&mut self, field: &'static str) -> Result<Vec<u8>, Unreadable> {
        self.0.remove(field).ok_or(Unreadable { field })
    }

    /// A field that must be there.
    pub(super) fn required<T: FromStr>(&self, field: &'static str) -> Result<T, Unreadable> {
        self.optional(field)?.ok_or(Unreadable { field })
    }

    /// A field that is empty or absent if there is no value.
    pub(super) fn optional<T: FromStr>(
        &self,
        field: &'static str,
    ) -> Result<Option<T>, Unreadable> {
        match self.text(field)? {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| Unreadable { field }),
        }
    }

    /// A field's text; empty if it is absent.
    pub(super) fn text(&self, field: &'static str) -> Result<&str, Unreadable> {
        let bytes = self.0.get(field).map_or(&[][..], Vec::as_slice);
        std::str::from_utf8(bytes).map_err(|_| Unreadable { field })
    }
}
