//! What comes again: what was settled of it is not repeated, and what is new is not taken for it.

use std::time::Duration;

use prism_webhooks::domain::ids::WebhookId;
use prism_webhooks::engine::ports::Keep;

use super::fixtures::{self, event, webhook};
use super::script::{Answer, Step, World};

#[tokio::test(start_paused = true)]
async fn what_was_settled_of_a_redelivered_fan_out_is_not_sent_again() {
    let mut world = World::new(vec![webhook("a"), webhook("b")]);
    world
        .settled
        .lock()
        .unwrap()
        .insert(WebhookId::new("a").unwrap());
    world.publish(event("1"), true);
    let steps = world.run().await;
    assert_eq!(steps[0], Step::sent("b", 1));
    assert!(!steps.contains(&Step::sent("a", 1)));
}

#[tokio::test(start_paused = true)]
async fn a_redelivered_event_whose_first_attempt_is_on_record_as_failed_is_not_sent_again() {
    let mut world = World::new(vec![webhook("a")]);
    *world.sequence.lock().unwrap() = 1;
    world.publish(event("1"), true);
    assert_eq!(world.run().await, [Step::Acked(1)]);
}

#[tokio::test(start_paused = true)]
async fn what_a_redelivered_event_delivers_is_known_to_messages_made_of_it_before() {
    let mut world = World::new(vec![webhook("a")]);
    world.publish(event("1"), true);
    world.run().await;
    let record = world.entry(0).delivery.unwrap();
    assert_eq!((record.keep, record.delivery.sequence), (Keep::Sequence, 1));
}

#[tokio::test(start_paused = true)]
async fn an_event_published_again_is_not_taken_for_what_came_of_it_before() {
    let mut world = World::new(vec![webhook("a")]);
    *world.sequence.lock().unwrap() = 4;
    world.answer("a", Answer::Status(500));
    world.publish(event("1"), false);
    world.run().await;
    assert_eq!(world.entry(1).delivery.unwrap().delivery.sequence, 5);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_event_does_not_ask_for_marks() {
    let mut world = World::new(vec![webhook("a")]);
    world
        .settled
        .lock()
        .unwrap()
        .insert(WebhookId::new("a").unwrap());
    world.publish(event("1"), false);
    assert!(world.run().await.contains(&Step::sent("a", 1)));
}

#[tokio::test(start_paused = true)]
async fn a_message_of_a_settled_sequence_is_skipped() {
    let mut world = World::new(vec![webhook("a")]);
    let delivery = fixtures::delivery("a", "1");
    *world.sequence.lock().unwrap() = delivery.sequence;
    world.deliver(delivery);
    assert_eq!(world.run().await, [Step::Acked(1)]);
}

#[tokio::test(start_paused = true)]
async fn of_two_messages_of_one_delivery_that_come_at_once_the_second_is_skipped() {
    let mut world = World::new(vec![webhook("a")]);
    world.answer("a", Answer::After(Duration::from_secs(3)));
    let delivery = fixtures::delivery("a", "1");
    world.deliver(delivery.clone());
    world.deliver(delivery);
    let steps = world.run().await;
    let sent = steps.iter().filter(|step| **step == Step::sent("a", 1));
    assert_eq!(sent.count(), 1, "{steps:?}");
    assert!(steps.contains(&Step::Acked(2)), "{steps:?}");
}
