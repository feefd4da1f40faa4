//! What places in the record are sealed with before anybody outside is shown them.

use std::fmt;

/// What places in the record are sealed with: one for the deployment, drawn by its store, so that what
/// one process gave out every other can read, today and tomorrow. Prints without itself.
#[derive(Clone, PartialEq, Eq)]
pub struct CursorKey([u8; Self::LENGTH]);

impl CursorKey {
    /// Its length in bytes.
    pub const LENGTH: usize = 32;

    /// A key of these bytes.
    pub fn new(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The key itself, to seal with.
    pub fn expose(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorKey(***)")
    }
}

/// What the store holds is no key.
#[derive(Debug, thiserror::Error)]
#[error(
    "what places in the record are sealed with is no key of {} bytes; remove it, and a new one is drawn: {place}",
    CursorKey::LENGTH
)]
pub struct NoCursorKey {
    /// Where it stands.
    pub place: String,
}
