//! A secret that cannot be printed by accident.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::direction;

/// The prefix of a secret in the Standard Webhooks form, whose rest is Base64.
pub const STANDARD_PREFIX: &str = "whsec_";

/// The regular expression that secrets match which may be chosen: what is not seen stands at neither end.
pub const PATTERN: &str = concat!(
    r"^[^\s\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]",
    r"([\s\S]*[^\s\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff])?$",
);

/// How many characters a secret has at most.
pub const LONGEST: usize = 512;

/// People paste secrets with and without the padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A webhook's signing secret. Its `Debug` shows nothing of it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    standard_key: Vec<u8>,
    id: SecretId,
}

/// Why a text cannot be a signing secret. Never quotes the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// The text has no characters, or far too many.
    #[error("a secret has 1 to {LONGEST} characters")]
    Length,
    /// There is white space at an end of the text, or what is not seen either: pasted with it, as a rule,
    /// or written before it by an editor, and lost elsewhere.
    #[error(
        "a secret has no white space at its ends, nor any other character that is not seen, such as a \
         byte order mark, and this one does; remove it"
    )]
    WhiteSpace,
    /// The text has the prefix of the Standard Webhooks form, but not the form.
    #[error(
        "a secret that starts with whsec_ must go on in Base64; take another prefix for one that does not"
    )]
    NotBase64,
}

impl Secret {
    /// Takes a secret as it is stored.
    pub fn new(text: &str) -> Result<Self, InvalidSecret> {
        if !(1..=LONGEST).contains(&text.chars().count()) {
            return Err(InvalidSecret::Length);
        }
        let standard_key = match text.strip_prefix(STANDARD_PREFIX) {
            None => text.as_bytes().to_vec(),
            Some(encoded) => match LENIENT.decode(encoded) {
                Ok(key) if !key.is_empty() => key,
                _ => return Err(InvalidSecret::NotBase64),
            },
        };
        Ok(Self {
            id: SecretId::of(text),
            text: text.to_owned(),
            standard_key,
        })
    }

    /// Takes a secret that somebody chooses now. What is stored already may have white space at its
    /// ends: it signs as it is.
    pub fn choose(text: &str) -> Result<Self, InvalidSecret> {
        if text.trim_matches(is_not_seen) != text {
            return Err(InvalidSecret::WhiteSpace);
        }
        Self::new(text)
    }

    /// A new secret in the Standard Webhooks form, of 32 bytes from `rng`.
    pub fn generate(rng: &mut impl rand::CryptoRng) -> Self {
        let key: [u8; 32] = rng.random();
        let text = format!("{STANDARD_PREFIX}{}", STANDARD.encode(key));
        Self {
            id: SecretId::of(&text),
            text,
            standard_key: key.to_vec(),
        }
    }

    /// What names the secret where it may be seen.
    pub fn id(&self) -> SecretId {
        self.id
    }

