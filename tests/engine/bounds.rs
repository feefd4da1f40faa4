//! Who has to wait while others have all that they may have.

use std::collections::HashSet;
use std::time::Duration;

use super::fixtures::{self, event, webhook};
use super::script::{Answer, Step, World};

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
