//! Fields that Redis keeps as texts, read back as what they were.

use std::collections::HashMap;
use std::str::FromStr;

/// The fields of a stream's entry or of a hash, in the order in which they came. There are few: to
/// look through them costs less than to hash them.
#[derive(Debug, Default)]
pub(super) struct Texts(Vec<(String, Vec<u8>)>);

/// A field that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the field {field:?} is missing or not what it should be")]
pub struct Unreadable {
    pub(super) field: &'static str,
}

impl Texts {
    pub(super) fn from_hash(fields: HashMap<String, Vec<u8>>) -> Self {
        Self(fields.into_iter().collect())
    }

    pub(super) fn from_pairs(fields: Vec<(String, Vec<u8>)>) -> Self {
        Self(fields)
    }

    fn place(&self, field: &str) -> Option<usize> {
        self.0.iter().position(|(name, _)| name == field)
    }

    /// Whether the field is there at all.
    pub(super) fn has(&self, field: &str) -> bool {
        self.place(field).is_some()
    }

    /// The bytes of a field that must be there.
    pub(super) fn bytes(&mut self, field: &'static str) -> Result<Vec<u8>, Unreadable> {
        let place = self.place(field).ok_or(Unreadable { field })?;
        Ok(self.0.swap_remove(place).1)
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
        let found = self.0.iter().find(|(name, _)| name == field);
        let bytes = found.map_or(&[][..], |(_, bytes)| bytes);
        std::str::from_utf8(bytes).map_err(|_| Unreadable { field })
    }
}
