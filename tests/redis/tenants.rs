//! The list of an organization's attempts: its own, whatever others do, and whatever became of the stream
//! of all.

use prism_webhooks::domain::attempt::Attempt;
use prism_webhooks::domain::ids::Organization;
use prism_webhooks::redis::attempts::{AttemptFilter, Attempts};
use prism_webhooks::redis::delivery_log::RedisDeliveryLog;
use prism_webhooks::redis::log_writer::{DeliveryLogSettings, RedisLogWriter};
use prism_webhooks::store::retention::MAX_EXAMINED;

use super::attempts::write;
use super::kit::{Space, attempt, organization};
use crate::conformance::tenants::{OTHERS, expected, parts};

/// The events whose attempts the organization is told of.
async fn listed(space: &Space) -> Vec<String> {
    let filter = AttemptFilter {
        organization: Some(organization()),
        ..AttemptFilter::default()
    };
    let attempts = Attempts::new(space.connection.clone(), space.keys.clone());
    let page = attempts.list(&filter, 10, None).await.unwrap();
    assert_eq!((page.next, page.unreadable), (None, 0));
    let found = page.attempts.iter();
    found.map(|one| one.attempt.event_id.to_string()).collect()
}

#[tokio::test]
async fn the_parts_of_a_list_are_the_same_whatever_others_do() {
    for others in OTHERS {
        let space = Space::new();
        let (connection, keys) = (&space.connection, &space.keys);
        let settings = DeliveryLogSettings::default();
        let log = RedisLogWriter::start(connection.clone(), keys.clone(), settings);
        let record = RedisDeliveryLog::new(connection, keys);
        let parts = parts(&log, &record, others).await;
        assert_eq!(parts, expected(), "amid {others}");
    }
}

#[tokio::test]
async fn what_the_stream_of_all_has_no_longer_is_not_listed() {
    let space = Space::new();
    write(&space, ["e1", "e2", "e3"].map(|event| attempt(event, "w1"))).await;
    assert_eq!(listed(&space).await, ["e3", "e2", "e1"]);
    let all = space.keys.attempts();
    space.ask::<u32>(&["XTRIM", &all, "MAXLEN", "1"]).await;
    assert_eq!(listed(&space).await, ["e3"]);
}

#[tokio::test]
async fn a_stream_of_all_that_begins_anew_takes_the_list_with_it() {
    let space = Space::new();
    write(&space, [attempt("e1", "w1")]).await;
    let list = space.keys.organization_attempts(&organization());
    // As from a server whose clock was ahead.
    let id = "99999999999999-0";
    space.ask::<String>(&["XADD", &list, id, "", ""]).await;
    space.ask::<u32>(&["DEL", &space.keys.attempts()]).await;
    write(&space, [attempt("e2", "w1"), attempt("e3", "w1")]).await;
    assert_eq!(listed(&space).await, ["e3", "e2"]);
}

#[tokio::test]
async fn what_others_push_out_ends_the_list_and_leaves_it() {
    let space = Space::new();
    // More than one look would go through.
    let many = (0..MAX_EXAMINED + 100).map(|n| attempt(&format!("e{n}"), "w1"));
    write(&space, many).await;
    let other = Attempt {
        organization: Organization::new("other").unwrap(),
        ..attempt("theirs", "w1")
    };
    write(&space, [other]).await;
    let all = space.keys.attempts();
    space.ask::<u32>(&["XTRIM", &all, "MAXLEN", "1"]).await;
    assert!(listed(&space).await.is_empty());
    write(&space, [attempt("last", "w1")]).await;
    assert_eq!(listed(&space).await, ["last"]);
    let list = space.keys.organization_attempts(&organization());
    let kept = space.ask::<u32>(&["XLEN", &list]).await;
    // Redis removes whole nodes, which have a hundred entries.
    assert!(kept <= 100, "{kept}");
}

#[tokio::test]
async fn a_list_goes_in_the_end_unless_there_is_something_new() {
    let space = Space::new();
    let list = space.keys.organization_attempts(&organization());
    write(&space, [attempt("e1", "w1")]).await;
    let left = async || space.ask::<i64>(&["TTL", &list]).await;
    assert!(left().await > 89 * 86_400);
    space.ask::<u32>(&["EXPIRE", &list, "86400"]).await;
    write(&space, [attempt("e2", "w1")]).await;
    assert!(left().await > 89 * 86_400);
}
