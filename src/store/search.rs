//! Looking through the whole record, part by part.

use super::Unavailable;
use super::delivery_log::{AttemptFilter, DeliveryLog, Page};

/// The newest attempts wanted, at most `limit`, however long it takes to find them.
pub async fn all(
    log: &dyn DeliveryLog,
    filter: &AttemptFilter,
    limit: usize,
) -> Result<Page, Unavailable> {
    let mut parts = usize::MAX;
    let found = newest(log, filter, limit, &mut parts).await?;
    Ok(found.unwrap_or_default())
}

/// The same, looking through no more than `parts` of the record, which it takes off: `None` if that
/// was not enough.
pub async fn newest(
    log: &dyn DeliveryLog,
    filter: &AttemptFilter,
    limit: usize,
    parts: &mut usize,
) -> Result<Option<Page>, Unavailable> {
    let mut found = Page::default();
    loop {
        if *parts == 0 {
            return Ok(None);
        }
        *parts -= 1;
        let rest = limit - found.attempts.len();
        let before = found.next.take();
        let page = log.attempts(filter, rest, before).await?;
        found.attempts.extend(page.attempts);
        found.unreadable += page.unreadable;
        found.next = page.next;
        if found.attempts.len() >= limit || found.next.is_none() {
            return Ok(Some(found));
        }
    }
}
