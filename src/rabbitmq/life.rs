//! The life of one connection and its consumers, which die together.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// The life of one connection and its consumers: they die together.
#[derive(Debug, Clone, Default)]
pub(super) struct Life {
    over: CancellationToken,
    reason: Arc<OnceLock<String>>,
}

impl Life {
    /// Ends it. The first reason counts.
    pub(super) fn end(&self, reason: impl Into<String>) {
        // Set already: somebody else was first.
        let _ = self.reason.set(reason.into());
        self.over.cancel();
    }

    /// Cancelled once it has ended.
    pub(super) fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Returns why it ended, once it has.
    pub(super) async fn ended(&self) -> &str {
        self.over.cancelled().await;
        self.reason.get().map_or("no reason given", String::as_str)
    }
}
