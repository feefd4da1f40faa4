//! The record, written.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use prism_webhooks::domain::delivery::Delivery;
use prism_webhooks::domain::delivery_state::DeliveryState;
use prism_webhooks::domain::ids::{MessageKey, WebhookId};
use prism_webhooks::engine::ports::{DeliveryRecord, Entry, Keep, LogWriter, SettledMarker};
use prism_webhooks::redis::deliveries::Deliveries;
use prism_webhooks::redis::log_writer::{DeliveryLogSettings, RedisLogWriter};

use super::kit::{Space, at, attempt, delivery, failing_since, organization, webhook_key};

fn log(space: &Space) -> RedisLogWriter {
    RedisLogWriter::start(
        space.connection.clone(),
        space.keys.clone(),
        DeliveryLogSettings::default(),
    )
}

pub fn attempted(event: &str, webhook: &str) -> Entry {
    Entry {
        attempt: Some(attempt(event, webhook)),
        ..Entry::default()
    }
}

fn recorded(delivery: &Delivery, state: DeliveryState, keep: Keep) -> Entry {
    Entry {
        delivery: Some(DeliveryRecord {
            delivery: delivery.clone(),
            state,
            keep,
        }),
        ..Entry::default()
    }
}

#[tokio::test]
async fn streams_are_capped() {
    let space = Space::new();
    space.register(&["w1"]).await;
    let settings = DeliveryLogSettings {
        attempts_kept: 400,
        attempts_kept_per_webhook: 200,
        ..DeliveryLogSettings::default()
    };
    let log = RedisLogWriter::start(space.connection.clone(), space.keys.clone(), settings);
    join_all((0..2000).map(|_| log.write(attempted("e", "w1")))).await;
    let own = space
        .keys
        .webhook_attempts(&organization(), &WebhookId::new("w1").unwrap());
    // Redis trims whole nodes of a hundred entries.
    let all: usize = space.ask(&["XLEN", &space.keys.attempts()]).await;
    let of_webhook: usize = space.ask(&["XLEN", &own]).await;
    assert!((400..=500).contains(&all), "{all}");
    assert!((200..=300).contains(&of_webhook), "{of_webhook}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_entries_share_a_pipeline() {
    const ENTRIES: usize = 10_000;
    let space = Space::new();
    let log = Arc::new(log(&space));
    let entries: Vec<Entry> = (0..ENTRIES)
        .map(|n| attempted(&format!("e{n}"), &format!("w{}", n % 50)))
        .collect();
    let began = Instant::now();
    join_all(entries.into_iter().map(|entry| log.write(entry))).await;
    let micros = began.elapsed().as_micros() / ENTRIES as u128;
    println!("{micros} µs an entry, both sides of an unoptimized build together");
    assert_eq!(
        space.ask::<usize>(&["XLEN", &space.keys.attempts()]).await,
        ENTRIES
    );
    assert!(micros < 1000, "{micros} µs an entry: that is not batched");
}

#[tokio::test]
async fn marks_are_added_up_and_removed_together() {
    let space = Space::new();
    let log = log(&space);
    let event = MessageKey::new("e1").unwrap();
    let id = |text: &str| WebhookId::new(text).unwrap();
    for webhooks in [vec![id("a")], vec![id("b"), id("c")]] {
        let entry = Entry {
            mark: Some(SettledMarker {
                organization: organization(),
                message: event.clone(),
                webhooks,
            }),
            ..Entry::default()
        };
        log.write(entry).await;
    }
    let settled = log.settled(&organization(), &event).await;
    assert_eq!(settled, HashSet::from([id("a"), id("b"), id("c")]));
    let key = space.keys.settled(&organization(), &event);
    let left: i64 = space.ask(&["TTL", &key]).await;
    assert!((86_000..=86_400).contains(&left), "{left}");

    let entry = Entry {
        unmark: Some((organization(), event.clone())),
        ..Entry::default()
    };
    log.write(entry).await;
    // The acknowledgement may not have arrived: the marks outlast the broker's finding out.
    assert!(!log.settled(&organization(), &event).await.is_empty());
    let left: i64 = space.ask(&["TTL", &key]).await;
    assert!((100..=120).contains(&left), "{left}");
}

#[tokio::test]
async fn of_many_that_claim_an_id_at_once_one_has_it_and_keeps_it() {
    let space = Space::new();
    let log = log(&space);
    let (id, organization) = (delivery("e1", "w1").id, organization());
    let claims = (0..10).map(|hand_out| log.claim(&organization, &id, hand_out));
    let claims = join_all(claims).await;
    assert_eq!(claims.iter().filter(|ours| **ours).count(), 1);
    // Asked again, for want of an answer.
    let again = (0..10).map(|hand_out| log.claim(&organization, &id, hand_out));
    assert_eq!(join_all(again).await, claims);
    let deliveries = Deliveries::new(space.connection.clone(), space.keys.clone());
    let found = deliveries.get(&organization, &id).await.unwrap();
    assert!(found.is_none(), "a claim is no record");
    assert_eq!(log.settled_sequence(&organization, &id).await, 0);
}

#[tokio::test]
async fn an_id_with_something_on_record_is_not_claimed() {
    let space = Space::new();
    let log = log(&space);
    let put_off = Delivery {
        sequence: 0,
        ..delivery("e1", "w1")
    };
    let record = DeliveryRecord {
        delivery: put_off.clone(),
        state: DeliveryState::Waiting(at(0)),
        keep: Keep::Sequence,
    };
    log.write(Entry {
        delivery: Some(record),
        ..Entry::default()
    })
    .await;
    assert!(!log.claim(&organization(), &put_off.id, 1).await);
}

#[tokio::test]
async fn the_settled_sequence_is_the_highest_and_never_shortens_a_whole_record() {
    let space = Space::new();
    let log = log(&space);
    let first = delivery("e1", "w1");
    let sequence = async || log.settled_sequence(&organization(), &first.id).await;
    let key = space.keys.delivery(&organization(), &first.id);
    let left = async || space.ask::<i64>(&["TTL", &key]).await;
    assert_eq!(sequence().await, 0);

    log.write(recorded(&first, DeliveryState::Delivered, Keep::Sequence))
        .await;
    assert_eq!(sequence().await, 1);
    let kept = left().await;
    assert!((3500..=3600).contains(&kept), "{kept}");

    let third = first.requeued().requeued();
    log.write(recorded(&third, DeliveryState::Waiting(at(9)), Keep::Whole))
        .await;
    assert_eq!(sequence().await, 3);
    let fourth = third.requeued();
    log.write(recorded(&fourth, DeliveryState::Delivered, Keep::Sequence))
        .await;
    assert_eq!(sequence().await, 4);
    let kept = left().await;
    assert!(kept > 600_000, "{kept}");

    // A worker that lost its message long ago comes late.
    log.write(recorded(&first, DeliveryState::Delivered, Keep::Whole))
        .await;
    assert_eq!(sequence().await, 4);
    let state: String = space.ask(&["HGET", &key, "state"]).await;
    assert_eq!(state, "waiting");
}

#[tokio::test]
async fn a_run_of_failures_begins_after_the_last_success() {
    let space = Space::new();
    space.register(&["w1"]).await;
    let (one, other) = (log(&space), log(&space));
    let key = webhook_key("w1");
    assert_eq!(failing_since(&one, &key, at(0)).await, at(0));
    assert_eq!(failing_since(&other, &key, at(100)).await, at(0));
    other.succeeded(&key, at(200));
    other.flush().await;
    assert_eq!(failing_since(&one, &key, at(300)).await, at(300));
    assert_eq!(failing_since(&other, &key, at(400)).await, at(300));
    let left: i64 = space.ask(&["TTL", &space.keys.health(&key)]).await;
    assert!(left > 29 * 86_400, "{left}");
}

#[tokio::test]
async fn a_recovery_within_a_minute_of_the_last_success_ends_the_run_of_failures() {
    let space = Space::new();
    space.register(&["w1"]).await;
    let log = log(&space);
    let key = webhook_key("w1");
    log.succeeded(&key, at(0));
    assert_eq!(failing_since(&log, &key, at(5)).await, at(5));
    log.succeeded(&key, at(15));
    log.flush().await;
    let days_later = at(6 * 86_400);
    assert_eq!(failing_since(&log, &key, days_later).await, days_later);
}

#[tokio::test]
async fn successes_are_noted_at_once_or_at_the_end() {
    let space = Space::new();
    space.register(&["w1"]).await;
    let log = log(&space);
    let key = webhook_key("w1");
    let noted = async || {
        log.flush().await;
        let millis: String = space
            .ask(&["HGET", &space.keys.health(&key), "last_success"])
            .await;
        millis.parse::<i64>().unwrap()
    };
    log.succeeded(&key, at(0));
    assert_eq!(noted().await, at(0).as_millisecond());
    log.succeeded(&key, at(30));
    log.succeeded(&key, at(59));
    assert_eq!(noted().await, at(59).as_millisecond());
}

#[tokio::test]
async fn a_key_that_holds_something_else_blocks_no_other() {
    let space = Space::new();
    let log = log(&space);
    let broken = webhook_key("broken");
    let stream = space.keys.webhook_attempts(&organization(), &broken.id);
    let event = MessageKey::new("e1").unwrap();
    for key in [
        &stream,
        &space.keys.settled(&organization(), &event),
        &space.keys.health(&broken),
    ] {
        space.ask::<()>(&["SET", key, "no stream"]).await;
    }
    let entries = [attempted("e1", "broken"), attempted("e2", "good")];
    let written = join_all(entries.into_iter().map(|entry| log.write(entry)));
    tokio::time::timeout(Duration::from_secs(5), written)
        .await
        .unwrap();
    assert_eq!(space.ask::<u32>(&["XLEN", &space.keys.attempts()]).await, 2);
    assert!(log.settled(&organization(), &event).await.is_empty());
    assert_eq!(failing_since(&log, &broken, at(7)).await, at(7));
}

#[tokio::test]
async fn a_server_that_forgot_its_scripts_is_taught_again() {
    let space = super::kit::OwnRedis::start().await;
    let space = (Space::at(&space.url()), space);
    let log = log(&space.0);
    let first = delivery("e1", "w1");
    for delivery in [first.clone(), first.requeued()] {
        log.write(recorded(
            &delivery,
            DeliveryState::Delivered,
            Keep::Sequence,
        ))
        .await;
        space.0.ask::<()>(&["SCRIPT", "FLUSH"]).await;
    }
    assert_eq!(log.settled_sequence(&organization(), &first.id).await, 2);
}
