//! A webhook's signing secrets as they are stored, and which of them signs what at a moment.
//!
//! The first that is active is the *current* one: it signs `X-Prism-Signature`. All that are active
//! sign `Webhook-Signature`. A *staged* secret signs there only, until it is promoted, by hand or at
//! a set time. That time takes effect without anybody writing: whoever signs asks with the time.

use std::cmp::Reverse;
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::webhook::null_is_none;

/// At most so many secrets sign a request.
pub const MOST_ACTIVE: usize = 10;

/// A signing secret as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoredSecret {
    /// The secret's text, or its encrypted form when secrets are encrypted at rest.
    pub value: String,
    /// When it stops signing (RFC 3339); absent: never. A secret that another took over from gets one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expires_at: Option<Timestamp>,
    /// Whether it is staged: it signs Webhook-Signature beside the current secret, and not yet
    /// X-Prism-Signature. Of several the newest comes first.
    #[serde(
        default,
        deserialize_with = "null_is_none",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub staged: bool,
    /// When a staged secret is promoted by itself (RFC 3339); absent: by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub promote_at: Option<Timestamp>,
    /// For how many seconds the others go on signing once a staged secret is promoted by hand, unless
    /// something else is said then; absent: a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_seconds: Option<u64>,
}

/// When a secret signs, and from when it may be the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// When it stops signing; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// Whether it is promoted.
    pub promotion: Promotion,
}

/// How a secret comes to be the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promotion {
    /// It is, or was before another took over.
    Done,
    /// It is staged until this time.
    At(Timestamp),
    /// It is staged until somebody promotes it.
    ByHand,
}

/// What an active secret does at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It signs both headers.
    Current {
        /// When it stops signing, if it does.
        expires_at: Option<Timestamp>,
    },
    /// It signs `Webhook-Signature`, and is to be promoted.
    Staged {
        /// When that happens by itself, if it does.
        promote_at: Option<Timestamp>,
    },
    /// It signs `Webhook-Signature`, and another took over.
    Old {
        /// When it stops signing, if it does.
        expires_at: Option<Timestamp>,
    },
}

impl StoredSecret {
    /// A secret that is neither staged nor ends.
    pub fn new(value: String) -> Self {
        Self {
            value,
            expires_at: None,
            staged: false,
            promote_at: None,
            overlap_seconds: None,
        }
    }

    /// When it signs.
    pub fn term(&self) -> Term {
        Term {
            expires_at: self.expires_at,
            promotion: match (self.staged, self.promote_at) {
                (false, _) => Promotion::Done,
                (true, Some(at)) => Promotion::At(at),
                (true, None) => Promotion::ByHand,
            },
        }
    }
}

impl Standing {
    /// Its name: `current`, `staged` or `old`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Current { .. } => "current",
            Self::Staged { .. } => "staged",
            Self::Old { .. } => "old",
        }
    }

    /// When it is promoted by itself, if it is staged and that is set.
    pub fn promote_at(&self) -> Option<Timestamp> {
        match self {
            Self::Staged { promote_at } => *promote_at,
            Self::Current { .. } | Self::Old { .. } => None,
        }
    }

    /// When it stops signing, if that is set.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Staged { .. } => None,
            Self::Current { expires_at } | Self::Old { expires_at } => *expires_at,
        }
    }
}

impl Term {
    /// Whether it signs at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it is still staged at `now`.
    pub fn is_staged(&self, now: Timestamp) -> bool {
        match self.promotion {
            Promotion::Done => false,
            Promotion::At(at) => now < at,
            Promotion::ByHand => true,
        }
    }

    /// Who was promoted last comes first, and what is staged after all that were.
    fn precedence(self, now: Timestamp) -> impl Ord {
        let promoted_at = match self.promotion {
            Promotion::At(at) if at <= now => Some(at),
            _ => None,
        };
        Reverse((!self.is_staged(now), promoted_at))
    }
}

/// The secrets that are active at `now`: the current one, then the others as they stand.
///
/// While none is promoted, because the last one ended, the newest that is staged takes its place: a
/// request is signed as long as there is anything to sign it with.
pub fn active<T>(secrets: &[T], term: impl Fn(&T) -> Term, now: Timestamp) -> Vec<&T> {
    let active = secrets.iter().filter(|one| term(one).is_active(now));
    let mut active: Vec<&T> = active.collect();
    let placed = active.iter().enumerate();
    let current = placed.min_by_key(|(_, one)| term(one).precedence(now));
    if let Some((place, _)) = current {
        active[..=place].rotate_right(1);
    }
    active
}

/// What each active secret does at `now`, the current one first.
pub fn standings(terms: &[Term], now: Timestamp) -> Vec<Standing> {
    let active = active(terms, |term| *term, now).into_iter().enumerate();
    let standing = active.map(|(index, term)| match (index, term.promotion) {
        (0, _) => Standing::Current {
            expires_at: term.expires_at,
        },
        (_, Promotion::At(at)) if now < at => Standing::Staged {
            promote_at: Some(at),
        },
        (_, Promotion::ByHand) => Standing::Staged { promote_at: None },
        _ => Standing::Old {
            expires_at: term.expires_at,
        },
    });
    standing.collect()
}

impl fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSecret")
            .field("term", &self.term())
            .finish_non_exhaustive()
    }
}
