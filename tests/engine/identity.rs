//! Messages that nothing tells apart: what follows from each is its own.

use std::collections::HashSet;
use std::time::Duration;

use prism_webhooks::domain::identity::HandOut;
use prism_webhooks::domain::ids::{DeliveryId, WebhookId};

use super::script::{self, Answer, Step, World, event, foreign, webhook};

fn failing() -> World {
    let world = World::new(vec![webhook("a")]);
    world.answer("a", Answer::Status(500));
    world
}

fn different(ids: &[DeliveryId]) -> usize {
    ids.iter().collect::<HashSet<_>>().len()
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
    let usual = script::delivery("a", "1").id;
    assert!(handed_over.contains(&usual), "the first has the usual id");
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
async fn a_redelivery_goes_on_where_the_hand_out_before_it_died() {
    let mut world = failing();
    let died = HandOut { id: 1, returns: 0 };
    world.claim(&script::delivery("a", "1"), died);
    world.publish(foreign("1"), true);
    world.run().await;
    assert_eq!(world.handed_over(), [script::delivery("a", "1").id]);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_never_handed_out_takes_over_nothing() {
    let mut world = failing();
    let others = HandOut { id: 1, returns: 0 };
    world.claim(&script::delivery("a", "1"), others);
    world.publish(foreign("1"), false);
    let before = tokio::time::Instant::now();
    world.run().await;
    assert_ne!(world.handed_over(), [script::delivery("a", "1").id]);
    assert!(
        before.elapsed() < Duration::from_secs(1),
        "and waits for nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_over_is_marked_before_the_acknowledgement_and_unmarked_after_it() {
    let mut world = failing();
    world.publish(foreign("1"), false);
    let steps = world.run().await;
    assert_eq!(steps.last(), Some(&Step::Acked(1)));
    let mark = world.entry(1).mark.expect("with the record");
    let unmark = world.entry(2).unmark.expect("once it is proven");
    assert_eq!(
        (mark.hand_out, mark.message),
        (unmark.hand_out, unmark.message)
    );
    assert_eq!(unmark.webhooks, [WebhookId::new("a").unwrap()]);
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
