//! Which parts of a webhook's document are secret, and how they are sealed, opened, and sealed anew.

use std::collections::BTreeMap;
use std::fmt;

use super::documents::quiet;
use super::fields::Fields;
use super::secrets::{CipherError, Part, SecretCipher};
use crate::domain::secret::KeyId;
use crate::domain::webhook::{InvalidWebhook, Unopened, WebhookKey};

/// Seals and opens the parts of one webhook.
pub(super) struct Sealer<'a> {
    pub(super) cipher: &'a SecretCipher,
    pub(super) webhook: &'a WebhookKey,
}

/// How a part of a document stands in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stands {
    /// Readable for whoever reads the store.
    InTheClear,
    /// Sealed by an earlier version, which did not name its key.
    Unnamed,
    /// Sealed with this key.
    With(KeyId),
}

impl fmt::Display for Stands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InTheClear => f.write_str("in the clear"),
            Self::Unnamed => f.write_str("sealed by an earlier version"),
            Self::With(key) => write!(f, "sealed with key {key}"),
        }
    }
}

impl Stands {
    fn of(stored: &str) -> Self {
        match SecretCipher::key_of(stored) {
            Some(key) => Self::With(key),
            None if SecretCipher::is_sealed(stored) => Self::Unnamed,
            None => Self::InTheClear,
        }
    }
}

impl Sealer<'_> {
    /// A URL as it is stored: its query is sealed.
    pub(super) fn url(&self, url: &str) -> Result<String, CipherError> {
        Self::query(url, |query| {
            self.cipher.seal(query, self.webhook, Part::Query)
        })
    }

    /// Headers as they are stored: their values are sealed.
    pub(super) fn headers(
        &self,
        headers: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, CipherError> {
        let sealed = headers.iter().map(|(name, value)| {
            let value = self.cipher.seal(value, self.webhook, Part::Header(name))?;
            Ok((name.clone(), value))
        });
        sealed.collect()
    }

    /// The URL that was stored as `stored`.
    pub(super) fn open_url(&self, stored: &str) -> Result<String, InvalidWebhook> {
        let opened = Self::query(stored, |query| self.open(query, Part::Query));
        opened.map_err(|error| unopened("the query of its URL".to_owned(), error))
    }

    /// The headers that were stored as `stored`.
    pub(super) fn open_headers(
        &self,
        stored: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, InvalidWebhook> {
        let opened =
            stored.into_iter().map(
                |(name, value)| match self.open(&value, Part::Header(&name)) {
                    Ok(value) => Ok((name, value)),
                    Err(error) => Err(unopened(format!("its header {name:?}"), error)),
                },
            );
        opened.collect()
    }

    /// Tells how each secret part of a document stands, and whether it can be opened.
    pub(super) fn look(&self, fields: &Fields) -> Result<Vec<Stands>, InvalidWebhook> {
        let mut looked = fields.clone();
        let seals = false;
        Anew {
            sealer: self,
            seals,
        }
        .all(&mut looked)
    }

    /// Seals with the first key whatever stands otherwise, and tells how each part stood. Nothing is
    /// changed if one of them cannot be opened.
    pub(super) fn seal_anew(&self, fields: &mut Fields) -> Result<Vec<Stands>, InvalidWebhook> {
        let mut changed = fields.clone();
        let seals = true;
        let stood = Anew {
            sealer: self,
            seals,
        }
        .all(&mut changed)?;
        *fields = changed;
        Ok(stood)
    }

    /// Whether a part that stands so is as it should be: sealed with the first key.
    pub(super) fn is_as_it_should_be(&self, stands: Stands) -> bool {
        let first = self.cipher.key_ids().next();
        first.is_none_or(|first| stands == Stands::With(first))
    }

    fn open(&self, stored: &str, part: Part<'_>) -> Result<String, CipherError> {
        self.cipher.open(stored, self.webhook, part)
    }

    /// The URL with another query, if it has any.
    fn query<E>(url: &str, change: impl FnOnce(&str) -> Result<String, E>) -> Result<String, E> {
        match url.split_once('?') {
            Some((rest, query)) if !query.is_empty() => Ok(format!("{rest}?{}", change(query)?)),
            _ => Ok(url.to_owned()),
        }
    }
}

/// Goes through the secret parts of one document.
struct Anew<'a> {
    sealer: &'a Sealer<'a>,
    /// Whether they are sealed, not only looked at.
    seals: bool,
}

