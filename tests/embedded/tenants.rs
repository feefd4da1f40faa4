//! What one organization does leaves no trace in what another is told of the record.

use std::sync::Arc;

use futures::future::join_all;
use prism_webhooks::domain::attempt::Attempt;
use prism_webhooks::domain::ids::Organization;
use prism_webhooks::embedded::Embedded;
use prism_webhooks::embedded::database::Database;
use prism_webhooks::engine::clock::Clock;
use prism_webhooks::engine::ports::{Entry, LogWriter as _};
use prism_webhooks::store::delivery_log::AttemptFilter;
use prism_webhooks::store::retention::MAX_EXAMINED;

use super::world::embedded;
use crate::redis::kit::{attempt, organization};

async fn write(embedded: &Embedded, attempts: impl IntoIterator<Item = Attempt>) {
    let log = embedded.log();
    let entry = |attempt| Entry {
        attempt: Some(attempt),
        ..Entry::default()
    };
    join_all(attempts.into_iter().map(|one| log.write(entry(one)))).await;
}

/// The parts in which a list of two at a time comes, each by its events and whether another follows.
async fn parts(embedded: &Embedded) -> Vec<(Vec<String>, bool)> {
    let filter = AttemptFilter {
        organization: Some(Organization::new("quiet").unwrap()),
        ..AttemptFilter::default()
    };
    let (mut parts, mut before) = (Vec::new(), None);
    loop {
        let page = embedded.attempts().list(&filter, 2, before).await.unwrap();
        let found = page.attempts.iter();
        let events = found.map(|one| one.attempt.event_id.to_string()).collect();
        before = page.next;
        parts.push((events, before.is_some()));
        if before.is_none() {
            return parts;
        }
    }
}

#[tokio::test]
async fn the_parts_of_a_list_are_the_same_whatever_others_do() {
    let mut found = Vec::new();
    for others in [0, MAX_EXAMINED + 100] {
        let directory = tempfile::tempdir().unwrap();
        let database = Arc::new(Database::open(directory.path()).unwrap());
        let embedded = embedded(database, Clock::system());
        let quiet = |event: &str| Attempt {
            organization: Organization::new("quiet").unwrap(),
            ..attempt(event, "w1")
        };
        for event in ["one", "two", "three"] {
            write(&embedded, [quiet(event)]).await;
            let noise = (0..others / 3).map(|n| attempt(&format!("e{n}"), "w1"));
            write(&embedded, noise).await;
        }
        write(
            &embedded,
            (0..others).map(|n| attempt(&format!("e{n}"), "w1")),
        )
        .await;
        found.push(parts(&embedded).await);
        let all = AttemptFilter {
            organization: Some(organization()),
            ..AttemptFilter::default()
        };
        let log = embedded.attempts();
        assert_eq!(
            log.list(&all, 1, None).await.unwrap().attempts.len(),
            others.min(1)
        );
        embedded.store().close().await;
    }
    let expected = [
        (vec!["three".to_owned(), "two".to_owned()], true),
        (vec!["one".to_owned()], false),
    ];
    assert_eq!(found, [expected.to_vec(), expected.to_vec()]);
}
