//! Places in the record of attempts, as those outside are shown them.
//!
//! An entry's id counts what all organizations do. So it is sealed, for the organization that is shown
//! it: all that can be read off a cursor is whether it is the same as another one. What was given out
//! is read by every process of the deployment; what was not, or was given to another organization, is
//! no cursor.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use serde::de::Error as _;
use sha2::Sha256;

use super::state::AppState;
use crate::domain::ids::Organization;
use crate::store::Unavailable;
use crate::store::cursor_key::CursorKey;
use crate::store::entry::EntryId;

/// The nonce, the two numbers of an entry, and what proves that they were not altered.
const LENGTH: usize = NONCE + 16 + 16;
const NONCE: usize = 12;

/// A cursor as it came: it looks like one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// The regular expression that those which are given out match.
    pub const PATTERN: &str = "^[A-Za-z0-9_-]{59}$";

    /// What is said of a text that is none.
    pub const REFUSAL: &str = "a cursor is the `next` of the part before, as it is";

    /// Takes a text that looks like a cursor.
    pub fn new(text: &str) -> Option<Self> {
        let decoded = URL_SAFE_NO_PAD.decode(text).ok()?;
        (decoded.len() == LENGTH).then(|| Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| D::Error::custom(Self::REFUSAL))
    }
}

/// The cursors of one organization.
#[derive(Clone)]
pub struct Cursors {
    cipher: ChaCha20Poly1305,
    nonces: Hmac<Sha256>,
}

impl Cursors {
    /// Those of this organization, in this deployment.
    pub async fn of(app: &AppState, organization: &Organization) -> Result<Self, Unavailable> {
        let key = app.deployment.delivery_log.cursor_key().await?;
        Ok(Self::new(&key, organization))
    }

    /// Those of this organization that are sealed with this key.
    pub fn new(key: &CursorKey, organization: &Organization) -> Self {
        let derived = |what: &str| {
            let mut derived = keyed(key.expose());
            // No organization has a zero byte in its name.
            derived.update([what, organization.as_str()].join("\0").as_bytes());
            derived.finalize().into_bytes()
        };
        Self {
            cipher: ChaCha20Poly1305::new(&derived("cursor")),
            nonces: keyed(&derived("nonce")),
        }
    }

    /// The cursor of an entry; always the same one.
    pub fn seal(&self, entry: EntryId) -> String {
        let mut clear = [0; 16];
        clear[..8].copy_from_slice(&entry.major.to_be_bytes());
        clear[8..].copy_from_slice(&entry.minor.to_be_bytes());
        // From what is sealed, so that none ever stands for two things.
        let mut nonce = self.nonces.clone();
        nonce.update(&clear);
        let nonce = nonce.finalize().into_bytes();
        let nonce: [u8; NONCE] = std::array::from_fn(|place| nonce[place]);
        #[expect(clippy::expect_used, reason = "16 bytes are not too long")]
        let sealed = self
            .cipher
            .encrypt(&Nonce::from(nonce), &clear[..])
            .expect("a short text can be sealed");
        URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat())
    }

    /// The entry that a cursor of this organization stands for.
    pub fn open(&self, cursor: &Cursor) -> Option<EntryId> {
        let decoded = URL_SAFE_NO_PAD.decode(&cursor.0).ok()?;
        let (nonce, sealed) = decoded.split_first_chunk::<NONCE>()?;
        let clear = self.cipher.decrypt(&Nonce::from(*nonce), sealed).ok()?;
        let (major, minor) = clear.split_first_chunk::<8>()?;
        Some(EntryId {
            major: u64::from_be_bytes(*major),
            minor: u64::from_be_bytes(minor.try_into().ok()?),
        })
    }

    /// The entry that a text stands for, if it is a cursor of this organization.
    pub fn read(&self, text: &str) -> Option<EntryId> {
        self.open(&Cursor::new(text)?)
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    Hmac::<Sha256>::new_from_slice(key).expect("any key will do")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursors(organization: &str) -> Cursors {
        let key = CursorKey::new([7; CursorKey::LENGTH]);
        Cursors::new(&key, &Organization::new(organization).unwrap())
    }

    fn entry(major: u64, minor: u64) -> EntryId {
        EntryId { major, minor }
    }

    #[test]
    fn a_cursor_is_read_back_by_every_process_and_is_always_the_same() {
        let (one, another) = (cursors("acme"), cursors("acme"));
        let pattern = regex::Regex::new(Cursor::PATTERN).unwrap();
        for entry in [
            EntryId::BEGINNING,
            entry(17, 0),
            entry(1_732_458_000_000, 3),
            entry(u64::MAX, u64::MAX),
        ] {
            let sealed = one.seal(entry);
            assert!(pattern.is_match(&sealed), "{sealed}");
            assert_eq!(sealed, another.seal(entry));
            assert_eq!(another.read(&sealed), Some(entry));
        }
    }

    #[test]
    fn a_cursor_says_nothing_of_how_much_there_is() {
        let cursors = cursors("acme");
        let sealed: Vec<String> = (1..1000).map(|n| cursors.seal(entry(n, 0))).collect();
        // As many bits of neighbours differ as of numbers that were drawn.
        let bits = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let differing = sealed.windows(2).map(|two| {
            let pairs = bits(&two[0]).into_iter().zip(bits(&two[1]));
            pairs.map(|(a, b)| (a ^ b).count_ones()).sum::<u32>()
        });
        let mean = differing.map(f64::from).sum::<f64>() / 998.0;
        let half = 4.0 * LENGTH as f64;
        assert!((mean - half).abs() < 5.0, "{mean} of {half}");
    }

    #[test]
    fn what_was_given_to_another_or_to_nobody_is_no_cursor() {
        let (acme, other) = (cursors("acme"), cursors("other"));
        let sealed = acme.seal(entry(17, 0));
        assert_ne!(sealed, other.seal(entry(17, 0)));
        assert_eq!(other.read(&sealed), None);
        let altered = match sealed.strip_prefix('A') {
            Some(rest) => format!("B{rest}"),
            None => format!("A{}", &sealed[1..]),
        };
        assert_eq!(acme.read(&altered), None);
        let made_up = "A".repeat(sealed.len());
        assert!(Cursor::new(&made_up).is_some());
        assert_eq!(acme.read(&made_up), None);
        for wrong in [
            "",
            "17",
            "1732458000000-0",
            &sealed[1..],
            &format!("{sealed}A"),
        ] {
            assert!(Cursor::new(wrong).is_none(), "{wrong}");
        }
    }
}
