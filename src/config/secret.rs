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
    name: Option<String>,
    /// Which of the tokens it is, from 1.
    place: usize,
    token: String,
}

impl ApiToken {
    /// A token that may act for `organization`, or for all of them.
    pub fn new(organization: Option<Organization>, token: impl Into<String>) -> Self {
        let token = token.into();
        Self {
            organization,
            name: None,
            place: 1,
            token,
        }
    }

    /// The same token, with a name.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..self
        }
    }

    /// The same token, which stands at this place among all, from 1.
    pub fn placed(self, place: usize) -> Self {
        Self { place, ..self }
    }

    /// What whoever uses it is called: its name, or else which of the tokens it is. No name that was
    /// given can be one of the latter.
    pub fn name(&self) -> String {
        let unnamed = || format!("token #{}", self.place);
        self.name.clone().unwrap_or_else(unnamed)
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
        match (&self.organization, &self.name) {
            (Some(organization), Some(name)) => write!(f, "{organization}:{name}:***"),
            (Some(organization), None) => write!(f, "{organization}:***"),
            (None, Some(name)) => write!(f, "*:{name}:***"),
            (None, None) => f.write_str("***"),
        }
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiToken({self})")
    }
}