    /// The secret as its owner wrote it, for storing it and for showing it once when generated.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The key of `X-Prism-Signature`: the bytes of the text.
    pub fn key(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The key of `Webhook-Signature`: what a `whsec_` secret decodes to, else the text's bytes.
    pub fn standard_key(&self) -> &[u8] {
        &self.standard_key
    }
}

/// White space, control characters, and characters without a width: those of a direction, joiners, the
/// byte order mark.
fn is_not_seen(c: char) -> bool {
    let is_wide = !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    c.is_whitespace() || c.is_control() || direction::turns(c) || !is_wide
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Names a [`Secret`] in the record of what it signed: the beginning of a digest, 8 hexadecimal digits.
/// A secret cannot be had from it, but a guess can be tried against it, as against a signature: one that
/// was generated withstands that. Two secrets have the same one in one of 2^32 cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SecretId([u8; 4]);

/// A text that is no [`SecretId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the id of a secret has 8 hexadecimal digits")]
pub struct NoSecretId;

impl SecretId {
    fn of(text: &str) -> Self {
        let mut digest = Sha256::new_with_prefix("prism-webhooks signing secret\0");
        digest.update(text);
        let digest = digest.finalize();
        Self(std::array::from_fn(|index| digest[index]))
    }
}

impl FromStr for SecretId {
    type Err = NoSecretId;

    fn from_str(text: &str) -> Result<Self, NoSecretId> {
        let mut id = [0; 4];
        hex::decode_to_slice(text, &mut id).map_err(|_| NoSecretId)?;
        Ok(Self(id))
    }
}

impl TryFrom<String> for SecretId {
    type Error = NoSecretId;

    fn try_from(text: String) -> Result<Self, NoSecretId> {
        text.parse()
    }
}

impl From<SecretId> for String {
    fn from(id: SecretId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A key that encrypts what is secret of webhooks at rest: 32 bytes that print as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Holds the key.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key's bytes, for the cipher.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// What names the key where it may be seen: a digest, from which it cannot be had.
    pub fn id(&self) -> KeyId {
        let mut digest = Sha256::new_with_prefix("prism-webhooks secret key\0");
        digest.update(self.0);
        let digest = digest.finalize();
        KeyId(std::array::from_fn(|index| digest[index]))
    }
}

/// Names a [`SecretKey`]: 8 hexadecimal digits. Two keys have the same one in one of 2^32 cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 4]);

impl KeyId {
    /// Takes an id as it is written.
    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 4];
        hex::decode_to_slice(text, &mut id).ok()?;
        Some(Self(id))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("hunter2").unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn a_key_has_a_name_that_tells_it_from_others_and_nothing_of_it() {
        let (one, other) = (SecretKey::new([1; 32]), SecretKey::new([2; 32]));
        assert_ne!(one.id(), other.id());
        let text = one.id().to_string();
        assert_eq!(KeyId::parse(&text), Some(SecretKey::new([1; 32]).id()));
        assert!(text.len() == 8 && !text.contains("0101"), "{text}");
        assert_eq!(KeyId::parse("0102"), None);
        assert_eq!(KeyId::parse("not hex!"), None);
    }

    #[test]
    fn the_standard_form_is_decoded_and_any_other_taken_as_bytes() {
        assert_eq!(Secret::new("whsec_AAEC").unwrap().standard_key(), [0, 1, 2]);
        assert_eq!(Secret::new("plain").unwrap().standard_key(), b"plain");
        assert_eq!(Secret::new("whsec_AAEC").unwrap().key(), b"whsec_AAEC");
        assert_eq!(Secret::new("whsec_!"), Err(InvalidSecret::NotBase64));
        assert_eq!(Secret::new("whsec_"), Err(InvalidSecret::NotBase64));
        assert_eq!(Secret::new(""), Err(InvalidSecret::Length));
    }

    #[test]
    fn nobody_chooses_a_secret_with_white_space_at_its_ends_and_one_that_is_stored_signs_as_it_is()
    {
        for text in [
            " s",
            "s ",
            "s\n",
            "s\r\n",
            "\ts",
            "\u{a0}s",
            " ",
            "\u{feff}s",
            "s\u{200b}",
            "s\0",
            "\u{202a}s\u{202c}",
        ] {
            assert_eq!(
                Secret::choose(text),
                Err(InvalidSecret::WhiteSpace),
                "{text:?}"
            );
            assert_eq!(Secret::new(text).unwrap().key(), text.as_bytes());
        }
        for text in ["a b", "a\u{200d}b"] {
            assert_eq!(Secret::choose(text), Secret::new(text));
        }
        assert_eq!(Secret::choose(""), Err(InvalidSecret::Length));
    }

    #[test]
    fn the_pattern_says_what_may_be_chosen() {
        let pattern = regex::Regex::new(PATTERN).unwrap();
        for c in ('\0'..='\u{ffff}').chain(['\u{1f600}']) {
            for text in [format!("{c}"), format!("s{c}"), format!("{c}s")] {
                let chosen = Secret::choose(&text).is_ok();
                assert_eq!(pattern.is_match(&text), chosen, "{text:?}");
            }
        }
        assert!(pattern.is_match("a b\u{feff}c"));
    }

    #[test]
    fn the_length_of_a_secret_is_counted_in_characters() {
        let (longest, longer) = ("ü".repeat(LONGEST), "ü".repeat(LONGEST + 1));
        assert_eq!(Secret::new(&longest).unwrap().key().len(), 2 * LONGEST);
        assert_eq!(Secret::new(&longer), Err(InvalidSecret::Length));
    }

    #[test]
    fn a_generated_secret_has_the_standard_form() {
        let secret = Secret::generate(&mut rand::rng());
        assert_eq!(Secret::new(secret.expose()).as_ref(), Ok(&secret));
        assert_eq!(secret.standard_key().len(), 32);
    }
}
