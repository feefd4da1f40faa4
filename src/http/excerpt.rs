//! Reads an answer's body as far as is allowed, and keeps its beginning.

use reqwest::Response;

/// How much of a body is read and kept, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Reading stops here.
    pub read: usize,
    /// Kept for the record.
    pub keep: usize,
}

/// The beginning of a body, as far as it has been read. Survives a read that is cut short.
#[derive(Debug)]
pub(super) struct Excerpt {
    limits: Limits,
    /// The bytes kept.
    pub kept: Vec<u8>,
    /// Whether there was more than is kept.
    pub truncated: bool,
}

impl Excerpt {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            kept: Vec::new(),
            truncated: false,
        }
    }

    /// Reads to the end, or to the limit. Only a body that was read to its end leaves a connection
    /// that can serve again; dropping `response` closes any other.
    pub async fn read(&mut self, response: &mut Response) -> Result<(), reqwest::Error> {
        let mut read: usize = 0;
        while let Some(chunk) = response.chunk().await? {
            read = read.saturating_add(chunk.len());
            let room = self.limits.keep.saturating_sub(self.kept.len());
            let taken = chunk.get(..room).unwrap_or(&chunk);
            self.kept.extend_from_slice(taken);
            self.truncated |= taken.len() < chunk.len();
            if read >= self.limits.read {
                // How much remains is known for a body of declared length.
                self.truncated |= response.content_length() != Some(0);
                break;
            }
        }
        Ok(())
    }
}
