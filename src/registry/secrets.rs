//! How what is secret of a webhook is encrypted at rest: its signing secrets, the values of its
//! headers, the query of its URL.
//!
//! With keys, each is stored as `sealed:v2:`, the id of the key, and the Base64 of a random nonce and
//! of what XChaCha20-Poly1305 makes of it. The first key encrypts, every key decrypts. Organization,
//! webhook and [what it is](Part) are authenticated with it, so what is copied to another webhook, or
//! from a secret to a header, opens nowhere. Without a key everything is stored as it is; and with
//! one, what stands in the clear is still read, because the control plane may have written it.
//!
//! Earlier versions sealed signing secrets alone, as `sealed:v1:`, without naming the key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

pub use super::cipher_error::CipherError;
use crate::domain::secret::{KeyId, Secret, SecretKey};
use crate::domain::webhook::WebhookKey;

/// What is sealed begins so, goes on with the number of its form, and a colon.
pub(super) const SEALED: &str = "sealed:v";
const NONCE_LENGTH: usize = 24;

/// What of a webhook something secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// One of its signing secrets.
    Secret,
    /// The query of its URL.
    Query,
    /// The value of a header, by the header's name.
    Header(&'a str),
}

impl Part<'_> {
    /// The field of a webhook's document that it stands in.
    fn field(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Query => "url",
            Self::Header(_) => "headers",
        }
    }
}

/// Encrypts what is secret for the store and decrypts it.
#[derive(Clone, Default)]
pub struct SecretCipher {
    keys: Vec<(KeyId, XChaCha20Poly1305)>,
}

impl fmt::Debug for SecretCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretCipher")
            .field("keys", &self.key_ids().collect::<Vec<_>>())
            .finish()
    }
}

impl SecretCipher {
    /// Encrypts with the first of `keys` and decrypts with any; without one, leaves everything as it
    /// is.
    pub fn new(keys: impl IntoIterator<Item = SecretKey>) -> Self {
        let cipher = |key: SecretKey| (key.id(), XChaCha20Poly1305::new(key.expose().into()));
        Self {
            keys: keys.into_iter().map(cipher).collect(),
        }
    }

