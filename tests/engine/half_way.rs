//! What stops half way, by a loss, a fault of our own, a panic or an order, is left to whoever
//! comes next.

use std::time::Duration;

use prism_webhooks::domain::own_fault::OwnFault;

use super::fixtures::{self, event, webhook};
use super::script::{Answer, Step, World};

#[tokio::test(start_paused = true)]
async fn a_message_whose_source_has_lost_it_begins_nothing() {
    let mut world = World::new(vec![webhook("a")]);
    world.lose_source();
    world.publish(event("1"), false);
    assert_eq!(world.run().await, [Step::Returned(1)]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_handed_over_is_on_record_and_returned() {
    let mut world = World::new(vec![webhook("a")]);
    world.answer("a", Answer::Status(500));
    world.refuse_handover();
    world.publish(event("1"), false);
    assert_eq!(
        world.run().await,
        [
            Step::sent("a", 1),
            Step::wrote("rejected"),
            Step::Returned(1)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_job_returns_its_message_and_hurts_no_other() {
    let mut world = World::new(vec![webhook("a"), webhook("b")]);
    world.answer("a", Answer::Panic);
    world.publish(event("1"), false);
    world.deliver(fixtures::delivery("b", "2"));
    let steps = world.run().await;
    assert!(steps.contains(&Step::Returned(1)), "{steps:?}");
    assert!(steps.contains(&Step::Acked(2)), "{steps:?}");
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_finishes_what_is_in_flight_and_returns_the_rest() {
    let mut world = World::new(vec![webhook("a")]);
    world.settings.bounds.webhook_max_in_flight = 1;
    world.answer("a", Answer::After(Duration::from_secs(5)));
    world.publish(event("1"), false);
    world.publish(event("2"), false);
    let steps = world.run_and_stop_after(Duration::from_secs(1)).await;
    assert!(steps.contains(&Step::Acked(1)), "{steps:?}");
    assert!(steps.contains(&Step::Returned(2)), "{steps:?}");
}

#[tokio::test(start_paused = true)]
async fn what_outlasts_the_grace_period_is_returned() {
    let mut world = World::new(vec![webhook("a")]);
    world.answer("a", Answer::After(Duration::from_secs(1000)));
    world.publish(event("1"), false);
    let steps = world.run_and_stop_after(Duration::from_secs(1)).await;
    assert_eq!(steps, [Step::sent("a", 1), Step::Returned(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_our_own_puts_the_delivery_off_and_is_no_attempt() {
    let mut world = World::new(vec![webhook("a")]);
    world.answer("a", Answer::OwnFault(1));
    world.publish(event("1"), false);
    let steps = world.run().await;
    assert_eq!(
        steps,
        [
            Step::sent("a", 1),
            Step::Deferred("a".to_owned(), 1, 2),
            Step::Acked(1)
        ],
        "nothing is on record, and the attempt's number is the same"
    );
    assert_eq!(world.faults.current(), Some(OwnFault::Handles));
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_our_own_is_over_once_requests_are_made_again() {
    let mut world = World::new(vec![webhook("a")]);
    world.answer("a", Answer::OwnFault(1));
    world.publish(event("1"), false);
    world.run().await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(world.faults.current().is_some(), "nothing was sent since");
    world.publish(event("2"), false);
    world.run().await;
    assert_eq!(world.faults.current(), None);
}

#[tokio::test(start_paused = true)]
async fn that_the_record_takes_nothing_is_said_while_a_message_waits_for_it() {
    let mut world = World::new(vec![webhook("a")]);
    let faults = world.faults.clone();
    world.record_is_away_for(Duration::from_secs(5));
    world.publish(event("1"), false);
    let asking = tokio::spawn(async move {
        let mut said = Vec::new();
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            said.push(faults.standstill().is_some());
        }
        said
    });
    let steps = world.run_and_stop_after(Duration::from_secs(10)).await;
    assert!(steps.contains(&Step::sent("a", 1)), "{steps:?}");
    assert_eq!(asking.await.unwrap(), [false, false, true, true]);
    assert_eq!(world.faults.standstill(), None);
}
