//! Redis goes away, or serves no more, and comes back.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use prism_webhooks::engine::ports::{LogWriter as _, Subscriptions as _};
use prism_webhooks::redis::log_writer::{DeliveryLogSettings, RedisLogWriter};

use super::kit::{OwnRedis, SOON, Space, at, new_webhook, organization, proxy, through};
use super::log::attempted;
use crate::support::deadline::eventually;

const LIMIT: Duration = Duration::from_secs(30);

fn log(space: &Space) -> Arc<RedisLogWriter> {
    let log = RedisLogWriter::start(
        space.connection.clone(),
        space.keys.clone(),
        DeliveryLogSettings::default(),
    );
    Arc::new(log)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_written_while_redis_is_killed_and_started_again_is_lost() {
    let mut own = OwnRedis::start().await;
    let space = Space::at(&own.url());
    let log = log(&space);
    tokio::time::timeout(LIMIT, log.available()).await.unwrap();
    let write = |from: usize, to: usize| {
        let log = log.clone();
        tokio::spawn(async move {
            join_all((from..to).map(|n| log.write(attempted(&format!("e{n}"), "w1")))).await
        })
    };
    write(0, 100).await.unwrap();
    // Some of these are under way when it dies.
    let under_way = write(100, 2000);
    own.kill().await;
    let meanwhile = write(2000, 2100);
    eventually(SOON, "writing is known to fail", async || {
        log.available().now_or_never().is_none().then_some(())
    })
    .await;
    own.revive().await;
    tokio::time::timeout(LIMIT, log.available()).await.unwrap();
    tokio::time::timeout(LIMIT, under_way)
        .await
        .unwrap()
        .unwrap();
    tokio::time::timeout(LIMIT, meanwhile)
        .await
        .unwrap()
        .unwrap();
    let entries: redis::streams::StreamRangeReply = space
        .ask(&["XRANGE", &space.keys.attempts(), "-", "+"])
        .await;
    let events: std::collections::HashSet<String> = entries
        .ids
        .iter()
        .map(|entry| entry.get::<String>("event_id").unwrap())
        .collect();
    assert_eq!(events.len(), 2100);
}

#[tokio::test]
async fn a_redis_out_of_memory_makes_entries_wait_and_takes_them_later() {
    let own = OwnRedis::start().await;
    let space = Space::at(&own.url());
    let log = log(&space);
    tokio::time::timeout(LIMIT, log.available()).await.unwrap();
    space.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let write = log.write(attempted("e1", "w1"));
    tokio::pin!(write);
    eventually(SOON, "writing is known to fail", async || {
        assert!(
            (&mut write).now_or_never().is_none(),
            "it cannot be on record"
        );
        log.available().now_or_never().is_none().then_some(())
    })
    .await;
    space.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    tokio::time::timeout(LIMIT, write).await.unwrap();
    tokio::time::timeout(LIMIT, log.available()).await.unwrap();
    assert_eq!(space.ask::<u32>(&["XLEN", &space.keys.attempts()]).await, 1);
}

#[tokio::test]
async fn webhooks_and_marks_are_waited_for() {
    let space = Space::new();
    let proxy = proxy();
    proxy.down();
    let webhooks = space.webhooks();
    webhooks
        .create(&organization(), new_webhook("n"), at(0))
        .await
        .unwrap();
    let connection = through(&proxy);
    let subscriptions = space.subscriptions(&connection, Duration::from_secs(60));
    let log = RedisLogWriter::start(
        connection,
        space.keys.clone(),
        DeliveryLogSettings::default(),
    );
    let event = "e1".parse().unwrap();
    let acme = organization();
    let asking = async { tokio::join!(subscriptions.webhooks(&acme), log.settled(&acme, &event)) };
    tokio::pin!(asking);
    assert!((&mut asking).now_or_never().is_none());
    proxy.up();
    let (known, settled) = tokio::time::timeout(LIMIT, asking).await.unwrap();
    assert_eq!((known.webhooks.len(), settled.len()), (1, 0));
}

#[tokio::test]
async fn a_peer_that_died_without_a_word_does_not_hold_entries_up() {
    let space = Space::new();
    let proxy = proxy();
    let log = RedisLogWriter::start(
        through(&proxy),
        space.keys.clone(),
        DeliveryLogSettings::default(),
    );
    log.write(attempted("e1", "w1")).await;
    proxy.freeze();
    tokio::time::timeout(LIMIT, log.write(attempted("e2", "w1")))
        .await
        .unwrap();
    assert_eq!(space.ask::<u32>(&["XLEN", &space.keys.attempts()]).await, 2);
}

#[tokio::test]
async fn a_log_that_is_let_go_still_writes_what_it_was_given() {
    let space = Space::new();
    space.register(&["w1"]).await;
    let log = log(&space);
    let key = super::kit::webhook_key("w1");
    log.succeeded(&key, at(0));
    drop(log);
    let health = space.keys.health(&key);
    eventually(SOON, "the success is on record", async || {
        let there: u32 = space.ask(&["EXISTS", &health]).await;
        (there == 1).then_some(())
    })
    .await;
}
