//! A webhook's signing secrets as they are stored, and how one takes over from another.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A signing secret as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoredSecret {
    /// The secret's text, or its encrypted form when secrets are encrypted at rest.
    pub value: String,
    /// When it stops signing (RFC 3339); absent: never. A rotated secret gets one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
}

impl fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSecret")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Rotates the stored secrets. The new one signs from now on, the one before it goes on signing
/// beside it for `overlap`, and what has ended is dropped.
pub fn rotate(
    secrets: &[StoredSecret],
    new: String,
    now: Timestamp,
    overlap: Duration,
) -> Vec<StoredSecret> {
    let end = now.checked_add(overlap).unwrap_or(Timestamp::MAX);
    let ending = |stored: &StoredSecret| StoredSecret {
        value: stored.value.clone(),
        expires_at: Some(stored.expires_at.map_or(end, |earlier| earlier.min(end))),
    };
    std::iter::once(StoredSecret {
        value: new,
        expires_at: None,
    })
    .chain(
        secrets
            .iter()
            .map(ending)
            .filter(|stored| stored.expires_at > Some(now)),
    )
    .collect()
}
