//! Which version of a webhook somebody has seen, so that what others changed since is not undone.

use std::collections::BTreeMap;

use hex::encode;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

use super::documents;
use super::fields::Fields;
use crate::domain::endpoint::shown;

/// How many bytes of the digest name a version: two that differ are told apart, by accident
/// or not, in all but one of 2^64 cases.
const BYTES: usize = 8;

/// Names one state of a webhook's document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// Takes a version as it was shown. One that never was equals none.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The version's text: hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The version of a document. The values of secrets and headers and the URL's query do not enter
    /// into it: a short one could be guessed from the digest, and they are other bytes whenever they
    /// are sealed anew. Whoever changes one changes `updated_at` as well.
    pub(super) fn of(json: &[u8]) -> Result<Self, serde_json::Error> {
        let mut fields: Fields = documents::fields(json)?;
        let mut secrets = documents::secrets(&fields)?;
        for secret in &mut secrets {
            secret.value.clear();
        }
        fields.set("secrets", &secrets)?;
        let headers = fields.get::<BTreeMap<String, IgnoredAny>>("headers")?;
        fields.set("headers", &headers.into_keys().collect::<Vec<_>>())?;
        fields.set("url", &shown(&fields.get::<String>("url")?))?;
        let digest = Sha256::digest(fields.to_json()?);
        Ok(Self(encode(digest.get(..BYTES).unwrap_or_default())))
    }
}

/// A webhook to be changed: by its id or else its name, and the version that must not have been
/// changed by anybody else, if that matters.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The id or the name.
    pub reference: &'a str,
    /// The version that is meant; `None`: whichever there is.
    pub version: Option<&'a Version>,
}

impl<'a> Target<'a> {
    /// The webhook as somebody saw it.
    pub fn seen(reference: &'a str, version: &'a Version) -> Self {
        Self {
            reference,
            version: Some(version),
        }
    }
}

impl<'a> From<&'a str> for Target<'a> {
    fn from(reference: &'a str) -> Self {
        Self {
            reference,
            version: None,
        }
    }
}

impl<'a> From<&'a String> for Target<'a> {
    fn from(reference: &'a String) -> Self {
        reference.as_str().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(json: &str) -> Version {
        Version::of(json.as_bytes()).unwrap()
    }

    #[test]
    fn every_change_but_that_of_a_secret_value_is_another_version() {
        let one = version(
            r#"{"id":"w","name":"n","url":"u?a","x":1,"secrets":[{"value":"a"}],"headers":{"h":"a"}}"#,
        );
        let same = version(
            r#"{"name":"n","id":"w","url":"u?b","x":1,"headers":{"h":"b"},"secrets":[{"value":"b"}]}"#,
        );
        assert_eq!(one, same);
        assert_eq!(one.as_str().len(), 16);
        for other in [
            r#"{"id":"w","name":"m","url":"u?a","x":1,"secrets":[{"value":"a"}],"headers":{"h":"a"}}"#,
            r#"{"id":"w","name":"n","url":"v?a","x":1,"secrets":[{"value":"a"}],"headers":{"h":"a"}}"#,
            r#"{"id":"w","name":"n","url":"u","x":1,"secrets":[{"value":"a"}],"headers":{"h":"a"}}"#,
            r#"{"id":"w","name":"n","url":"u?a","x":2,"secrets":[{"value":"a"}],"headers":{"h":"a"}}"#,
            r#"{"id":"w","name":"n","url":"u?a","x":1,"secrets":[{"value":"a","staged":true}],"headers":{"h":"a"}}"#,
            r#"{"id":"w","name":"n","url":"u?a","x":1,"secrets":[],"headers":{"h":"a"}}"#,
            r#"{"id":"w","name":"n","url":"u?a","x":1,"secrets":[{"value":"a"}],"headers":{"i":"a"}}"#,
            r#"{"id":"w","name":"n","url":"u?a","x":1}"#,
        ] {
            assert_ne!(version(other), one, "{other}");
        }
    }
}
