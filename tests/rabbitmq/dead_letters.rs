//! Looking through the dead letters and moving them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prism_webhooks::domain::dead_letter::{Content, DeadLetter, Reason};
use prism_webhooks::domain::delivery::{LastAttempt, Trigger};
use prism_webhooks::engine::ports::{FollowUp, Message};
use prism_webhooks::rabbitmq::dead_letters::{Action, DeadLetters, Filter, Options};
use prism_webhooks::rabbitmq::publisher::Publisher;

use super::world::{
    World, delivery, hand_over, next_delivery, next_event, publish_events, raw_event, unstamped,
};

async fn give_up(publisher: &Publisher, id: &str, webhook: &str, reason: Reason) {
    let mut delivery = delivery(id, webhook);
    delivery.attempt = 10;
    delivery.sequence = 12;
    delivery.last = Some(LastAttempt {
        outcome: "http-error".to_owned(),
        status: Some(500),
    });
    let letter = DeadLetter {
        reason,
        detail: format!("{id} was given up"),
        content: Content::Delivery(delivery),
    };
    hand_over(publisher, FollowUp::DeadLetter(letter)).await;
}

async fn open(world: &World) -> DeadLetters {
    DeadLetters::connect(&world.server, Arc::clone(&world.topology))
        .await
        .unwrap()
}

fn of(webhook: &str) -> Filter {
    Filter {
        webhook: Some(webhook.to_owned()),
        ..Filter::default()
    }
}

fn ids(found: &prism_webhooks::rabbitmq::dead_letters::Found) -> Vec<&str> {
    found
        .letters
        .iter()
        .map(|letter| letter.event.as_deref().unwrap())
        .collect()
}

#[tokio::test]
async fn listing_shows_what_is_known_in_order_and_leaves_everything_as_it_was() {
    let world = World::declared().await;
    let publisher = world.publisher();
    for id in 0..20 {
        let webhook = if id % 2 == 0 { "even" } else { "odd" };
        give_up(
            &publisher,
            &format!("e{id}"),
            webhook,
            Reason::AttemptsExhausted,
        )
        .await;
    }
    let letter = DeadLetter {
        reason: Reason::InvalidEvent,
        detail: "the body is not UTF-8".to_owned(),
        content: Content::Message(raw_event("bad")),
    };
    hand_over(&publisher, FollowUp::DeadLetter(letter)).await;

    let dead_letters = open(&world).await;
    // More often than any delivery limit that a broker sets by itself.
    for _ in 0..30 {
        let found = dead_letters.list(&Filter::default(), 100).await.unwrap();
        assert!(found.complete);
        assert_eq!(found.looked_at, 21);
        let expected: Vec<String> = (0..20)
            .map(|id| format!("e{id}"))
            .chain(["bad".to_owned()])
            .collect();
        assert_eq!(ids(&found), expected);
    }
    assert_eq!(dead_letters.count().await.unwrap(), 21);

    let found = dead_letters.list(&of("odd"), 3).await.unwrap();
    assert_eq!(ids(&found), ["e1", "e3", "e5"]);
    assert!(!found.complete);
    let letter = &found.letters[0];
    assert_eq!(letter.reason, Some(Reason::AttemptsExhausted));
    assert_eq!(letter.detail.as_deref(), Some("e1 was given up"));
    assert_eq!(letter.organization.as_deref(), Some("acme"));
    assert_eq!(letter.event_type.as_deref(), Some("request.completed"));
    assert_eq!(
        letter.delivery.as_deref(),
        Some(delivery("e1", "odd").id.as_str())
    );
    assert_eq!(letter.attempts, Some(10));
    assert_eq!(letter.last_outcome.as_deref(), Some("http-error"));
    assert_eq!(letter.last_status, Some(500));
    assert_eq!(letter.size, delivery("e1", "odd").event.body.len());
    assert!(letter.dead_at.is_some());

    let invalid = Filter {
        reason: Some(Reason::InvalidEvent),
        ..Filter::default()
    };
    let found = dead_letters.list(&invalid, 100).await.unwrap();
    assert_eq!(ids(&found), ["bad"]);
    assert!(found.complete);
    dead_letters.close().await;
}

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
    let dead_letters = open(&world).await;
    let dry = Options {
        dry_run: true,
        ..Options::default()
    };
    let progress = dead_letters
        .process(Action::Requeue, &of("again"), &dry, |_| {})
        .await
        .unwrap();
    assert_eq!((progress.done, progress.kept), (100, 200));
    assert_eq!(progress.by_reason["webhook-disabled"], 100);
    assert_eq!(progress.by_webhook["again"], 100);
    assert_eq!(dead_letters.count().await.unwrap(), 300);

    let mut reports = 0;
    let progress = dead_letters
        .process(Action::Requeue, &of("again"), &Options::default(), |_| {
            reports += 1
        })
        .await
        .unwrap();
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
    let found = dead_letters.list(&Filter::default(), 1_000).await.unwrap();
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
    dead_letters.close().await;
}

