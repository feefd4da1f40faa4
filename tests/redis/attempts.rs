//! The attempts on record, read.

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use prism_webhooks::domain::attempt::Attempt;
use prism_webhooks::engine::ports::{Entry, LogWriter as _};
use prism_webhooks::redis::attempts::{AttemptFilter, Attempts};
use prism_webhooks::redis::log_writer::{DeliveryLogSettings, RedisLogWriter};

use super::kit::{Space, attempt};

pub async fn write(space: &Space, attempts: impl IntoIterator<Item = Attempt>) {
    let log = RedisLogWriter::start(
        space.connection.clone(),
        space.keys.clone(),
        DeliveryLogSettings::default(),
    );
    let entry = |attempt| Entry {
        attempt: Some(attempt),
        ..Entry::default()
    };
    join_all(
        attempts
            .into_iter()
            .map(|attempt| log.write(entry(attempt))),
    )
    .await;
}

#[tokio::test]
async fn a_listing_filters_and_goes_on_where_it_stopped() {
    let space = Space::new();
    write(
        &space,
        (0..1200).map(|n| Attempt {
            status_code: Some(if n % 100 == 0 { 503 } else { 200 }),
            ..attempt(&format!("e{n}"), "w1")
        }),
    )
    .await;
    let attempts = Attempts::new(space.connection.clone(), space.keys.clone());
    let filter = AttemptFilter {
        status_class: Some(5),
        ..AttemptFilter::default()
    };
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let page = attempts.list(&filter, 5, before).await.unwrap();
        assert!(page.attempts.len() <= 5);
        found.extend(
            page.attempts
                .into_iter()
                .map(|one| one.attempt.event_id.to_string()),
        );
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let expected: Vec<String> = (0..12).rev().map(|n| format!("e{}", n * 100)).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_listing_keeps_to_its_times() {
    let space = Space::new();
    let now = Timestamp::now();
    write(
        &space,
        (0..10).map(|n| Attempt {
            started_at: now - Duration::from_secs(n),
            ..attempt(&format!("e{n}"), "w1")
        }),
    )
    .await;
    let attempts = Attempts::new(space.connection.clone(), space.keys.clone());
    let filter = AttemptFilter {
        since: Some(now - Duration::from_secs(5)),
        until: Some(now - Duration::from_secs(2)),
        ..AttemptFilter::default()
    };
    let page = attempts.list(&filter, 100, None).await.unwrap();
    let mut found: Vec<&str> = page
        .attempts
        .iter()
        .map(|one| one.attempt.event_id.as_str())
        .collect();
    found.sort_unstable();
    assert_eq!(found, ["e3", "e4", "e5"]);
    let later = AttemptFilter {
        since: Some(now + Duration::from_secs(3600)),
        ..AttemptFilter::default()
    };
    assert!(
        attempts
            .list(&later, 100, None)
            .await
            .unwrap()
            .attempts
            .is_empty()
    );
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_counted_and_passed_over() {
    let space = Space::new();
    write(&space, [attempt("e1", "w1")]).await;
    space
        .ask::<String>(&["XADD", &space.keys.attempts(), "*", "what", "ever"])
        .await;
    write(&space, [attempt("e2", "w1")]).await;
    let attempts = Attempts::new(space.connection.clone(), space.keys.clone());
    let page = attempts
        .list(&AttemptFilter::default(), 10, None)
        .await
        .unwrap();
    assert_eq!((page.attempts.len(), page.unreadable), (2, 1));
}
