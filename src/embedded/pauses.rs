//! Receivers that asked to be left alone, where one process is the only worker: there is nobody to
//! tell.

use async_trait::async_trait;

use crate::domain::admission::Pause;
use crate::engine::ports::Pauses;

/// The only worker there is.
#[derive(Debug, Default)]
pub struct Alone;

#[async_trait]
impl Pauses for Alone {
    async fn tell(&self, _: Pause) {}

    async fn heard(&self) -> Pause {
        std::future::pending().await
    }
}
