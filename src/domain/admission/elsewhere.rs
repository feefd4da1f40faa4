//! What is remembered of endpoints that a webhook does not have now.

use std::time::Instant;

use super::breaker::Asked;

/// So many other endpoints of one webhook are remembered, those that ask for longest: as many as are
/// kept for workers that start.
const MOST_ELSEWHERE: usize = 16;

/// What endpoints that a webhook had, or is about to have, asked for: another worker may know of a
/// change sooner, and one that is changed back asked all the same.
#[derive(Debug, Default)]
pub(super) struct Elsewhere(Vec<(u64, Asked)>);

impl Elsewhere {
    /// One of them asked, or was heard of.
    pub(super) fn note(&mut self, endpoint: u64, asked: Asked) {
        let known = self.take(endpoint);
        let longer = known.filter(|known| known.until > asked.until);
        self.0.push((endpoint, longer.unwrap_or(asked)));
        if self.0.len() > MOST_ELSEWHERE {
            self.0
                .sort_by_key(|(_, asked)| std::cmp::Reverse(asked.until));
            self.0.pop();
        }
    }

    /// Takes out what this endpoint asked for.
    pub(super) fn take(&mut self, endpoint: u64) -> Option<Asked> {
        let place = self.0.iter().position(|(other, _)| *other == endpoint)?;
        Some(self.0.remove(place).1)
    }

    /// Whether all of it is past.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.0.iter().all(|(_, asked)| asked.until <= now)
    }
}
