//! Lists are right whoever has the letters in hand, whoever put them there, and whatever becomes of
//! the index.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueuePurgeOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Consumer};
use prism_webhooks::domain::dead_letter::Reason;
use prism_webhooks::domain::delivery_state::DeliveryState;
use prism_webhooks::engine::ports::{DeliveryRecord, Entry, Keep, LogWriter as _};
use prism_webhooks::rabbitmq::publisher::Publisher;
use prism_webhooks::redis::log_writer::RedisLogWriter;
use prism_webhooks::store::dead_letters::{Action, DeadLetters as _, Filter, Options, Position};
use prism_webhooks::store::letter_index::{LetterIndex as _, PassProgress, StillLooking};
use prism_webhooks::store::retention::DeliveryLogSettings;

use super::{Letters, give_up, ids, of, open};
use crate::rabbitmq::world::{World, delivery};

const REASON: Reason = Reason::AttemptsExhausted;

/// A publisher that enters dead letters in the index, and so many letters.
async fn with_letters(world: &World, letters: &Letters, many: usize) -> Publisher {
    let publisher = world.publisher().with_index(letters.space.letters());
    for id in 0..many {
        give_up(&publisher, &format!("e{id}"), "w", REASON).await;
    }
    publisher
}

/// Takes everything out of the dead-letter queue and keeps it in hand.
async fn take_all(world: &World, many: usize) -> (lapin::Connection, Consumer) {
    let connection = world.connection().await;
    let channel = connection.create_channel().await.unwrap();
    let queue = world.topology.dead_letters_queue();
    let consumer = channel
        .basic_consume(
            queue.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    if many > 0 {
        world.queue_has(queue, 0).await;
    }
    (connection, consumer)
}

/// Publishes what no worker wrote straight to the dead-letter queue.
async fn put_in(world: &World, id: &str) {
    let connection = world.connection().await;
    let channel = connection.create_channel().await.unwrap();
    let queue = world.topology.dead_letters_queue();
    let properties = BasicProperties::default().with_message_id(id.into());
    let options = BasicPublishOptions::default();
    channel
        .basic_publish("".into(), queue.into(), options, b"{}", properties)
        .await
        .unwrap();
    channel.close(200, "OK".into()).await.unwrap();
}

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
    let (connection, _held) = take_all(&world, 20).await;
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
async fn what_others_put_into_the_queue_is_listed_like_the_rest() {
    let world = World::declared().await;
    let letters = open(&world);
    let publisher = with_letters(&world, &letters, 2).await;
    assert_eq!(letters.list(&Filter::default(), 100).await.letters.len(), 2);
    // A worker of an earlier version, and somebody who publishes straight to the queue, twice alike.
    give_up(&world.publisher(), "old", "w", REASON).await;
    for _ in 0..2 {
        put_in(&world, "twin").await;
    }
    world
        .queue_has(world.topology.dead_letters_queue(), 5)
        .await;
    let found = letters.list(&Filter::default(), 100).await;
    let mut found = ids(&found);
    found.sort_unstable();
    assert_eq!(found, ["e0", "e1", "old", "twin", "twin"]);
    give_up(&publisher, "new", "w", REASON).await;
    assert_eq!(letters.list(&Filter::default(), 100).await.letters.len(), 6);
}

#[tokio::test]
async fn a_letter_that_is_in_the_queue_twice_is_listed_once_and_hides_no_other() {
    let world = World::declared().await;
    let letters = open(&world);
    let publisher = with_letters(&world, &letters, 1).await;
    // As when a publisher is cut off before it hears that it was taken.
    give_up(&publisher, "e0", "w", REASON).await;
    world
        .queue_has(world.topology.dead_letters_queue(), 2)
        .await;
    for _ in 0..2 {
        assert_eq!(ids(&letters.list(&Filter::default(), 100).await), ["e0"]);
    }
    put_in(&world, "other").await;
    world
        .queue_has(world.topology.dead_letters_queue(), 3)
        .await;
    let found = letters.list(&Filter::default(), 100).await;
    assert_eq!(found.letters.len(), 2);
}

#[tokio::test]
async fn a_lost_index_is_made_anew() {
    let world = World::declared().await;
    let letters = open(&world);
    let _publisher = with_letters(&world, &letters, 10).await;
    assert_eq!(
        letters.list(&Filter::default(), 100).await.letters.len(),
        10
    );
    let pattern = letters.space.keys.letters_part("*");
    let mut keys: Vec<String> = letters.space.ask(&["KEYS", &pattern]).await;
    keys.push(letters.space.keys.letters());
    keys.push(letters.space.keys.letters_of("acme"));
    for key in keys {
        let _: i64 = letters.space.ask(&["DEL", &key]).await;
    }
    assert_eq!(
        letters.list(&Filter::default(), 100).await.letters.len(),
        10
    );
    // Of some entries alone, as when Redis comes back from an older copy.
    let one = delivery("e3", "w").id.to_string();
    let _: i64 = letters
        .space
        .ask(&["HDEL", &letters.space.keys.letters(), &one])
        .await;
    let found = letters.list(&Filter::default(), 100).await;
    assert_eq!(ids(&found).len(), 10);
}

#[tokio::test]
async fn entries_whose_letters_somebody_purged_go_with_the_next_pass() {
    let world = World::declared().await;
    let letters = open(&world);
    let publisher = with_letters(&world, &letters, 3).await;
    assert_eq!(letters.list(&Filter::default(), 100).await.letters.len(), 3);
    let connection = world.connection().await;
    let channel = connection.create_channel().await.unwrap();
    let queue = world.topology.dead_letters_queue();
    let purge = QueuePurgeOptions::default();
    channel.queue_purge(queue.into(), purge).await.unwrap();
    // They were seen long ago, and then there is a letter more than is known.
    let seen = letters.space.keys.letters_part("seen");
    for id in ["e0", "e1", "e2"] {
        let id = delivery(id, "w").id.to_string();
        let _: i64 = letters.space.ask(&["ZADD", &seen, "1", &id]).await;
    }
    give_up(&publisher, "new", "w", REASON).await;
    for id in 0..4 {
        put_in(&world, &format!("p{id}")).await;
    }
    world.queue_has(queue, 5).await;
    let found = letters.list(&Filter::default(), 100).await;
    assert_eq!(found.letters.len(), 5, "{found:?}");
}

#[tokio::test]
async fn an_entry_without_a_confirmed_letter_hides_none_that_has_no_entry() {
    let world = World::declared().await;
    let letters = open(&world);
    let _publisher = with_letters(&world, &letters, 1).await;
    assert_eq!(letters.list(&Filter::default(), 100).await.letters.len(), 1);
    // A worker entered one, was killed before it published it, and the message came to something else.
    let index = letters.space.letters();
    let (filter, all) = (Filter::default(), None);
    let mut lost = index.look(&filter, all, 1).await.unwrap().letters.remove(0);
    lost.id = "lost".to_owned();
    index.expect(&lost).await;
    for part in ["seen", "unconfirmed"] {
        let key = letters.space.keys.letters_part(part);
        let _: i64 = letters.space.ask(&["ZADD", &key, "1", "lost"]).await;
    }
    put_in(&world, "hidden").await;
    world
        .queue_has(world.topology.dead_letters_queue(), 2)
        .await;
    let found = letters.list(&Filter::default(), 100).await;
    let mut found = ids(&found);
    found.sort_unstable();
    assert_eq!(found, ["e0", "hidden"]);
}

#[tokio::test]
async fn a_list_that_is_not_right_yet_is_refused_and_says_how_far_that_is() {
    let world = World::declared().await;
    let letters = open(&world);
    give_up(&world.publisher(), "old", "w", REASON).await;
    // Another process has begun a pass, and takes its time.
    let index = letters.space.letters();
    let pass = index.begin_pass().await.unwrap().unwrap();
    assert!(index.begin_pass().await.unwrap().is_none(), "one at a time");
    let progress = PassProgress {
        looked_at: 300,
        total: 5_000,
    };
    index.note_pass(&pass, progress).await.unwrap();
    let refused = letters.queue.list(&Filter::default(), None, 10).await;
    let refused = refused.unwrap_err();
    assert!(refused.cause().is::<StillLooking>());
    let refused = refused.to_string();
    assert!(refused.contains(" 6 % so far"), "{refused}");
    assert!(!refused.contains("300"), "of everybody's: {refused}");
    index.end_pass(&pass, None).await.unwrap();
    assert_eq!(ids(&letters.list(&Filter::default(), 10).await), ["old"]);
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
