//! The engine on a paused clock with scripted ports: what is settled, in which order, and what is
//! left alone when something stops half way.

mod arriving;
mod fixtures;
mod identity;
pub mod script;

use std::collections::HashSet;
use std::time::Duration;

use prism_webhooks::domain::dead_letter::Reason;
use prism_webhooks::domain::delivery_state::DeliveryState;
use prism_webhooks::domain::ids::WebhookId;
use prism_webhooks::domain::own_fault::OwnFault;
use prism_webhooks::engine::ports::Keep;

use fixtures::{event, webhook};
use script::{Answer, Step, World};

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
async fn a_storm_of_retries_leaves_room_for_fresh_events() {
    let mut world = World::new(vec![webhook("slow"), webhook("quick")]);
    world.settings.bounds.quick = 4;
    world.answer("slow", Answer::After(Duration::from_secs(10)));
    for n in 0..20 {
        world.deliver(fixtures::delivery("slow", &format!("retry-{n}")));
    }
    let mut fresh = event("fresh");
    fresh.routing_key = "budget.exceeded".to_owned();
    fresh.body = br#"{"event":"budget.exceeded"}"#.as_slice().into();
    world.publish(fresh, false);
    let steps = world.run().await;
    let at = |step: &Step| steps.iter().position(|one| one == step).unwrap();
    let first_retry_done = at(&Step::wrote("delivered"));
    assert!(at(&Step::sent("quick", 1)) < first_retry_done, "{steps:?}");
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
async fn a_message_whose_source_has_lost_it_begins_nothing() {
    let mut world = World::new(vec![webhook("a")]);
    world.lose_source();
    world.publish(event("1"), false);
    assert_eq!(world.run().await, [Step::Returned(1)]);
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
async fn siblings_are_marked_as_they_are_settled_the_last_too() {
    let mut world = World::new(vec![webhook("a"), webhook("b"), webhook("c")]);
    world.answer("b", Answer::After(Duration::from_secs(3)));
    world.answer("c", Answer::After(Duration::from_secs(1)));
    world.publish(event("1"), false);
    world.run().await;
    let marked = |index: usize| {
        let mark = world.entry(index).mark;
        mark.map(|mark| {
            mark.webhooks
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(marked(0), Some(vec!["a".to_owned()]));
    assert_eq!(marked(1), Some(vec!["c".to_owned()]));
    // Its acknowledgement may be on its way when the worker dies.
    assert_eq!(marked(2), Some(vec!["b".to_owned()]));
    assert!(world.entry(3).unmark.is_some(), "the marks have served");
}

#[tokio::test(start_paused = true)]
async fn a_worker_with_one_place_still_finishes_a_fan_out() {
    let mut world = World::new((0..10).map(|n| webhook(&format!("w{n}"))).collect());
    world.settings.bounds.quick = 1;
    world.publish(event("1"), false);
    let steps = world.run().await;
    assert_eq!(
        steps
            .iter()
            .filter(|step| matches!(step, Step::Sent(..)))
            .count(),
        10
    );
    assert!(steps.contains(&Step::Acked(1)));
}

#[tokio::test(start_paused = true)]
async fn a_fan_out_that_is_larger_than_it_may_be_is_split_into_messages() {
    let most = fixtures::settings().fanout_inline_max;
    for (webhooks, split) in [(most, 0), (most + 1, most + 1)] {
        let mut world = World::new((0..webhooks).map(|n| webhook(&format!("w{n}"))).collect());
        world.publish(event("1"), false);
        let steps = world.run().await;
        let enqueued = |step: &&Step| matches!(step, Step::Enqueued(..));
        assert_eq!(steps.iter().filter(enqueued).count(), split);
        let sent = |step: &&Step| matches!(step, Step::Sent(..));
        assert_eq!(steps.iter().filter(sent).count(), webhooks - split);
        assert_eq!(steps.last(), Some(&Step::Acked(1)));
    }
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

#[tokio::test(start_paused = true)]
async fn a_part_of_a_split_leaves_its_sequence_when_delivered() {
    let mut world = World::new(vec![webhook("a")]);
    world.deliver(fixtures::delivery("a", "1"));
    world.run().await;
    assert_eq!(world.entry(0).delivery.unwrap().keep, Keep::Sequence);
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
async fn over_the_bound_of_a_webhook_deliveries_go_to_the_delay_queues_and_others_go_on() {
    let mut world = World::new(vec![webhook("slow"), webhook("quick")]);
    world.settings.bounds.webhook_max_in_flight = 2;
    world.settings.grace = Duration::from_secs(600);
    world.answer("slow", Answer::After(Duration::from_secs(10)));
    for n in 0..40 {
        world.publish(event(&n.to_string()), false);
    }
    let steps = world.run().await;
    let slow: HashSet<_> = steps
        .iter()
        .enumerate()
        .filter_map(|(at, step)| (*step == Step::sent("slow", 1)).then_some(at))
        .collect();
    let put_off = steps
        .iter()
        .filter(|step| matches!(step, Step::Deferred(to, 1, _) if to == "slow"))
        .count();
    let quick = steps
        .iter()
        .filter(|step| **step == Step::sent("quick", 1))
        .count();
    assert_eq!(quick, 40);
    assert_eq!(slow.len() + put_off, 40, "each is sent or put off");
    // Two every ten seconds: what it takes in three quarters of a minute may wait for it.
    assert!(put_off >= 28, "{put_off} were put off");
    assert!(
        steps
            .iter()
            .filter(|step| matches!(step, Step::Acked(_)))
            .count()
            == 40
    );
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
