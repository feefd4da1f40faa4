//! What the broker itself gives up, after it was handed out too often.

use std::time::Duration;

use prism_webhooks::domain::dead_letter::Reason;
use prism_webhooks::engine::ports::{FollowUp, Message};
use prism_webhooks::store::dead_letters::{Action, Filter, Options};

use super::{of, open};
use crate::rabbitmq::world::{
    World, delivery, hand_over, next_delivery, next_event, publish_events, raw_event, soon,
    unstamped,
};

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
        drop(soon(source.parts.recv()).await.unwrap());
    }
    world
        .queue_has(world.topology.dead_letters_queue(), 3)
        .await;

    let dead_letters = open(&world);
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
        .await;
    world
        .queue_has(world.topology.dead_letters_queue(), 3)
        .await;
    let found = dead_letters.list(&poison, 10).await;
    assert_eq!(found.letters.len(), 3, "{found:?}");
    for letter in &found.letters {
        assert_eq!(letter.event_type.as_deref(), Some("request.completed"));
        assert!(letter.dead_at.is_some());
        assert!(letter.detail.as_ref().unwrap().contains("again and again"));
    }
    let progress = dead_letters
        .process(Action::Requeue, &poison, &Options::default(), |_| {})
        .await;
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
    assert_eq!(
        world.messages_in(world.topology.dead_letters_queue()).await,
        0
    );
}
