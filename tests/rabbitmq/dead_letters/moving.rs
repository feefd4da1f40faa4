//! Requeues and purges: what matches goes, and the rest stays where everybody sees it.

use std::time::{Duration, Instant};

use lapin::options::QueueDeleteOptions;
use prism_webhooks::domain::dead_letter::{Content, DeadLetter, Reason};
use prism_webhooks::domain::delivery::Trigger;
use prism_webhooks::engine::ports::{FollowUp, Message};
use prism_webhooks::redis::delivery_log::RedisDeliveryLog;
use prism_webhooks::store::dead_letters::{Action, DeadLetters as _, Filter, Options, Progress};
use prism_webhooks::store::delivery_log::DeliveryLog as _;

use super::{give_up, give_up_many, ids, of, open, with_letters};
use crate::rabbitmq::world::{
    World, delivery, hand_over, next_delivery, next_event, raw_event, unstamped,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_requeue_sends_what_matches_and_keeps_the_rest() {
    let world = World::declared().await;
    let publisher = world.publisher();
    for id in 0..300 {
        let webhook = if id % 3 == 0 { "again" } else { "keep" };
        give_up(
            &publisher,
            &format!("e{id}"),
            webhook,
            Reason::WebhookDisabled,
        )
        .await;
    }
    let dead_letters = open(&world);
    let dry = Options {
        dry_run: true,
        ..Options::default()
    };
    let progress = dead_letters
        .process(Action::Requeue, &of("again"), &dry, |_| {})
        .await;
    assert_eq!((progress.done, progress.kept), (100, 200));
    assert_eq!(progress.by_reason["webhook-disabled"], 100);
    assert_eq!(progress.by_webhook["again"], 100);
    assert_eq!(
        world.messages_in(world.topology.dead_letters_queue()).await,
        300
    );

    let mut reports = 0;
    let progress = dead_letters
        .process(Action::Requeue, &of("again"), &Options::default(), |_| {
            reports += 1
        })
        .await;
    assert_eq!(
        (progress.done, progress.kept, progress.looked_at),
        (100, 200, 300)
    );
    assert!(reports > 0);
    world
        .queue_has(world.topology.dead_letters_queue(), 200)
        .await;
    world
        .queue_has(world.topology.deliveries_queue(), 100)
        .await;
    let found = dead_letters.list(&Filter::default(), 1_000).await;
    let mut kept = ids(&found);
    kept.sort_unstable();
    kept.dedup();
    assert_eq!(kept.len(), 200);
    assert!(found.letters.iter().all(|letter| {
        letter.webhook.as_deref() == Some("keep")
            && letter.reason == Some(Reason::WebhookDisabled)
            && letter.attempts == Some(10)
            && letter.dead_at.is_some()
    }));

    let (mut source, handle) = world.source().await;
    for _ in 0..100 {
        let incoming = next_delivery(&mut source).await;
        match &incoming.message {
            Message::Delivery(delivery) => {
                assert_eq!(delivery.webhook.as_str(), "again");
                assert_eq!((delivery.attempt, delivery.sequence), (1, 13));
                assert_eq!(delivery.trigger, Trigger::Manual);
            }
            other => panic!("{other:?}"),
        }
        incoming.receipt.ack(None, None);
    }
    handle.close().await;
}

#[tokio::test]
async fn a_requeue_keeps_to_its_limit_and_rate() {
    let world = World::declared().await;
    let publisher = world.publisher();
    give_up_many(&publisher, 10).await;
    let dead_letters = open(&world);
    let options = Options {
        limit: Some(4),
        rate: Some(10.0),
        ..Options::default()
    };
    let start = Instant::now();
    let progress = dead_letters
        .process(Action::Requeue, &Filter::default(), &options, |_| {})
        .await;
    assert!(
        start.elapsed() >= Duration::from_millis(300),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(progress.done, 4);
    world
        .queue_has(world.topology.dead_letters_queue(), 6)
        .await;
    world.queue_has(world.topology.deliveries_queue(), 4).await;
}

#[tokio::test]
async fn what_could_not_be_published_anew_is_not_counted_as_done() {
    let world = World::declared().await;
    let dead_letters = open(&world);
    let _publisher = with_letters(&world, &dead_letters, 5).await;
    let connection = world.connection().await;
    let channel = connection.create_channel().await.unwrap();
    let queue = world.topology.deliveries_queue();
    let deleted = channel.queue_delete(queue.into(), QueueDeleteOptions::default());
    deleted.await.unwrap();
    let (all, how) = (Filter::default(), Options::default());
    let mut told = 0;
    let mut report = |progress: &Progress| told = progress.done;
    let processing = dead_letters
        .queue
        .process(Action::Requeue, &all, &how, &mut report);
    let error = processing.await.unwrap_err().to_string();
    assert!(error.contains("after 0 letters were done"), "{error}");
    assert_eq!(told, 0);
    let found = dead_letters.list(&all, 10).await;
    assert_eq!(found.letters.len(), 5);
}

#[tokio::test]
async fn a_job_that_waits_for_another_can_be_stopped() {
    let world = World::declared().await;
    let dead_letters = open(&world);
    let _publisher = with_letters(&world, &dead_letters, 600).await;
    let (all, long, stopped) = (Filter::default(), Options::default(), Options::default());
    let begun = tokio::sync::Notify::new();
    let longer = dead_letters.process(Action::Requeue, &all, &long, |progress| {
        if progress.looked_at > 0 {
            begun.notify_one();
        }
    });
    let waiting = async {
        begun.notified().await;
        stopped.stop.cancel();
        let nothing = dead_letters.process(Action::Purge, &all, &stopped, |_| {});
        assert_eq!(nothing.await.done, 0);
        long.stop.cancel();
    };
    let (moved, ()) = tokio::join!(longer, waiting);
    assert!(moved.done < 600, "it was waited for");
}

#[tokio::test]
async fn what_waits_for_its_turn_at_a_low_rate_is_seen_by_others() {
    let world = World::declared().await;
    let publisher = world.publisher();
    give_up_many(&publisher, 10).await;
    let dead_letters = open(&world);
    let others = dead_letters.of_others(&world);
    // The first at once, and the next in a quarter of an hour.
    let options = Options {
        rate: Some(0.001),
        ..Options::default()
    };
    let begun = tokio::sync::Notify::new();
    let all = Filter::default();
    let passing = dead_letters.process(Action::Requeue, &all, &options, |progress| {
        if progress.done == 1 {
            begun.notify_one();
        }
    });
    let watching = async {
        begun.notified().await;
        world.queue_has(world.topology.deliveries_queue(), 1).await;
        // None is in hand while it waits.
        let queue = world.topology.dead_letters_queue();
        world.queue_has(queue, 9).await;
        let seen = others.list(&Filter::default(), None, 100).await.unwrap();
        assert_eq!(seen.letters.len(), 9);
        options.stop.cancel();
    };
    let (progress, ()) = tokio::join!(passing, watching);
    assert_eq!((progress.done, progress.cut_short), (1, false));
    world
        .queue_has(world.topology.dead_letters_queue(), 9)
        .await;
}

#[tokio::test]
async fn an_invalid_event_goes_back_to_the_events_under_its_own_key() {
    let world = World::declared().await;
    let publisher = world.publisher();
    let letter = DeadLetter {
        reason: Reason::InvalidEvent,
        detail: "not known here".to_owned(),
        content: Content::Message(raw_event("e")),
    };
    hand_over(&publisher, FollowUp::DeadLetter(letter)).await;
    let lost = DeadLetter {
        reason: Reason::InvalidDelivery,
        detail: "no delivery".to_owned(),
        content: Content::Message(raw_event("nothing can come of it")),
    };
    hand_over(&publisher, FollowUp::DeadLetter(lost)).await;
    let dead_letters = open(&world);
    let progress = dead_letters
        .process(
            Action::Requeue,
            &Filter::default(),
            &Options::default(),
            |_| {},
        )
        .await;
    assert_eq!((progress.done, progress.unusable), (1, 1));
    let (mut source, handle) = world.source().await;
    let incoming = next_event(&mut source).await;
    match &incoming.message {
        Message::Event(raw) => assert_eq!(unstamped(raw), raw_event("e")),
        other => panic!("{other:?}"),
    }
    incoming.receipt.ack(None, None);
    handle.close().await;
    world
        .queue_has(world.topology.dead_letters_queue(), 1)
        .await;
}

#[tokio::test]
async fn a_purge_removes_what_matches_alone() {
    let world = World::declared().await;
    let publisher = world.publisher();
    for id in 0..10 {
        let webhook = if id < 4 { "gone" } else { "keep" };
        give_up(
            &publisher,
            &format!("e{id}"),
            webhook,
            Reason::WebhookDeleted,
        )
        .await;
    }
    let dead_letters = open(&world);
    let progress = dead_letters
        .process(Action::Purge, &of("gone"), &Options::default(), |_| {})
        .await;
    assert_eq!((progress.done, progress.kept), (4, 6));
    world
        .queue_has(world.topology.dead_letters_queue(), 6)
        .await;
    assert_eq!(
        world.messages_in(world.topology.deliveries_queue()).await,
        0
    );
}

#[tokio::test]
async fn of_letters_that_say_the_same_one_goes_round_and_none_beside_a_retry_by_hand() {
    let world = World::declared().await;
    let letters = open(&world);
    let publisher = world.publisher();
    // As two workers leave them that had a copy each of one delivery.
    for _ in 0..2 {
        give_up(&publisher, "twice", "w", Reason::AttemptsExhausted).await;
    }
    give_up(&publisher, "retried", "w", Reason::AttemptsExhausted).await;
    let retried = delivery("retried", "w");
    let log = RedisDeliveryLog::new(&letters.space.connection, &letters.space.keys);
    let organization = &retried.event.organization;
    // The sequence behind that of the letter, as of a retry by hand.
    let claimed = log.claim_retry(organization, &retried.id, 13).await;
    assert!(claimed.unwrap());

    let requeue = async || {
        let (all, options) = (Filter::default(), Options::default());
        letters
            .process(Action::Requeue, &all, &options, |_| {})
            .await
    };
    let progress = requeue().await;
    assert_eq!((progress.done, progress.kept), (1, 2));
    world.queue_has(world.topology.deliveries_queue(), 1).await;
    log.release_retry(organization, &retried.id, 13)
        .await
        .unwrap();
    let progress = requeue().await;
    assert_eq!((progress.done, progress.kept), (1, 1));
    world.queue_has(world.topology.deliveries_queue(), 2).await;
}