impl Anew<'_> {
    fn all(&self, fields: &mut Fields) -> Result<Vec<Stands>, InvalidWebhook> {
        let mut stood = self.secrets(fields)?;
        stood.extend(self.headers(fields)?);
        stood.extend(self.url(fields)?);
        Ok(stood)
    }

    fn secrets(&self, fields: &mut Fields) -> Result<Vec<Stands>, InvalidWebhook> {
        // What this version does not know of a secret stays.
        let secrets = fields.get::<Vec<Fields>>("secrets");
        let mut secrets = secrets.map_err(|error| quiet(&error, "secrets must be a list"))?;
        let mut stood = Vec::new();
        let mut changed = false;
        for (index, secret) in secrets.iter_mut().enumerate() {
            let stored = secret.get::<String>("value");
            let stored = stored.map_err(|error| quiet(&error, "a secret must be a text"))?;
            let what = || format!("secret {}", index + 1);
            if let Some(sealed) = self.part(&stored, Part::Secret, &mut stood, what)? {
                secret.set("value", &sealed)?;
                changed = true;
            }
        }
        if changed {
            fields.set("secrets", &secrets)?;
        }
        Ok(stood)
    }

    fn headers(&self, fields: &mut Fields) -> Result<Vec<Stands>, InvalidWebhook> {
        let headers = fields.get::<BTreeMap<String, String>>("headers");
        let mut headers =
            headers.map_err(|error| quiet(&error, "headers must be an object of texts"))?;
        let mut stood = Vec::new();
        let mut changed = false;
        for (name, value) in &mut headers {
            let what = || format!("its header {name:?}");
            if let Some(sealed) = self.part(value, Part::Header(name), &mut stood, what)? {
                *value = sealed;
                changed = true;
            }
        }
        if changed {
            fields.set("headers", &headers)?;
        }
        Ok(stood)
    }

    fn url(&self, fields: &mut Fields) -> Result<Vec<Stands>, InvalidWebhook> {
        let url = fields.get::<String>("url");
        let url = url.map_err(|error| quiet(&error, "the URL must be a text"))?;
        let mut stood = Vec::new();
        let sealed = Sealer::query(&url, |query| {
            let what = || "the query of its URL".to_owned();
            let sealed = self.part(query, Part::Query, &mut stood, what)?;
            Ok::<_, InvalidWebhook>(sealed.unwrap_or_else(|| query.to_owned()))
        })?;
        if sealed != url {
            fields.set("url", &sealed)?;
        }
        Ok(stood)
    }

    /// A part as it is to be stored, if that is otherwise than it stands. What stands as it should is
    /// opened all the same, to know that it can be.
    fn part(
        &self,
        stored: &str,
        part: Part<'_>,
        stood: &mut Vec<Stands>,
        what: impl Fn() -> String,
    ) -> Result<Option<String>, InvalidWebhook> {
        let Sealer { cipher, webhook } = self.sealer;
        let stands = Stands::of(stored);
        let opened = cipher.open(stored, webhook, part);
        let opened = opened.map_err(|error| unopened(what(), error))?;
        stood.push(stands);
        if !self.seals || self.sealer.is_as_it_should_be(stands) {
            return Ok(None);
        }
        let sealed = cipher.seal(&opened, webhook, part);
        sealed.map(Some).map_err(|error| unopened(what(), error))
    }
}

