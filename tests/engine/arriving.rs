//! Between the source and admission nobody knows yet how many deliveries events make: few may be
//! there, and what waits for the broker may keep no place of theirs.

use std::time::Duration;

use super::fixtures::{event, event_of, webhook, webhook_for};
use super::script::{Step, World};

const ANOTHER: &str = "budget.exceeded";
/// Less than what is in flight may take once the source has ended.
const LONG: Duration = Duration::from_secs(20);

fn sent(steps: &[Step]) -> usize {
    let sent = |step: &&Step| matches!(step, Step::Sent(..));
    steps.iter().filter(sent).count()
}

/// Where the first request stands among the steps, and the first dead letter.
fn first_sent_and_dead(steps: &[Step]) -> (Option<usize>, Option<usize>) {
    let sent = |step: &Step| matches!(step, Step::Sent(..));
    let dead = |step: &Step| matches!(step, Step::Dead(..));
    (steps.iter().position(sent), steps.iter().position(dead))
}

#[tokio::test(start_paused = true)]
async fn events_whose_webhooks_are_only_looked_up_are_few() {
    let mut world = World::new((0..20).map(|n| webhook(&format!("w{n}"))).collect());
    world.slow_lookups(Duration::from_secs(1));
    for n in 0..100 {
        world.publish(event(&n.to_string()), false);
    }
    assert_eq!(sent(&world.run().await), 2000);
    assert_eq!(world.most_under_way().0, 32);
}

#[tokio::test(start_paused = true)]
async fn of_many_large_fan_outs_only_a_few_are_split_at_once() {
    let mut world = World::new((0..300).map(|n| webhook(&format!("w{n}"))).collect());
    world.slow_handovers(Duration::from_secs(1));
    for n in 0..20 {
        world.publish(event(&n.to_string()), false);
    }
    let steps = world.run().await;
    let enqueued = |step: &&Step| matches!(step, Step::Enqueued(..));
    assert_eq!(steps.iter().filter(enqueued).count(), 6000);
    assert_eq!(world.most_under_way().1, 4 * 256);
}

#[tokio::test(start_paused = true)]
async fn large_fan_outs_that_wait_for_the_broker_hold_up_no_other_event() {
    let many = (0..129).map(|n| webhook_for("request.completed", &format!("w{n}")));
    let mut world = World::new(many.chain([webhook_for(ANOTHER, "one")]).collect());
    world.slow_handovers(LONG);
    for n in 0..80 {
        world.publish(event(&n.to_string()), false);
    }
    world.publish(event_of(ANOTHER, "small"), false);
    let steps = world.run().await;
    let enqueued = |step: &Step| matches!(step, Step::Enqueued(..));
    let (sent, _) = first_sent_and_dead(&steps);
    assert!(sent.is_some() && sent < steps.iter().position(enqueued));
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_no_events_and_wait_for_the_broker_hold_up_no_event() {
    let mut world = World::new(vec![webhook("a")]);
    world.slow_handovers(LONG);
    for n in 0..80 {
        let mut wrong = event(&n.to_string());
        wrong.body = b"no json".as_slice().into();
        world.publish(wrong, false);
    }
    world.publish(event("right"), false);
    let steps = world.run().await;
    let (sent, dead) = first_sent_and_dead(&steps);
    assert!(sent.is_some() && sent < dead, "{steps:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_for_a_webhook_that_cannot_be_used_holds_up_no_other_event() {
    let mut world = World::with_unusable(vec![webhook("a")], "broken", ANOTHER);
    world.slow_handovers(LONG);
    for n in 0..80 {
        world.publish(event_of(ANOTHER, &n.to_string()), false);
    }
    world.publish(event("another"), false);
    let steps = world.run().await;
    let (sent, dead) = first_sent_and_dead(&steps);
    assert!(sent.is_some() && sent < dead, "{steps:?}");
}
