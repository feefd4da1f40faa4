//! Messages that nothing tells apart: what follows from each is its own.

use std::collections::HashSet;
use std::time::Duration;

use prism_webhooks::domain::ids::DeliveryId;

use super::fixtures::{self, event, foreign, webhook};
use super::script::{Answer, Step, World};

fn failing() -> World {
    let world = World::new(vec![webhook("a")]);
    world.answer("a", Answer::Status(500));
    world
}

fn different(handed_over: &[(DeliveryId, u32)]) -> usize {
    let ids = handed_over.iter().map(|(id, _)| id);
    ids.collect::<HashSet<_>>().len()
}

#[tokio::test(start_paused = true)]
async fn what_follows_from_messages_alike_goes_on_under_different_ids() {
    let mut world = failing();
    for _ in 0..5 {
        world.publish(foreign("1"), false);
    }
    world.run().await;
    let handed_over = world.handed_over();
    assert_eq!((handed_over.len(), different(&handed_over)), (5, 5));
    let usual = fixtures::delivery("a", "1").id;
    assert!(
        handed_over.contains(&(usual, 2)),
        "the first has the usual id"
    );
}

#[tokio::test(start_paused = true)]
async fn bodies_that_differ_under_one_id_go_on_under_different_ids() {
    let mut world = failing();
    let mut other = event("1");
    other.body = br#"{"event":"request.completed","other":1}"#.as_slice().into();
    world.publish(event("1"), false);
    world.publish(other, false);
    world.run().await;
    assert_eq!(different(&world.handed_over()), 2);
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_goes_on_under_the_usual_id_whoever_claimed_it() {
    for claimed in [false, true] {
        let mut world = failing();
        let usual = fixtures::delivery("a", "1");
        if claimed {
            world.claim(&usual, 1);
        }
        world.publish(foreign("1"), true);
        // It came of none that is on its way by then.
        world.publish(foreign("1"), false);
        world.run().await;
        let handed_over = world.handed_over();
        assert_eq!((handed_over.len(), different(&handed_over)), (2, 2));
        assert!(
            handed_over.contains(&(usual.id.clone(), 2)),
            "claimed: {claimed}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_lives_one_life_with_what_was_handed_over_unheard() {
    for message in [event("1"), foreign("1")] {
        let mut world = World::new(vec![webhook("a")]);
        world.answer("a", Answer::FailsAfter(Duration::from_secs(2)));
        world.publish(message, true);
        // The retry of the hand-out before comes back while the attempt is repeated.
        let (sequence, retried) = (world.sequence.clone(), Duration::from_secs(1));
        tokio::spawn(async move {
            tokio::time::sleep(retried).await;
            *sequence.lock().unwrap() = 2;
        });
        world.run().await;
        let sequences: Vec<_> = world.handed_over().into_iter().map(|one| one.1).collect();
        assert_eq!(sequences, [2], "it is on record as settled already");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_was_never_handed_out_takes_over_nothing() {
    let mut world = failing();
    let usual = fixtures::delivery("a", "1");
    world.claim(&usual, 1);
    world.publish(foreign("1"), false);
    world.run().await;
    let handed_over = world.handed_over();
    assert_eq!(handed_over.len(), 1);
    assert_ne!(handed_over[0].0, usual.id);
}

#[tokio::test(start_paused = true)]
async fn a_success_alone_costs_no_mark() {
    let mut world = World::new(vec![webhook("a")]);
    world.publish(foreign("1"), false);
    let steps = world.run().await;
    assert_eq!(
        steps,
        [Step::sent("a", 1), Step::wrote("delivered"), Step::Acked(1)]
    );
    assert!(world.entry(0).mark.is_none());
}
