//! How signing secrets are encrypted at rest.
//!
//! With a key, a secret is stored as `sealed:v1:` and the Base64 of a random nonce and what
//! XChaCha20-Poly1305 makes of it. Organization and webhook are authenticated with it, so a sealed
//! secret that is copied to another webhook opens nowhere. Without a key it is stored as it is; and
//! with one, a plain secret is still read, because the control plane may have written it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::domain::secret::{InvalidSecret, Secret, SecretKey};
use crate::domain::webhook::WebhookKey;

const SEALED: &str = "sealed:v1:";
const NONCE_LENGTH: usize = 24;

/// Why a secret could not be encrypted or decrypted. Quotes neither secret nor key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    /// The secret is sealed and there is no key.
    #[error("it is sealed; set PRISM_SECRET_KEY to the key that it was sealed with")]
    NoKey,
    /// The key does not open it.
    #[error(
        "it is sealed and cannot be opened: PRISM_SECRET_KEY is not the key that it was sealed \
         with, or it was sealed for another webhook, or altered; set the right key or rotate the \
         secret"
    )]
    DoesNotOpen,
    /// The text has the prefix of a sealed secret, but not the form.
    #[error("it begins like a sealed secret but is none; rotate the secret")]
    Malformed,
    /// A secret that looks like a sealed one could not be told from it.
    #[error("a secret must not begin with {SEALED}")]
    ReservedPrefix,
    /// The cipher took no more.
    #[error("it is too long to be sealed")]
    TooLong,
    /// The text holds no secret.
    #[error(transparent)]
    Secret(#[from] InvalidSecret),
}

/// Encrypts secrets for the store and decrypts them.
#[derive(Clone)]
pub struct SecretCipher {
    cipher: Option<XChaCha20Poly1305>,
}

impl fmt::Debug for SecretCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretCipher")
            .field("encrypts", &self.cipher.is_some())
            .finish()
    }
}

impl SecretCipher {
    /// Encrypts with `key`; without one, leaves secrets as they are.
    pub fn new(key: Option<SecretKey>) -> Self {
        Self {
            cipher: key.map(|key| XChaCha20Poly1305::new(key.expose().into())),
        }
    }

    /// The text to store for a secret of this webhook.
    pub fn encrypt(&self, secret: &Secret, webhook: &WebhookKey) -> Result<String, CipherError> {
        if secret.expose().starts_with(SEALED) {
            return Err(CipherError::ReservedPrefix);
        }
        let Some(cipher) = &self.cipher else {
            return Ok(secret.expose().to_owned());
        };
        let nonce: [u8; NONCE_LENGTH] = rand::random();
        let payload = Payload {
            msg: secret.expose().as_bytes(),
            aad: &bound_to(webhook),
        };
        let ciphertext = cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| CipherError::TooLong)?;
        let sealed = [&nonce[..], &ciphertext].concat();
        Ok(format!("{SEALED}{}", STANDARD.encode(sealed)))
    }

    /// The secret of this webhook that was stored as `stored`.
    pub fn decrypt(&self, stored: &str, webhook: &WebhookKey) -> Result<Secret, CipherError> {
        let Some(encoded) = stored.strip_prefix(SEALED) else {
            return Ok(Secret::new(stored)?);
        };
        let cipher = self.cipher.as_ref().ok_or(CipherError::NoKey)?;
        let sealed = STANDARD
            .decode(encoded)
            .map_err(|_| CipherError::Malformed)?;
        let (nonce, ciphertext) = sealed
            .split_first_chunk::<NONCE_LENGTH>()
            .ok_or(CipherError::Malformed)?;
        let payload = Payload {
            msg: ciphertext,
            aad: &bound_to(webhook),
        };
        let text = cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| CipherError::DoesNotOpen)?;
        let text = String::from_utf8(text).map_err(|_| CipherError::Malformed)?;
        Ok(Secret::new(&text)?)
    }
}

/// Neither identifier can hold a zero byte.
fn bound_to(webhook: &WebhookKey) -> Vec<u8> {
    let WebhookKey { organization, id } = webhook;
    [organization.as_str(), id.as_str()].join("\0").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Organization, WebhookId};

    fn webhook(id: &str) -> WebhookKey {
        WebhookKey {
            organization: Organization::default(),
            id: WebhookId::new(id).unwrap(),
        }
    }

    fn cipher(byte: u8) -> SecretCipher {
        SecretCipher::new(Some(SecretKey::new([byte; 32])))
    }

    fn secret() -> Secret {
        Secret::new("hunter2").unwrap()
    }

    #[test]
    fn a_sealed_secret_opens_for_its_webhook_with_its_key_alone() {
        let sealed = cipher(1).encrypt(&secret(), &webhook("a")).unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_eq!(cipher(1).decrypt(&sealed, &webhook("a")), Ok(secret()));
        for (cipher, id) in [(cipher(2), "a"), (cipher(1), "b")] {
            let refused = cipher.decrypt(&sealed, &webhook(id));
            assert_eq!(refused, Err(CipherError::DoesNotOpen));
        }
        let refused = SecretCipher::new(None).decrypt(&sealed, &webhook("a"));
        assert_eq!(refused, Err(CipherError::NoKey));
    }

    #[test]
    fn the_same_secret_is_never_sealed_alike() {
        let encrypt = || cipher(1).encrypt(&secret(), &webhook("a")).unwrap();
        assert_ne!(encrypt(), encrypt());
    }

    #[test]
    fn an_altered_secret_does_not_open() {
        let sealed = cipher(1).encrypt(&secret(), &webhook("a")).unwrap();
        let mut bytes = STANDARD.decode(&sealed[SEALED.len()..]).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        let altered = format!("{SEALED}{}", STANDARD.encode(bytes));
        let refused = cipher(1).decrypt(&altered, &webhook("a"));
        assert_eq!(refused, Err(CipherError::DoesNotOpen));
        for text in ["sealed:v1:", "sealed:v1:AAAA", "sealed:v1:!"] {
            let refused = cipher(1).decrypt(text, &webhook("a"));
            assert_eq!(refused, Err(CipherError::Malformed), "{text}");
        }
    }

    #[test]
    fn plain_secrets_are_written_without_a_key_and_read_with_and_without() {
        let plain = SecretCipher::new(None);
        assert_eq!(plain.encrypt(&secret(), &webhook("a")).unwrap(), "hunter2");
        assert_eq!(plain.decrypt("hunter2", &webhook("a")), Ok(secret()));
        assert_eq!(cipher(1).decrypt("hunter2", &webhook("a")), Ok(secret()));
        let confusing = Secret::new("sealed:v1:x").unwrap();
        let refused = plain.encrypt(&confusing, &webhook("a"));
        assert_eq!(refused, Err(CipherError::ReservedPrefix));
    }

    #[test]
    fn errors_name_the_mend_and_no_secret() {
        assert!(CipherError::NoKey.to_string().contains("PRISM_SECRET_KEY"));
        assert!(
            CipherError::DoesNotOpen
                .to_string()
                .contains("PRISM_SECRET_KEY")
        );
        assert_eq!(format!("{:?}", SecretKey::new([7; 32])), "SecretKey(***)");
        assert_eq!(
            format!("{:?}", cipher(7)),
            "SecretCipher { encrypts: true }"
        );
    }
}
