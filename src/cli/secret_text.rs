//! A secret on the command line, in a file or from standard input.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::domain::secret::{InvalidSecret, LONGEST, Secret};

/// As many bytes as the longest secret and a line break may have.
const MOST_BYTES: usize = 4 * LONGEST + 2;

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
        Secret::choose(&self.0)
    }
}

/// Where a command has a secret from.
#[derive(Debug, Args)]
pub struct SecretArgs {
    /// The signing secret: any text, or the Standard Webhooks form, whsec_ and Base64. While the command runs,
    /// others on this machine can see it in the process list, and shells keep what was typed:
    /// --secret-file shows it to nobody
    #[arg(long, value_name = "S", conflicts_with = "secret_file")]
    secret: Option<SecretText>,
    /// Read the secret from a file; - is standard input. A line break at its end is no part of it
    #[arg(long, value_name = "PATH")]
    secret_file: Option<PathBuf>,
}

/// Why there is no secret to go on with. Quotes none.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The text can be none.
    #[error(transparent)]
    Invalid(#[from] InvalidSecret),
    /// What the file has can be none.
    #[error("--secret-file {}: {problem}", .path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: InvalidSecret,
    },
    /// The file has something else.
    #[error("--secret-file {}: it is not text in UTF-8", .0.display())]
    NotText(PathBuf),
    /// The file cannot be read.
    #[error("--secret-file {} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl SecretArgs {
    /// The secret, if one is given. `input` is standard input.
    pub async fn secret(
        &self,
        input: &mut (impl AsyncRead + Unpin + ?Sized),
    ) -> Result<Option<Secret>, SecretError> {
        match (&self.secret, &self.secret_file) {
            (Some(text), _) => Ok(Some(text.secret()?)),
            (None, Some(path)) => read(path, input).await.map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The file to read from, if it is one.
    pub fn path(&self) -> Option<&Path> {
        let path = self.secret_file.as_deref();
        path.filter(|path| path.as_os_str() != "-")
    }
}

/// Reads a secret from a file, or from `input` if that is named `-`.
pub async fn read(
    path: &Path,
    input: &mut (impl AsyncRead + Unpin + ?Sized),
) -> Result<Secret, SecretError> {
    let unreadable = |source| SecretError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    let most = MOST_BYTES as u64 + 1;
    let reading = if path.as_os_str() == "-" {
        input.take(most).read_to_end(&mut bytes).await
    } else {
        let file = File::open(path).await.map_err(unreadable)?;
        file.take(most).read_to_end(&mut bytes).await
    };
    reading.map_err(unreadable)?;
    let of_file = |problem| SecretError::InFile {
        path: path.to_owned(),
        problem,
    };
    // Cut off in the middle of a character it may not be text any more.
    if bytes.len() > MOST_BYTES {
        return Err(of_file(InvalidSecret::Length));
    }
    let text = String::from_utf8(bytes).map_err(|_| SecretError::NotText(path.to_owned()))?;
    let line = text.strip_suffix('\n');
    let line = line.map(|line| line.strip_suffix('\r').unwrap_or(line));
    Secret::choose(line.unwrap_or(&text)).map_err(of_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn from_input(bytes: &[u8]) -> Result<Secret, SecretError> {
        read(Path::new("-"), &mut &*bytes).await
    }

    #[tokio::test]
    async fn one_line_break_at_the_end_of_a_file_is_no_part_of_the_secret() {
        for bytes in [&b"s3cr3t"[..], b"s3cr3t\n", b"s3cr3t\r\n"] {
            assert_eq!(from_input(bytes).await.unwrap().expose(), "s3cr3t");
        }
        for bytes in [&b"s3cr3t\n\n"[..], b"s3cr3t \n", b" s3cr3t", b"s3cr3t\r"] {
            let said = from_input(bytes).await.unwrap_err().to_string();
            assert!(
                said.contains("--secret-file -: a secret has no white"),
                "{said}"
            );
            assert!(!said.contains("s3cr3t"), "{said}");
        }
    }

    #[tokio::test]
    async fn what_is_no_secret_is_refused_whatever_its_size() {
        let longest = "🔑".repeat(LONGEST);
        let taken = from_input(format!("{longest}\r\n").as_bytes()).await;
        assert_eq!(taken.unwrap().expose(), longest);
        for bytes in [
            vec![],
            b"\n".to_vec(),
            vec![b'x'; LONGEST + 1],
            vec![b'x'; 1 << 20],
        ] {
            let said = from_input(&bytes).await.unwrap_err().to_string();
            assert!(said.contains("1 to 512 characters"), "{said}");
        }
        let said = from_input(b"\xff\xfe").await.unwrap_err().to_string();
        assert!(said.contains("not text in UTF-8"), "{said}");
        let missing = read(Path::new("/no/such/file"), &mut tokio::io::empty()).await;
        let said = missing.unwrap_err().to_string();
        let begins = "--secret-file /no/such/file cannot be read: ";
        assert!(said.starts_with(begins), "{said}");
    }
}
