//! Disabling a webhook by hand: what is said of it.

/// Why a webhook is disabled, where nobody says why.
pub const BY_HAND: &str = "disabled by hand";

/// The most characters of a reason that somebody gives.
pub const LONGEST_REASON: usize = 500;
