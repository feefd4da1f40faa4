//! The account of the bodies that are kept, in Redis.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prism_webhooks::domain::delivery::Delivery;
use prism_webhooks::domain::delivery_state::DeliveryState;
use prism_webhooks::domain::event::Event;
use prism_webhooks::engine::ports::{DeliveryRecord, Entry, Keep, LogWriter as _};
use prism_webhooks::redis::log_writer::{DeliveryLogSettings, RedisLogWriter};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::kit::{SOON, Space, delivery, organization};
use crate::support::deadline::eventually;

const BUDGET: u64 = 1000;

fn log(space: &Space, kept: Duration) -> RedisLogWriter {
    let settings = DeliveryLogSettings {
        bodies_per_organization: BUDGET,
        deliveries_kept: kept,
        ..DeliveryLogSettings::default()
    };
    RedisLogWriter::start(space.connection.clone(), space.keys.clone(), settings)
}

fn sized(number: u32, size: usize) -> Delivery {
    let plain = delivery(&format!("e{number}"), "w1");
    let body = Bytes::from(vec![b'x'; size]);
    let event = Event {
        body,
        ..(*plain.event).clone()
    };
    Delivery {
        event: Arc::new(event),
        ..plain
    }
}

async fn keep(log: &RedisLogWriter, delivery: Delivery) {
    let delivery = Some(DeliveryRecord {
        delivery,
        state: DeliveryState::Delivered,
        keep: Keep::Whole,
    });
    log.write(Entry {
        delivery,
        ..Entry::default()
    })
    .await;
}

/// What the account says is kept: in all, added up, and of how many.
async fn account(space: &Space) -> (u64, u64, usize) {
    let sizes = space.keys.body_sizes(&organization());
    let all: Vec<(String, u64)> = space.ask(&["HGETALL", &sizes]).await;
    let sum = all.iter().filter(|(id, _)| !id.is_empty());
    let sum = sum.map(|(_, size)| size).sum();
    let total = all.iter().find(|(id, _)| id.is_empty());
    let many: usize = space
        .ask(&["ZCARD", &space.keys.bodies(&organization())])
        .await;
    assert_eq!(many + 1, all.len());
    (total.map_or(0, |(_, size)| *size), sum, many)
}

#[tokio::test]
async fn the_account_is_right_whatever_comes_and_goes() {
    let space = Space::new();
    let log = log(&space, Duration::from_secs(1000));
    let mut script = StdRng::seed_from_u64(11);
    let key = |number: u32| space.keys.delivery(&organization(), &sized(number, 0).id);
    for _ in 0..300 {
        let number = script.random_range(0..12);
        if script.random_ratio(1, 5) {
            // As if it had expired; the account learns of that later.
            space.ask::<()>(&["UNLINK", &key(number)]).await;
            continue;
        }
        keep(&log, sized(number, script.random_range(0..1100))).await;
        let mut kept = 0;
        for number in 0..12 {
            let size: u64 = space.ask(&["HSTRLEN", &key(number), "body"]).await;
            kept += size;
        }
        let (total, sum, _) = account(&space).await;
        assert_eq!(total, sum);
        assert!(kept <= total && total <= BUDGET, "{kept} {total}");
    }
    // The sum may be lost or wrong: it is right again at the latest when all are gone.
    let sizes = space.keys.body_sizes(&organization());
    space.ask::<()>(&["HSET", &sizes, "", "5000"]).await;
    keep(&log, sized(99, 700)).await;
    assert_eq!(account(&space).await, (700, 700, 1));
}

#[tokio::test]
async fn what_has_expired_is_dropped_from_the_account() {
    let space = Space::new();
    let short = log(&space, Duration::from_secs(1));
    for number in 0..3 {
        keep(&short, sized(number, 10)).await;
    }
    assert_eq!(account(&space).await, (30, 30, 3));
    let long = log(&space, Duration::from_secs(1000));
    eventually(SOON, "the expired are off the account", async || {
        keep(&long, sized(9, 10)).await;
        (account(&space).await == (10, 10, 1)).then_some(())
    })
    .await;
    // And it is gone itself when nothing more comes.
    let left: i64 = space
        .ask(&["TTL", &space.keys.bodies(&organization())])
        .await;
    assert!((1000..=1000 + 86_400).contains(&left), "{left}");
}
