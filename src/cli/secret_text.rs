//! A secret on the command line.

use crate::domain::secret::{InvalidSecret, Secret};

/// A secret as it was typed, not yet checked: parsing cannot fail, so that no message about the
/// command line ever quotes it.
#[derive(Clone)]
pub struct SecretText(String);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(***)")
    }
}

impl SecretText {
    /// The secret, if the text can be one.
    pub fn secret(&self) -> Result<Secret, InvalidSecret> {
        Secret::new(&self.0)
    }
}
