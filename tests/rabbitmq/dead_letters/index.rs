//! Lists are right whoever has the letters in hand: they come from the index, by parts and in order.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use lapin::types::{AMQPValue, FieldTable};
use prism_webhooks::domain::delivery_state::DeliveryState;
use prism_webhooks::engine::ports::{DeliveryRecord, Entry, Keep, LogWriter as _};
use prism_webhooks::redis::log_writer::RedisLogWriter;
use prism_webhooks::store::dead_letters::{Action, DeadLetters as _, Filter, Options, Position};
use prism_webhooks::store::retention::DeliveryLogSettings;

use super::{ids, of, open, put_in, put_in_with, take_all, with_letters};
use crate::rabbitmq::world::{World, delivery};

#[tokio::test]
async fn a_list_needs_nothing_from_the_queue_and_takes_nothing_from_it() {
    let world = World::declared().await;
    let letters = open(&world);
    let _publisher = with_letters(&world, &letters, 20).await;
    assert_eq!(
        letters.list(&Filter::default(), 100).await.letters.len(),
        20
    );
    // As a look of earlier versions, or a person at the broker's page, takes them.
    let (connection, _held) = take_all(&world).await;
    for _ in 0..3 {
        assert_eq!(
            letters.list(&Filter::default(), 100).await.letters.len(),
            20
        );
    }
    connection.close(200, "OK".into()).await.unwrap();
    world
        .queue_has(world.topology.dead_letters_queue(), 20)
        .await;
    let part = letters.list(&Filter::default(), 1).await;
    assert_eq!(
        (part.letters.len(), part.looked_at),
        (1, 1),
        "what it shows"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_look_at_once_beside_a_requeue_see_everything() {
    let world = World::declared().await;
    let letters = open(&world);
    let _publisher = with_letters(&world, &letters, 300).await;
    let done = AtomicBool::new(false);
    let others: Vec<_> = (0..8).map(|_| letters.of_others(&world)).collect();
    let looks = others.iter().map(async |other| {
        let mut looked = 0;
        while !done.load(Ordering::Relaxed) || looked == 0 {
            let found = other.list(&Filter::default(), None, 1_000).await.unwrap();
            assert_eq!(found.letters.len(), 300);
            looked += 1;
        }
    });
    let moving = async {
        let moved = letters
            .process(Action::Requeue, &of("nobody"), &Options::default(), |_| {})
            .await;
        done.store(true, Ordering::Relaxed);
        moved
    };
    let (moved, _) = tokio::join!(moving, join_all(looks));
    assert_eq!(moved.kept, 300);
}

#[tokio::test]
async fn a_list_goes_on_behind_a_letter_that_has_gone() {
    let world = World::declared().await;
    let letters = open(&world);
    let _publisher = with_letters(&world, &letters, 9).await;
    let list = async |after: Option<Position>| {
        let found = letters
            .queue
            .list(&Filter::default(), after.as_ref(), 4)
            .await;
        found.unwrap()
    };
    let first = list(None).await;
    assert_eq!(ids(&first), ["e0", "e1", "e2", "e3"]);
    let gone = Filter {
        ids: Some(
            first
                .letters
                .iter()
                .filter_map(|one| one.delivery.clone())
                .collect(),
        ),
        ..Filter::default()
    };
    letters
        .process(Action::Purge, &gone, &Options::default(), |_| {})
        .await;
    let second = list(first.next).await;
    assert_eq!(ids(&second), ["e4", "e5", "e6", "e7"]);
    let third = list(second.next).await;
    assert_eq!(ids(&third), ["e8"]);
    assert!(third.is_complete());
}

#[tokio::test]
async fn a_list_goes_on_behind_a_letter_that_has_gone_among_others_of_the_same_moment() {
    let world = World::declared().await;
    let letters = open(&world);
    // They do not say since when, and stand in the order of their ids.
    for id in 0..5 {
        put_in(&world, &format!("p{id}")).await;
    }
    world
        .queue_has(world.topology.dead_letters_queue(), 5)
        .await;
    let first = letters.list(&Filter::default(), 3).await;
    let gone = Filter {
        ids: Some([ids(&first)[2].to_owned()].into()),
        ..Filter::default()
    };
    letters
        .process(Action::Purge, &gone, &Options::default(), |_| {})
        .await;
    let after = first.next.as_ref();
    let second = letters.queue.list(&Filter::default(), after, 10).await;
    let second = second.unwrap();
    let mut all = [ids(&first), ids(&second)].concat();
    all.sort_unstable();
    assert_eq!(all, ["p0", "p1", "p2", "p3", "p4"]);
}

#[tokio::test]
async fn a_limit_takes_the_oldest_whatever_their_order_in_the_queue() {
    let world = World::declared().await;
    let letters = open(&world);
    for (id, at) in [
        ("younger", "2026-02-01"),
        ("oldest", "2026-01-01"),
        ("old", "2026-01-02"),
    ] {
        let mut headers = FieldTable::default();
        for (name, value) in [
            ("reason", "expired".to_owned()),
            ("dead-at", format!("{at}T00:00:00Z")),
        ] {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        put_in_with(&world, id, headers).await;
    }
    world
        .queue_has(world.topology.dead_letters_queue(), 3)
        .await;
    let one = Options {
        limit: Some(1),
        ..Options::default()
    };
    letters
        .process(Action::Purge, &Filter::default(), &one, |_| {})
        .await;
    let left = letters.list(&Filter::default(), 10).await;
    assert_eq!(ids(&left), ["old", "younger"]);
}

#[tokio::test]
async fn what_was_delivered_by_hand_stays_off_the_list_once_its_record_has_expired() {
    let world = World::declared().await;
    let letters = open(&world);
    let _publisher = with_letters(&world, &letters, 2).await;
    assert_eq!(letters.list(&Filter::default(), 10).await.letters.len(), 2);
    let (connection, keys) = (&letters.space.connection, &letters.space.keys);
    let settings = DeliveryLogSettings::default();
    let log = RedisLogWriter::start(connection.clone(), keys.clone(), settings);
    let delivered = async |event: &str| {
        let mut delivery = delivery(event, "w");
        delivery.sequence = 13;
        let record = DeliveryRecord {
            delivery: delivery.clone(),
            state: DeliveryState::Delivered,
            keep: Keep::Whole,
        };
        let entry = Entry {
            delivery: Some(record),
            ..Entry::default()
        };
        log.write(entry).await;
        let record = keys.delivery(&delivery.event.organization, &delivery.id);
        let _: i64 = letters.space.ask(&["DEL", &record]).await;
    };
    delivered("e0").await;
    assert_eq!(ids(&letters.list(&Filter::default(), 10).await), ["e1"]);
    // A pass comes by the letter, and takes it out of the queue.
    put_in(&world, "other").await;
    world
        .queue_has(world.topology.dead_letters_queue(), 3)
        .await;
    let found = letters.list(&Filter::default(), 10).await;
    assert_eq!(found.letters.len(), 2);
    world
        .queue_has(world.topology.dead_letters_queue(), 2)
        .await;
}
