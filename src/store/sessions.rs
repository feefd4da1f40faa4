//! Who is signed in to the page: one entry a session, which ends by itself.

use std::time::Duration;

use async_trait::async_trait;

use super::Unavailable;

/// The most sessions of one token at once: whoever has one can neither fill the store nor end the sessions
/// of others, however often they sign in.
pub const MOST_OF_ONE: usize = 1_000;

/// Keeps sessions for all processes that serve the page.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Keeps `record` under `id` for so long. Of the sessions with the token that is called `whose` the
    /// [last](MOST_OF_ONE) that began go on.
    async fn begin(
        &self,
        whose: &str,
        id: &str,
        record: &str,
        keep: Duration,
    ) -> Result<(), Unavailable>;

    /// The record under `id`, if it is still kept; `keep`: from now on for so long.
    async fn find(&self, id: &str, keep: Option<Duration>) -> Result<Option<String>, Unavailable>;

    /// Forgets `id`.
    async fn end(&self, id: &str) -> Result<(), Unavailable>;
}
