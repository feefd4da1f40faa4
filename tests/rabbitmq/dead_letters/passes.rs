//! A pass sees to what has no entry, and to entries that have no letter: lists are right whoever put
//! letters into the queue, or took them out, and whatever becomes of the index.

use std::pin::pin;
use std::time::Duration;

use lapin::options::QueuePurgeOptions;
use prism_webhooks::domain::dead_letter::Reason;
use prism_webhooks::store::dead_letters::{Action, DeadLetters as _, Filter, Options};
use prism_webhooks::store::letter_index::{LetterIndex as _, PassProgress, StillLooking};

use super::{give_up, ids, open, put_in, take_all, with_letters};
use crate::rabbitmq::world::{World, delivery};

const REASON: Reason = Reason::AttemptsExhausted;

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
async fn a_job_that_is_begun_beside_a_pass_waits_for_it_and_takes_all_that_is_meant() {
    let world = World::declared().await;
    let letters = open(&world);
    let _publisher = with_letters(&world, &letters, 20).await;
    let (all, how) = (Filter::default(), Options::default());
    assert_eq!(letters.list(&all, 100).await.letters.len(), 20);
    // Another process goes through the queue, and has them all in hand.
    let index = letters.space.letters();
    let pass = index.begin_pass().await.unwrap().unwrap();
    let (connection, _held) = take_all(&world).await;
    let mut purging = pin!(letters.process(Action::Purge, &all, &how, |_| {}));
    let waiting = tokio::time::timeout(Duration::from_secs(1), &mut purging).await;
    assert!(waiting.is_err(), "{waiting:?}");
    connection.close(200, "OK".into()).await.unwrap();
    world
        .queue_has(world.topology.dead_letters_queue(), 20)
        .await;
    index.end_pass(&pass, Some(0)).await.unwrap();
    assert_eq!(purging.await.done, 20);
    assert!(letters.list(&all, 100).await.letters.is_empty());
}
