//! Values that must never be printed: what connection URLs and API tokens are held in.

use std::fmt;

use crate::domain::ids::Organization;

/// A connection URL that prints without its password.
///
/// `Debug` and `Display` give the URL with `***` for the password; only
/// [`expose`](Redacted::expose) gives the whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted {
    text: String,
    shown: String,
}

impl Redacted {
    /// Holds `text` and prints `shown` in its place. The caller sees to it that `shown` has no
    /// secret in it.
    pub(super) fn new(text: impl Into<String>, shown: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            shown: shown.into(),
        }
    }

    /// The URL with its password, for the client library that connects.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redacted({})", self.shown)
    }
}

/// A token that opens the API and the page; prints without the token itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken {
    organization: Option<Organization>,
    token: String,
}

impl ApiToken {
    /// A token that may act for `organization`, or for all of them.
    pub fn new(organization: Option<Organization>, token: impl Into<String>) -> Self {
        let token = token.into();
        Self {
            organization,
            token,
        }
    }

    /// The organization that it is bound to; `None`: it may act for all.
    pub fn organization(&self) -> Option<&Organization> {
        self.organization.as_ref()
    }

    /// The token's text, to compare with.
    pub fn expose(&self) -> &str {
        &self.token
    }
}

impl fmt::Display for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.organization {
            Some(organization) => write!(f, "{organization}:***"),
            None => f.write_str("***"),
        }
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiToken({self})")
    }
}
