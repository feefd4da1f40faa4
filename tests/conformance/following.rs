//! Following the record: what is told to whom, how often, and in which order.

use std::time::Duration;

use futures::future::join_all;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use prism_webhooks::domain::attempt::Attempt;
use prism_webhooks::domain::ids::{Organization, WebhookId};
use prism_webhooks::engine::ports::Entry;
use prism_webhooks::store::delivery_log::{AttemptFilter, RecordedAttempt};
use prism_webhooks::store::entry::EntryId;
use tokio::time::timeout;

use super::adapter::Adapter;
use crate::redis::kit::{attempt, document, organization};

type Stream = BoxStream<'static, RecordedAttempt>;

/// How long what comes at once may take on a machine that is busy.
const SOON: Duration = Duration::from_secs(20);

/// More than are kept for one that is slow.
const MANY: usize = 190;

async fn register(adapter: &impl Adapter) {
    for id in ["w1", "w2"] {
        adapter.put_document(id, &document(id)).await;
    }
}

async fn write(adapter: &impl Adapter, attempts: impl IntoIterator<Item = Attempt>) {
    let log = adapter.log();
    let entries = attempts.into_iter().map(|attempt| Entry {
        attempt: Some(attempt),
        ..Entry::default()
    });
    join_all(entries.map(|entry| log.write(entry))).await;
}

fn of_webhook(id: &str) -> AttemptFilter {
    AttemptFilter {
        webhook: Some(WebhookId::new(id).unwrap()),
        ..of_organization()
    }
}

fn of_organization() -> AttemptFilter {
    AttemptFilter {
        organization: Some(organization()),
        ..AttemptFilter::default()
    }
}

async fn next(stream: &mut Stream) -> RecordedAttempt {
    let next = timeout(SOON, stream.next()).await;
    next.expect("an attempt is told").expect("it goes on")
}

/// The events of the attempts told, up to and without the one that ends them.
async fn told(stream: &mut Stream) -> Vec<String> {
    let (mut events, mut last) = (Vec::new(), EntryId::BEGINNING);
    loop {
        let one = next(stream).await;
        assert!(one.entry > last, "in the order of the record");
        last = one.entry;
        match one.attempt.event_id.as_str() {
            "end" => return events,
            event => events.push(event.to_owned()),
        }
    }
}

fn sorted(mut events: Vec<String>) -> Vec<String> {
    events.sort_unstable();
    events
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("e{n:03}")).collect()
}

pub async fn each_follower_hears_of_each_attempt_once_and_in_order(adapter: &impl Adapter) {
    register(adapter).await;
    let log = adapter.delivery_log();
    let mut followers = Vec::new();
    for filter in [
        of_webhook("w1"),
        of_organization(),
        AttemptFilter::default(),
    ] {
        for _ in 0..3 {
            followers.push(log.follow(filter.clone(), None).await.unwrap());
        }
    }
    let writing = async {
        for part in numbered(MANY).chunks(19) {
            write(adapter, part.iter().map(|event| attempt(event, "w1"))).await;
        }
        write(adapter, [attempt("end", "w1")]).await;
    };
    let (all, ()) = tokio::join!(join_all(followers.iter_mut().map(told)), writing);
    let (of_webhook, whole) = all.split_at(3);
    for heard in &all {
        assert_eq!(sorted(heard.clone()), numbered(MANY));
    }
    assert!(of_webhook.iter().all(|one| *one == of_webhook[0]));
    assert!(whole.iter().all(|one| *one == whole[0]));
}

pub async fn a_follower_that_is_slow_catches_up(adapter: &impl Adapter) {
    register(adapter).await;
    let log = adapter.delivery_log();
    for filter in [of_webhook("w1"), of_organization()] {
        let mut slow = log.follow(filter.clone(), None).await.unwrap();
        let mut quick = log.follow(filter, None).await.unwrap();
        write(adapter, [attempt("first", "w1")]).await;
        assert_eq!(next(&mut slow).await.attempt.event_id.as_str(), "first");
        let writing = async {
            write(adapter, numbered(MANY).iter().map(|e| attempt(e, "w1"))).await;
            write(adapter, [attempt("end", "w1")]).await;
        };
        // Nobody looks at what the slow one is told.
        let (heard, ()) = tokio::join!(told(&mut quick), writing);
        assert_eq!(
            sorted(heard.clone()),
            sorted([vec!["first".to_owned()], numbered(MANY)].concat())
        );
        assert_eq!(told(&mut slow).await, heard[1..]);
        // And it hears of what is new again.
        write(adapter, [attempt("later", "w1")]).await;
        assert_eq!(next(&mut slow).await.attempt.event_id.as_str(), "later");
    }
}

pub async fn a_follower_goes_on_behind_an_entry_or_begins_now(adapter: &impl Adapter) {
    register(adapter).await;
    let log = adapter.delivery_log();
    for (id, filter) in [("w1", of_webhook("w1")), ("w2", of_organization())] {
        let mut all = log.follow(filter.clone(), None).await.unwrap();
        for event in ["one", "two", "three"] {
            write(adapter, [attempt(event, id)]).await;
        }
        let one = next(&mut all).await;
        let mut behind = log.follow(filter.clone(), Some(one.entry)).await.unwrap();
        for stream in [&mut all, &mut behind] {
            for event in ["two", "three"] {
                assert_eq!(next(stream).await.attempt.event_id.as_str(), event);
            }
        }
        let mut now = log.follow(filter.clone(), None).await.unwrap();
        write(adapter, [attempt("new", id)]).await;
        for stream in [&mut all, &mut behind, &mut now] {
            assert_eq!(next(stream).await.attempt.event_id.as_str(), "new");
        }
        let first = Some(EntryId::BEGINNING);
        let mut first = log.follow(of_webhook(id), first).await.unwrap();
        assert_eq!(next(&mut first).await.attempt.event_id.as_str(), "one");
    }
}

pub async fn a_follower_hears_of_what_its_filter_wants_alone(adapter: &impl Adapter) {
    register(adapter).await;
    let log = adapter.delivery_log();
    let other = Organization::new("other").unwrap();
    let failed = AttemptFilter {
        status_class: Some(5),
        ..of_organization()
    };
    let mut own = log.follow(of_organization(), None).await.unwrap();
    let mut failures = log.follow(failed, None).await.unwrap();
    let mut second = log.follow(of_webhook("w2"), None).await.unwrap();
    let foreign = Attempt {
        organization: other,
        ..attempt("foreign", "w1")
    };
    let failure = Attempt {
        status_code: Some(503),
        ..attempt("failure", "w2")
    };
    write(adapter, [foreign]).await;
    for one in [attempt("good", "w1"), failure, attempt("end", "w2")] {
        write(adapter, [one]).await;
    }
    assert_eq!(told(&mut own).await, ["good", "failure"]);
    assert_eq!(
        next(&mut failures).await.attempt.event_id.as_str(),
        "failure"
    );
    assert_eq!(told(&mut second).await, ["failure"]);
    assert!(failures.next().now_or_never().is_none());
}
