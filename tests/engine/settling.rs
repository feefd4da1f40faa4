//! What becomes of a message, step by step, and what is on record of it.

use std::time::Duration;

use prism_webhooks::domain::dead_letter::Reason;
use prism_webhooks::domain::delivery::Delivery;
use prism_webhooks::domain::delivery_state::DeliveryState;
use prism_webhooks::domain::own_fault::OwnFault;
use prism_webhooks::engine::ports::Keep;

use super::fixtures::{self, event, webhook};
use super::script::{Answer, Step, World};

#[tokio::test(start_paused = true)]
async fn a_delivered_event_is_recorded_and_then_acknowledged() {
    let mut world = World::new(vec![webhook("a")]);
    world.publish(event("1"), false);
    let steps = world.run().await;
    assert_eq!(
        steps,
        [Step::sent("a", 1), Step::wrote("delivered"), Step::Acked(1)]
    );
    let entry = world.entry(0);
    assert!(entry.mark.is_none(), "a single delivery needs no mark");
    assert!(
        entry.delivery.is_none(),
        "a first success leaves no record of the delivery"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_recorded_before_its_retry_is_handed_over_and_settled_afterwards() {
    let mut world = World::new(vec![webhook("a")]);
    world.answer("a", Answer::Status(500));
    world.publish(event("1"), false);
    let steps = world.run().await;
    assert_eq!(
        steps,
        [
            Step::sent("a", 1),
            Step::wrote("rejected"),
            Step::delayed("a", 2),
            Step::wrote("no attempt"),
            Step::Acked(1)
        ]
    );
    let first = world.entry(0);
    assert!(first.attempt.unwrap().next_attempt_at.is_some());
    assert!(first.delivery.is_none() && first.mark.is_none());
    let record = world.entry(1).delivery.unwrap();
    assert_eq!((record.keep, record.delivery.sequence), (Keep::Whole, 1));
    assert!(matches!(record.state, DeliveryState::Waiting(_)));
}

#[tokio::test(start_paused = true)]
async fn gone_is_recorded_dead_lettered_told_and_at_last_disabled() {
    let mut world = World::new(vec![webhook("a")]);
    world.answer("a", Answer::Status(410));
    world.publish(event("1"), false);
    assert_eq!(
        world.run().await,
        [
            Step::sent("a", 1),
            Step::wrote("gone"),
            Step::Dead(Reason::WebhookDisabled),
            Step::wrote("no attempt"),
            Step::Published("webhook.disabled".to_owned()),
            Step::Disabled("a".to_owned()),
            Step::Acked(1),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_wait_is_kept_before_the_attempt() {
    let mut world = World::new(vec![webhook("a")]);
    let mut delivery = fixtures::delivery("a", "1");
    delivery.remaining_wait = Some(Duration::from_millis(2500));
    world.deliver(delivery);
    let steps = world.run().await;
    assert_eq!(
        steps,
        [
            Step::Deferred("a".to_owned(), 1, 2),
            Step::wrote("no attempt"),
            Step::Acked(1)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_delivery_to_a_webhook_that_is_gone_is_given_up_without_an_attempt() {
    let mut world = World::new(vec![]);
    world.deliver(fixtures::delivery("a", "1"));
    assert_eq!(
        world.run().await,
        [
            Step::Dead(Reason::WebhookDeleted),
            Step::wrote("no attempt"),
            Step::Acked(1)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_for_a_webhook_that_cannot_be_used_is_kept_as_a_dead_letter() {
    let mut world = World::with_unusable(vec![webhook("a")], "broken", "request.completed");
    world.publish(event("1"), false);
    let steps = world.run().await;
    assert!(
        steps.contains(&Step::Dead(Reason::WebhookInvalid)),
        "{steps:?}"
    );
    assert!(steps.contains(&Step::sent("a", 1)), "{steps:?}");
}

#[tokio::test(start_paused = true)]
async fn an_event_for_a_webhook_whose_key_is_lacking_is_put_off_without_an_attempt() {
    let mut world = World::lacking_key(vec![webhook("a")], "sealed", "request.completed");
    world.publish(event("1"), false);
    let steps = world.run().await;
    let deferred = Step::Deferred("sealed".to_owned(), 1, 2);
    assert!(steps.contains(&deferred), "{steps:?}");
    assert!(steps.contains(&Step::sent("a", 1)), "{steps:?}");
    assert!(
        !steps.iter().any(|step| matches!(step, Step::Dead(_))),
        "{steps:?}"
    );
    assert_eq!(world.faults.current(), Some(OwnFault::SecretKey));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_whose_webhook_cannot_be_opened_waits_for_the_key() {
    let mut world = World::lacking_key(vec![], "sealed", "request.completed");
    let delivery = fixtures::delivery("sealed", "1");
    world.deliver(delivery.clone());
    world.deliver(Delivery {
        remaining_wait: Some(Duration::from_secs(60)),
        ..fixtures::delivery("sealed", "2")
    });
    let steps = world.run().await;
    for seconds in [2, 60] {
        let deferred = Step::Deferred("sealed".to_owned(), delivery.attempt, seconds);
        assert!(steps.contains(&deferred), "{steps:?}");
    }
    assert!(
        !steps.iter().any(|step| matches!(step, Step::Dead(_))),
        "{steps:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_no_event_becomes_a_dead_letter() {
    let mut world = World::new(vec![webhook("a")]);
    let mut raw = event("1");
    raw.body = "not json".into();
    world.publish(raw, false);
    assert_eq!(
        world.run().await,
        [Step::Dead(Reason::InvalidEvent), Step::Acked(1)]
    );
}
