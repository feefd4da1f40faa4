//! An event that several webhooks want.

use std::time::Duration;

use prism_webhooks::engine::ports::Keep;

use super::fixtures::{self, event, webhook};
use super::script::{Answer, Step, World};

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
async fn a_part_of_a_split_leaves_its_sequence_when_delivered() {
    let mut world = World::new(vec![webhook("a")]);
    world.deliver(fixtures::delivery("a", "1"));
    world.run().await;
    assert_eq!(world.entry(0).delivery.unwrap().keep, Keep::Sequence);
}
