//! What one organization does leaves no trace in what another is told of the record: for tests whose record
//! is long enough.

use futures::future::join_all;
use prism_webhooks::domain::attempt::Attempt;
use prism_webhooks::domain::ids::Organization;
use prism_webhooks::engine::ports::{Entry, LogWriter};
use prism_webhooks::store::delivery_log::{AttemptFilter, DeliveryLog};
use prism_webhooks::store::retention::MAX_EXAMINED;

use crate::redis::kit::{attempt, organization};

/// How much others do beside one who is quiet: nothing, and more than one look goes through.
pub const OTHERS: [usize; 2] = [0, MAX_EXAMINED + 100];

/// The parts in which a list of two at a time comes, each by its events and whether another follows.
pub type Parts = Vec<(Vec<String>, bool)>;

async fn write(log: &dyn LogWriter, attempts: impl IntoIterator<Item = Attempt>) {
    let entry = |attempt| Entry {
        attempt: Some(attempt),
        ..Entry::default()
    };
    join_all(attempts.into_iter().map(|one| log.write(entry(one)))).await;
}

/// The parts of the list of one whose three attempts stand amid so many of others'.
pub async fn parts(log: &dyn LogWriter, record: &dyn DeliveryLog, others: usize) -> Parts {
    let quiet = |event: &str| Attempt {
        organization: Organization::new("quiet").unwrap(),
        ..attempt(event, "w1")
    };
    let noise = |count| (0..count).map(|n| attempt(&format!("e{n}"), "w1"));
    for event in ["one", "two", "three"] {
        write(log, [quiet(event)]).await;
        write(log, noise(others / 3)).await;
    }
    write(log, noise(others)).await;
    let of = |organization| AttemptFilter {
        organization: Some(organization),
        ..AttemptFilter::default()
    };
    let busy = record.attempts(&of(organization()), 1, None).await.unwrap();
    assert_eq!(busy.attempts.len(), others.min(1));
    let quiet = of(Organization::new("quiet").unwrap());
    let (mut parts, mut before) = (Vec::new(), None);
    loop {
        let page = record.attempts(&quiet, 2, before).await.unwrap();
        let found = page.attempts.iter();
        let events = found.map(|one| one.attempt.event_id.to_string()).collect();
        before = page.next;
        parts.push((events, before.is_some()));
        if before.is_none() {
            return parts;
        }
    }
}

/// What they must be.
pub fn expected() -> Parts {
    vec![
        (vec!["three".to_owned(), "two".to_owned()], true),
        (vec!["one".to_owned()], false),
    ]
}
