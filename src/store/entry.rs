//! Where an attempt stands in the record.

use std::fmt;
use std::str::FromStr;

/// Where an attempt stands in the record: what comes later has a greater one. In Redis the two numbers
/// of a stream's id; in SQLite a row's number, and nothing.
///
/// It counts what all organizations do, so nobody outside is shown one as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// What counts first.
    pub major: u64,
    /// What tells those apart that have the same one.
    pub minor: u64,
}

impl EntryId {
    /// Before every entry.
    pub const BEGINNING: Self = Self { major: 0, minor: 0 };
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.major, self.minor)
    }
}

/// A text is no entry's id.
#[derive(Debug, thiserror::Error)]
#[error("an entry's id is two numbers with a - between")]
pub struct NoEntryId;

impl FromStr for EntryId {
    type Err = NoEntryId;

    fn from_str(text: &str) -> Result<Self, NoEntryId> {
        let (major, minor) = text.split_once('-').ok_or(NoEntryId)?;
        let number = |text: &str| text.parse().map_err(|_| NoEntryId);
        Ok(Self {
            major: number(major)?,
            minor: number(minor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_in_order_by_number_and_not_by_text() {
        let entry = |text: &str| text.parse::<EntryId>().unwrap();
        assert!(entry("9-10") > entry("9-9") && entry("10-0") > entry("9-10"));
        assert!(entry("0-1") > EntryId::BEGINNING);
        assert_eq!(entry("1732458000000-3").to_string(), "1732458000000-3");
        for wrong in ["", "5", "-", "1-", "1-2-3", "a-1"] {
            assert!(wrong.parse::<EntryId>().is_err(), "{wrong}");
        }
    }
}
