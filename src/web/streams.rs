//! How many live streams whoever asks may have open at once: a stream takes a connection to the port
//! for as long as it likes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::ApiToken;

/// The live streams that are open, by token.
#[derive(Debug, Clone)]
pub struct Streams {
    /// One for each token; one for all, if there are no tokens.
    free: Arc<[Arc<Semaphore>]>,
    most: usize,
    whose: &'static str,
}

/// The right to one live stream. Dropping it gives it back.
#[derive(Debug)]
pub struct StreamPermit(
    #[expect(dead_code, reason = "dropped with the stream")] OwnedSemaphorePermit,
);

/// As many live streams are open as may be.
#[derive(Debug, thiserror::Error)]
#[error(
    "{most} live streams are open {whose}, and no more may be: end one, give each client a token of \
     its own, or raise api.max_streams_per_token (PRISM_API_MAX_STREAMS_PER_TOKEN)"
)]
pub struct TooManyStreams {
    most: usize,
    whose: &'static str,
}

/// Whose streams are counted together: the number of a token among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder(usize);

impl Holder {
    /// Whoever has this token; whoever there is, where there are none.
    pub fn of(token: Option<&ApiToken>, tokens: &[ApiToken]) -> Self {
        let number = tokens.iter().position(|one| Some(one) == token);
        Self(number.unwrap_or(0))
    }
}

impl Streams {
    /// At most `most` for each of so many tokens.
    pub fn new(tokens: usize, most: usize) -> Self {
        let each = (0..tokens.max(1)).map(|_| Arc::new(Semaphore::new(most)));
        Self {
            free: each.collect(),
            most,
            whose: match tokens {
                0 => "without a token",
                _ => "with this token",
            },
        }
    }

    /// One more, if it may be.
    pub fn begin(&self, holder: Holder) -> Result<StreamPermit, TooManyStreams> {
        let free = self.free.get(holder.0).map(Arc::clone);
        let permit = free.and_then(|free| free.try_acquire_owned().ok());
        permit.map(StreamPermit).ok_or(TooManyStreams {
            most: self.most,
            whose: self.whose,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_has_its_own_streams_and_one_that_ends_is_free_again() {
        let tokens = ["one", "two"].map(|text| ApiToken::new(None, text));
        let holder = |number: usize| Holder::of(Some(&tokens[number]), &tokens);
        let streams = Streams::new(2, 2);
        let first = streams.begin(holder(0)).unwrap();
        let _second = streams.begin(holder(0)).unwrap();
        let refused = streams.begin(holder(0)).unwrap_err().to_string();
        assert!(
            refused.starts_with("2 live streams are open with this token"),
            "{refused}"
        );
        assert!(refused.contains("api.max_streams_per_token"), "{refused}");
        assert!(streams.begin(holder(1)).is_ok());
        drop(first);
        assert!(streams.begin(holder(0)).is_ok());
    }

    #[test]
    fn without_tokens_all_count_together() {
        let streams = Streams::new(0, 1);
        let _one = streams.begin(Holder::of(None, &[])).unwrap();
        assert!(streams.begin(Holder::of(None, &[])).is_err());
    }
}
