//! Looking through the whole record, part by part.

use super::{Records, Unavailable};
use crate::records::{AttemptFilter, Page};

/// The newest attempts wanted, at most `limit`, however long it takes to find them.
pub async fn all(
    records: &dyn Records,
    filter: &AttemptFilter,
    limit: usize,
) -> Result<Page, Unavailable> {
    let mut found = Page::default();
    loop {
        let rest = limit - found.attempts.len();
        let before = found.next.take();
        let page = records.attempts(filter, rest, before.as_deref()).await?;
        found.attempts.extend(page.attempts);
        found.unreadable += page.unreadable;
        found.next = page.next;
        if found.attempts.len() >= limit || found.next.is_none() {
            return Ok(found);
        }
    }
}
