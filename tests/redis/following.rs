//! Following the record in Redis: one connection for all who follow, and what becomes of it.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use prism_webhooks::domain::ids::WebhookId;
use prism_webhooks::redis::connection::Connection;
use prism_webhooks::redis::delivery_log::RedisDeliveryLog;
use prism_webhooks::store::delivery_log::{AttemptFilter, DeliveryLog as _, RecordedAttempt};
use tokio::time::timeout;

use super::attempts::write;
use super::kit::{SOON, Space, attempt, organization, proxy, through};
use crate::support::deadline::eventually;
use crate::support::private::PrivateRedis;

type Stream = BoxStream<'static, RecordedAttempt>;

fn log(connection: &Connection, space: &Space) -> RedisDeliveryLog {
    RedisDeliveryLog::new(connection, &space.keys)
}

fn of_webhook(id: &str) -> AttemptFilter {
    AttemptFilter {
        organization: Some(organization()),
        webhook: Some(WebhookId::new(id).unwrap()),
        ..AttemptFilter::default()
    }
}

/// The event of the next attempt told.
async fn next(stream: &mut Stream) -> String {
    let next = timeout(2 * SOON, stream.next()).await;
    let next = next.expect("an attempt is told").unwrap();
    next.attempt.event_id.to_string()
}

/// The ids of the connections of which the last command was this.
async fn connections(space: &Space, command: &str) -> Vec<String> {
    let all: String = space.ask(&["CLIENT", "LIST"]).await;
    let of = all
        .lines()
        .filter(|line| line.contains(&format!("cmd={command} ")));
    let id = |line: &str| {
        line.split_whitespace()
            .next()?
            .strip_prefix("id=")
            .map(str::to_owned)
    };
    of.filter_map(id).collect()
}

async fn count(space: &Space) -> usize {
    let all: String = space.ask(&["CLIENT", "LIST"]).await;
    all.lines().count()
}

#[tokio::test]
async fn two_hundred_followers_take_one_connection_and_it_goes_with_the_last() {
    let redis = PrivateRedis::start().await;
    let space = Space::at(redis.url());
    let log = log(&space.connection, &space);
    let ids: Vec<String> = (1..40).map(|number| format!("w{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    space.register(&ids).await;
    let before = count(&space).await;
    let mut streams = Vec::new();
    for number in 0..200 {
        let filter = match number % 40 {
            0 => AttemptFilter::default(),
            other => of_webhook(&format!("w{other}")),
        };
        streams.push(log.follow(filter, None).await.unwrap());
    }
    let attempts = (1..40).map(|number| attempt(&format!("e{number:02}"), &format!("w{number}")));
    write(&space, attempts).await;
    for (number, stream) in streams.iter_mut().enumerate() {
        match number % 40 {
            0 => {
                let mut heard = Vec::new();
                for _ in 1..40 {
                    heard.push(next(stream).await);
                }
                heard.sort_unstable();
                let all: Vec<String> = (1..40).map(|number| format!("e{number:02}")).collect();
                assert_eq!(heard, all);
            }
            other => assert_eq!(next(stream).await, format!("e{other:02}")),
        }
    }
    assert_eq!(count(&space).await, before + 1);
    assert_eq!(connections(&space, "xread").await.len(), 1);
    drop(streams);
    eventually(SOON, "nothing is read any more", async || {
        (count(&space).await == before).then_some(())
    })
    .await;
    // And again, for whoever comes next.
    let mut another = log.follow(of_webhook("w1"), None).await.unwrap();
    write(&space, [attempt("again", "w1")]).await;
    assert_eq!(next(&mut another).await, "again");
}

#[tokio::test]
async fn what_comes_while_the_connection_is_killed_over_and_over_is_told_once() {
    let redis = PrivateRedis::start().await;
    let space = Space::at(redis.url());
    space.register(&["w1"]).await;
    let log = log(&space.connection, &space);
    let mut streams = Vec::new();
    for filter in [of_webhook("w1"), AttemptFilter::default()] {
        streams.push(log.follow(filter, None).await.unwrap());
    }
    for round in 0..5 {
        let id = eventually(SOON, "it is read", async || {
            connections(&space, "xread").await.pop()
        });
        let id = id.await;
        space.ask::<()>(&["CLIENT", "KILL", "ID", &id]).await;
        let (one, two) = (format!("{round}-one"), format!("{round}-two"));
        write(&space, [attempt(&one, "w1")]).await;
        write(&space, [attempt(&two, "w1")]).await;
        for stream in &mut streams {
            assert_eq!(next(stream).await, one);
            assert_eq!(next(stream).await, two);
        }
    }
}

#[tokio::test]
async fn nothing_is_missed_while_redis_is_away() {
    let space = Space::new();
    let proxy = proxy();
    write(&space, [attempt("before", "w1")]).await;
    let log = log(&through(&proxy), &space);
    let mut stream = log.follow(AttemptFilter::default(), None).await.unwrap();
    write(&space, [attempt("one", "w1")]).await;
    assert_eq!(next(&mut stream).await, "one");
    proxy.down();
    write(&space, (0..300).map(|n| attempt(&format!("e{n}"), "w1"))).await;
    proxy.up();
    let mut heard = Vec::new();
    for _ in 0..300 {
        heard.push(next(&mut stream).await);
    }
    heard.sort_unstable();
    heard.dedup();
    assert_eq!(heard.len(), 300);
    write(&space, [attempt("three", "w1")]).await;
    assert_eq!(next(&mut stream).await, "three");
}

#[tokio::test]
async fn a_key_that_holds_something_else_keeps_nobody_from_hearing() {
    let space = Space::new();
    space.register(&["good", "broken"]).await;
    let log = log(&space.connection, &space);
    let mut broken = log.follow(of_webhook("broken"), None).await.unwrap();
    let mut good = log.follow(of_webhook("good"), None).await.unwrap();
    let key = WebhookId::new("broken").unwrap();
    let key = space.keys.webhook_attempts(&organization(), &key);
    space.ask::<()>(&["SET", &key, "something"]).await;
    write(&space, [attempt("one", "good")]).await;
    assert_eq!(next(&mut good).await, "one");
    let waits = timeout(Duration::from_millis(1), broken.next()).await;
    assert!(waits.is_err());
    // Once it is mended it is read again.
    space.ask::<()>(&["DEL", &key]).await;
    write(&space, [attempt("two", "broken")]).await;
    assert_eq!(next(&mut broken).await, "two");
}