#[tokio::test]
async fn a_requeue_keeps_to_its_limit_and_rate() {
    let world = World::declared().await;
    let publisher = world.publisher();
    for id in 0..10 {
        give_up(
            &publisher,
            &format!("e{id}"),
            "w",
            Reason::AttemptsExhausted,
        )
        .await;
    }
    let dead_letters = open(&world).await;
    let options = Options {
        limit: Some(4),
        rate: Some(10.0),
        ..Options::default()
    };
    let start = Instant::now();
    let progress = dead_letters
        .process(Action::Requeue, &Filter::default(), &options, |_| {})
        .await
        .unwrap();
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
async fn what_waits_for_its_turn_at_a_low_rate_is_seen_by_others() {
    let world = World::declared().await;
    let publisher = world.publisher();
    for id in 0..10 {
        let id = format!("e{id}");
        give_up(&publisher, &id, "w", Reason::AttemptsExhausted).await;
    }
    let (dead_letters, others) = (open(&world).await, open(&world).await);
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
        // All but the one that is in hand.
        let queue = world.topology.dead_letters_queue();
        world.queue_has(queue, 8).await;
        let seen = others.list(&Filter::default(), 100).await.unwrap();
        assert_eq!(seen.letters.len(), 8);
        options.stop.cancel();
    };
    let (progress, ()) = tokio::join!(passing, watching);
    let progress = progress.unwrap();
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
    let dead_letters = open(&world).await;
    let progress = dead_letters
        .process(
            Action::Requeue,
            &Filter::default(),
            &Options::default(),
            |_| {},
        )
        .await
        .unwrap();
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
    let dead_letters = open(&world).await;
    let progress = dead_letters
        .process(Action::Purge, &of("gone"), &Options::default(), |_| {})
        .await
        .unwrap();
    assert_eq!((progress.done, progress.kept), (4, 6));
    world
        .queue_has(world.topology.dead_letters_queue(), 6)
        .await;
    assert_eq!(
        world.messages_in(world.topology.deliveries_queue()).await,
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_never_settled_becomes_poison_and_can_be_requeued() {
    let world = World::declared_with_delivery_limit(3).await;
    let publisher = world.publisher();
    publish_events(&publisher, 1).await;
    // A delivery that has been through a delay queue carries the broker's note of that as well.
    let delayed = FollowUp::Delay(delivery("d", "w"), Duration::from_secs(1));
    hand_over(&publisher, delayed).await;
    let (mut source, handle) = world.source().await;
    for _ in 0..4 {
        drop(next_event(&mut source).await);
    }
    for _ in 0..4 {
        drop(next_delivery(&mut source).await);
    }
    hand_over(&publisher, FollowUp::Part(delivery("part", "w"))).await;
    for _ in 0..4 {
        drop(super::world::soon(source.parts.recv()).await.unwrap());
    }
    world
        .queue_has(world.topology.dead_letters_queue(), 3)
        .await;

    let dead_letters = open(&world).await;
    let poison = Filter {
        reason: Some(Reason::Poison),
        ..Filter::default()
    };
    // A pass that keeps them must not make anything else of them.
    dead_letters
        .process(
            Action::Requeue,
            &of("somebody else"),
            &Options::default(),
            |_| {},
        )
        .await
        .unwrap();
    world
        .queue_has(world.topology.dead_letters_queue(), 3)
        .await;
    let found = dead_letters.list(&poison, 10).await.unwrap();
    assert_eq!(found.letters.len(), 3, "{found:?}");
    for letter in &found.letters {
        assert_eq!(letter.event_type.as_deref(), Some("request.completed"));
        assert!(letter.dead_at.is_some());
        assert!(letter.detail.as_ref().unwrap().contains("again and again"));
    }
    let progress = dead_letters
        .process(Action::Requeue, &poison, &Options::default(), |_| {})
        .await
        .unwrap();
    assert_eq!(progress.done, 3);
    let event = next_event(&mut source).await;
    match &event.message {
        Message::Event(raw) => assert_eq!(unstamped(raw), raw_event("e0")),
        other => panic!("{other:?}"),
    }
    event.receipt.ack(None, None);
    // In whichever order they became dead letters.
    let mut again = Vec::new();
    for _ in 0..2 {
        let incoming = next_delivery(&mut source).await;
        match &incoming.message {
            Message::Delivery(read) => again.push(read.clone()),
            other => panic!("{other:?}"),
        }
        incoming.receipt.ack(None, None);
    }
    again.sort_by_key(|delivery| delivery.event.id.to_string());
    let requeued = ["d", "part"].map(|id| delivery(id, "w").requeued());
    assert_eq!(again, requeued);
    handle.close().await;
    assert_eq!(dead_letters.count().await.unwrap(), 0);
}