    /// The ids of the keys, the one that encrypts first.
    pub fn key_ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().map(|(id, _)| *id)
    }

    /// The text to store for a secret of this webhook.
    pub fn encrypt(&self, secret: &Secret, webhook: &WebhookKey) -> Result<String, CipherError> {
        self.seal(secret.expose(), webhook, Part::Secret)
    }

    /// The secret of this webhook that was stored as `stored`.
    pub fn decrypt(&self, stored: &str, webhook: &WebhookKey) -> Result<Secret, CipherError> {
        Ok(Secret::new(&self.open(stored, webhook, Part::Secret)?)?)
    }

    /// The text to store for this part of this webhook.
    pub fn seal(
        &self,
        text: &str,
        webhook: &WebhookKey,
        part: Part<'_>,
    ) -> Result<String, CipherError> {
        if form(text).is_some() {
            let field = part.field();
            return Err(CipherError::ReservedPrefix { field });
        }
        let Some((id, cipher)) = self.keys.first() else {
            return Ok(text.to_owned());
        };
        let nonce: [u8; NONCE_LENGTH] = rand::random();
        let payload = Payload {
            msg: text.as_bytes(),
            aad: &bound_to(webhook, part),
        };
        let ciphertext = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| CipherError::TooLong)?;
        let sealed = [&nonce[..], &ciphertext].concat();
        Ok(format!("{SEALED}2:{id}:{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// The text of this part of this webhook that was stored as `stored`.
    pub fn open(
        &self,
        stored: &str,
        webhook: &WebhookKey,
        part: Part<'_>,
    ) -> Result<String, CipherError> {
        let (sealed, aad, key) = match form(stored) {
            None => return Ok(stored.to_owned()),
            Some(("1", encoded)) => (STANDARD.decode(encoded), bound_as_in_v1(webhook), None),
            Some(("2", rest)) => {
                let (key, encoded) = rest.split_once(':').ok_or(CipherError::Malformed)?;
                let key = KeyId::parse(key).ok_or(CipherError::Malformed)?;
                let decoded = URL_SAFE_NO_PAD.decode(encoded);
                (decoded, bound_to(webhook, part), Some(key))
            }
            Some(_) => return Err(CipherError::Later),
        };
        let sealed = sealed.map_err(|_| CipherError::Malformed)?;
        let (nonce, ciphertext) = sealed
            .split_first_chunk::<NONCE_LENGTH>()
            .ok_or(CipherError::Malformed)?;
        if self.keys.is_empty() {
            return Err(CipherError::NoKey(key));
        }
        let fitting = self
            .keys
            .iter()
            .filter(|(id, _)| key.is_none_or(|key| key == *id));
        let mut problem = key.map_or(CipherError::DoesNotOpen, CipherError::OtherKey);
        for (id, cipher) in fitting {
            let payload = Payload {
                msg: ciphertext,
                aad: &aad,
            };
            match cipher.decrypt(&XNonce::from(*nonce), payload) {
                Ok(text) => return String::from_utf8(text).map_err(|_| CipherError::Malformed),
                Err(_) if key.is_some() => problem = CipherError::Altered(*id),
                Err(_) => {}
            }
        }
        Err(problem)
    }

    /// The key that something is sealed with, if it is and says so.
    pub fn key_of(stored: &str) -> Option<KeyId> {
        let (form, rest) = form(stored)?;
        let (key, _) = rest.split_once(':')?;
        (form == "2").then(|| KeyId::parse(key)).flatten()
    }

    /// Whether the text begins like something sealed.
    pub fn is_sealed(stored: &str) -> bool {
        form(stored).is_some()
    }
}

/// The number of the form of something sealed, and what follows; `None` for what stands in the clear.
fn form(stored: &str) -> Option<(&str, &str)> {
    let (number, rest) = stored.strip_prefix(SEALED)?.split_once(':')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((number, rest))
}

/// Neither identifiers nor names of headers can hold a zero byte.
fn bound_to(webhook: &WebhookKey, part: Part<'_>) -> Vec<u8> {
    let part = match part {
        Part::Secret => "secret".to_owned(),
        Part::Query => "query".to_owned(),
        Part::Header(name) => format!("header {}", name.to_ascii_lowercase()),
    };
    let mut bound = bound_as_in_v1(webhook);
    bound.push(0);
    bound.extend(part.into_bytes());
    bound
}

/// Only signing secrets were sealed then, so what it is was not said.
fn bound_as_in_v1(webhook: &WebhookKey) -> Vec<u8> {
    let WebhookKey { organization, id } = webhook;
    [organization.as_str(), id.as_str()].join("\0").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Organization, WebhookId};

    /// What an earlier version made of "hunter2" of webhook a, with the key of ones.
    const BY_V1: &str =
        "sealed:v1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXEKW18fjj5TiQg1IoqRNIU1TunOJUU7E=";

    fn webhook(id: &str) -> WebhookKey {
        WebhookKey {
            organization: Organization::default(),
            id: WebhookId::new(id).unwrap(),
        }
    }

    fn key(byte: u8) -> SecretKey {
        SecretKey::new([byte; 32])
    }

    fn cipher(byte: u8) -> SecretCipher {
        SecretCipher::new(Some(key(byte)))
    }

    fn secret() -> Secret {
        Secret::new("hunter2").unwrap()
    }

    #[test]
    fn a_sealed_secret_opens_for_its_webhook_with_its_key_alone() {
        let sealed = cipher(1).encrypt(&secret(), &webhook("a")).unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_eq!(cipher(1).decrypt(&sealed, &webhook("a")), Ok(secret()));
        let refused = cipher(1).decrypt(&sealed, &webhook("b"));
        assert_eq!(refused, Err(CipherError::Altered(key(1).id())));
        let refused = cipher(2).decrypt(&sealed, &webhook("a"));
        assert_eq!(refused, Err(CipherError::OtherKey(key(1).id())));
        let refused = SecretCipher::new(None).decrypt(&sealed, &webhook("a"));
        assert_eq!(refused, Err(CipherError::NoKey(Some(key(1).id()))));
    }

    #[test]
    fn what_is_sealed_as_one_part_opens_as_no_other() {
        let parts = [
            Part::Secret,
            Part::Query,
            Part::Header("authorization"),
            Part::Header("x-other"),
        ];
        for sealed_as in parts {
            let sealed = cipher(1).seal("hunter2", &webhook("a"), sealed_as).unwrap();
            for part in parts {
                let opened = cipher(1).open(&sealed, &webhook("a"), part);
                assert_eq!(opened.is_ok(), part == sealed_as, "{sealed_as:?} {part:?}");
            }
        }
        let upper = Part::Header("Authorization");
        let sealed = cipher(1).seal("hunter2", &webhook("a"), upper).unwrap();
        let lower = cipher(1).open(&sealed, &webhook("a"), Part::Header("authorization"));
        assert_eq!(lower.as_deref(), Ok("hunter2"), "case does not count");
    }

    #[test]
    fn the_first_key_encrypts_and_every_key_decrypts() {
        let both = SecretCipher::new([key(2), key(1)]);
        let old = cipher(1).encrypt(&secret(), &webhook("a")).unwrap();
        let new = both.encrypt(&secret(), &webhook("a")).unwrap();
        assert_eq!(SecretCipher::key_of(&new), Some(key(2).id()));
        for sealed in [&old, &new] {
            assert_eq!(both.decrypt(sealed, &webhook("a")), Ok(secret()));
        }
        assert_eq!(cipher(2).decrypt(&new, &webhook("a")), Ok(secret()));
    }

    #[test]
    fn what_an_earlier_version_sealed_opens_with_any_of_the_keys_as_a_secret() {
        let both = SecretCipher::new([key(2), key(1)]);
        assert_eq!(both.decrypt(BY_V1, &webhook("a")), Ok(secret()));
        let other = cipher(2).decrypt(BY_V1, &webhook("a"));
        assert_eq!(other, Err(CipherError::DoesNotOpen));
        let none = SecretCipher::default().decrypt(BY_V1, &webhook("a"));
        assert_eq!(none, Err(CipherError::NoKey(None)));
        assert!(SecretCipher::is_sealed(BY_V1));
    }

    #[test]
    fn the_same_secret_is_never_sealed_alike() {
        let encrypt = || cipher(1).encrypt(&secret(), &webhook("a")).unwrap();
        assert_ne!(encrypt(), encrypt());
    }

    #[test]
    fn an_altered_secret_does_not_open_and_that_is_no_fault_of_ours() {
        let sealed = cipher(1).encrypt(&secret(), &webhook("a")).unwrap();
        let (begin, encoded) = sealed.rsplit_once(':').unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(encoded).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        let altered = format!("{begin}:{}", URL_SAFE_NO_PAD.encode(bytes));
        let refused = cipher(1).decrypt(&altered, &webhook("a")).unwrap_err();
        assert_eq!(refused, CipherError::Altered(key(1).id()));
        assert!(!refused.is_own_fault());
        for text in [
            "sealed:v1:",
            "sealed:v1:AAAA",
            "sealed:v1:!",
            "sealed:v2:",
            "sealed:v2:AAAA",
            "sealed:v2:00000000:!",
            "sealed:v2:nothexxx:AAAA",
        ] {
            for cipher in [cipher(1), SecretCipher::default()] {
                let refused = cipher.decrypt(text, &webhook("a"));
                assert_eq!(refused, Err(CipherError::Malformed), "{text}");
            }
        }
        let later = cipher(1).decrypt("sealed:v3:x", &webhook("a")).unwrap_err();
        assert!(later == CipherError::Later && later.is_own_fault());
    }

    #[test]
    fn plain_secrets_are_written_without_a_key_and_read_with_and_without() {
        let plain = SecretCipher::new(None);
        assert_eq!(plain.encrypt(&secret(), &webhook("a")).unwrap(), "hunter2");
        assert_eq!(plain.decrypt("hunter2", &webhook("a")), Ok(secret()));
        assert_eq!(cipher(1).decrypt("hunter2", &webhook("a")), Ok(secret()));
        for confusing in ["sealed:v1:x", "sealed:v2:x", "sealed:v10:"] {
            let confusing = Secret::new(confusing).unwrap();
            let refused = plain.encrypt(&confusing, &webhook("a"));
            let field = "secret";
            assert_eq!(refused, Err(CipherError::ReservedPrefix { field }));
        }
        let fine = Secret::new("sealed:vault:x").unwrap();
        assert!(plain.encrypt(&fine, &webhook("a")).is_ok());
    }

    #[test]
    fn errors_name_the_mend_and_no_secret() {
        let id = key(7).id();
        for error in [
            CipherError::NoKey(Some(id)),
            CipherError::OtherKey(id),
            CipherError::DoesNotOpen,
        ] {
            assert!(error.is_own_fault());
            assert!(error.to_string().contains("PRISM_SECRET_KEY"), "{error}");
        }
        assert_eq!(format!("{:?}", key(7)), "SecretKey(***)");
        let shown = format!("{:?}", cipher(7));
        assert!(shown.starts_with("SecretCipher") && !shown.contains("7, 7"));
    }
}