fn unopened(what: String, error: CipherError) -> InvalidWebhook {
    InvalidWebhook::Unopened {
        what,
        problem: Unopened::from(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Organization, WebhookId};
    use crate::domain::secret::SecretKey;

    fn webhook() -> WebhookKey {
        WebhookKey {
            organization: Organization::default(),
            id: WebhookId::new("w").unwrap(),
        }
    }

    fn cipher(keys: &[u8]) -> SecretCipher {
        SecretCipher::new(keys.iter().map(|byte| SecretKey::new([*byte; 32])))
    }

    fn read(json: &str) -> Fields {
        Fields::read(json.as_bytes()).unwrap()
    }

    const CLEAR: &str = r#"{"big":123456789012345678901234567890,"headers":{"X-A":"s3cr3t"},"id":"w","name":" ","secrets":[{"value":"s3cr3t","future":[1.10]}],"url":"https://h/p?s3cr3t#f"}"#;

    #[test]
    fn what_stands_in_the_clear_is_sealed_and_nothing_else_is_touched() {
        let webhook = webhook();
        let cipher = cipher(&[1]);
        let sealer = Sealer {
            cipher: &cipher,
            webhook: &webhook,
        };
        let mut fields = read(CLEAR);
        let stood = sealer.seal_anew(&mut fields).unwrap();
        assert_eq!(stood, [Stands::InTheClear; 3]);
        let sealed = fields.to_json().unwrap();
        assert!(!sealed.contains("s3cr3t"), "{sealed}");
        assert!(sealed.contains(r#""future":[1.10]"#), "{sealed}");
        assert!(sealed.contains("123456789012345678901234567890"));
        assert!(sealed.contains("https://h/p?sealed:v2:"), "{sealed}");
        let url = fields.get::<String>("url").unwrap();
        assert_eq!(sealer.open_url(&url).unwrap(), "https://h/p?s3cr3t#f");

        let stood = sealer.seal_anew(&mut fields).unwrap();
        assert!(
            stood
                .iter()
                .all(|stands| sealer.is_as_it_should_be(*stands))
        );
        assert_eq!(
            fields.to_json().unwrap(),
            sealed,
            "a second time changes nothing"
        );
    }

    #[test]
    fn what_is_sealed_with_another_key_is_sealed_with_the_first() {
        let webhook = webhook();
        let [old, both, new] = [&[1][..], &[2, 1], &[2]].map(cipher);
        let with = |cipher| Sealer {
            cipher,
            webhook: &webhook,
        };
        let mut fields = read(CLEAR);
        with(&old).seal_anew(&mut fields).unwrap();
        let stood = with(&both).look(&fields).unwrap();
        assert_eq!(stood, [Stands::With(SecretKey::new([1; 32]).id()); 3]);
        let before = fields.to_json().unwrap();
        let lacking = with(&new).seal_anew(&mut fields).unwrap_err();
        assert!(lacking.is_for_want_of_key(), "{lacking}");
        assert_eq!(fields.to_json().unwrap(), before, "all of it or nothing");
        with(&both).seal_anew(&mut fields).unwrap();
        assert!(with(&new).look(&fields).is_ok());
        assert!(with(&old).look(&fields).is_err());
    }

    #[test]
    fn without_a_key_nothing_is_sealed_and_nothing_secret_is_quoted() {
        let webhook = webhook();
        let cipher = SecretCipher::default();
        let sealer = Sealer {
            cipher: &cipher,
            webhook: &webhook,
        };
        let mut fields = read(CLEAR);
        sealer.seal_anew(&mut fields).unwrap();
        assert_eq!(fields.to_json().unwrap(), CLEAR);
        for json in [
            r#"{"secrets":"hunter2"}"#,
            r#"{"secrets":["hunter2"]}"#,
            r#"{"secrets":[{"value":["hunter2"]}]}"#,
            r#"{"headers":{"a":["hunter2"]}}"#,
            r#"{"headers":"hunter2"}"#,
            r#"{"url":["hunter2"]}"#,
        ] {
            let error = sealer.look(&read(json)).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
