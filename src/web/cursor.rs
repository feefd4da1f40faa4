//! Where the next part of a long list begins.

use serde::Deserialize;
use serde::de::Error as _;

use crate::store::entry::EntryId;

/// Where the next part of a list of attempts begins: an entry of the record, `number` or
/// `number-number`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(EntryId);

impl Cursor {
    /// The regular expression that those which are given out match.
    pub const PATTERN: &str = "^[0-9]{1,18}(-[0-9]{1,18})?$";

    /// Takes a cursor as it was given out.
    pub fn new(text: &str) -> Option<Self> {
        let (first, second) = text.split_once('-').unwrap_or((text, "0"));
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits)
        };
        Some(Self(EntryId {
            major: number(first)?,
            minor: number(second)?,
        }))
    }

    /// The entry.
    pub fn entry(self) -> EntryId {
        self.0
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text)
            .ok_or_else(|| D::Error::custom("a cursor is the `next` of the part before, as it is"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_an_entry_of_either_store() {
        let pattern = regex::Regex::new(Cursor::PATTERN).unwrap();
        for good in ["17", "1732458000000-0", "0"] {
            assert!(pattern.is_match(good), "{good}");
            assert!(Cursor::new(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "-",
            "+",
            "1-",
            "-1",
            "1-2-3",
            "(5",
            "99999999999999999999",
            "1e3",
        ] {
            assert!(Cursor::new(bad).is_none(), "{bad}");
            assert!(!pattern.is_match(bad), "{bad}");
        }
    }
}
