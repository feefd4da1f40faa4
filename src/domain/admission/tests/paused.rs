//! Receivers that asked another worker to be left alone.

use super::super::{Kind, Shown, Why};
use super::world::{BOUNDS, ENDPOINT, MS, SECOND, World};

const NAME: &str = "a/throttled";

#[test]
fn a_receiver_that_asked_another_worker_is_left_alone_whether_it_is_known_or_not() {
    for known in [true, false] {
        let mut world = World::new(BOUNDS);
        if known {
            world.ask(NAME, Kind::Event);
            world.run(10 * MS, |_| Some((MS, Shown::Delivered)));
        }
        let before = world.begun;
        world.hear(NAME, ENDPOINT, 20 * SECOND);
        world.ask(NAME, Kind::Event);
        assert_eq!(world.begun, before, "known: {known}");
        let (_, deferral) = world.later.last().unwrap();
        assert!(deferral.why == Why::Asked && deferral.delay >= 20 * SECOND);
        assert_eq!(world.held(NAME).unwrap().why, Why::Asked);
        world.pass(20 * SECOND);
        world.ask(NAME, Kind::Event);
        world.ask(NAME, Kind::Event);
        assert_eq!(world.begun, before + 1, "a probe alone");
    }
}

#[test]
fn what_waits_in_line_is_put_off_when_another_worker_tells() {
    let mut world = World::new(BOUNDS);
    for _ in 0..10 {
        world.ask(NAME, Kind::Event);
    }
    let open = world.open_to(NAME);
    world.hear(NAME, ENDPOINT, 20 * SECOND);
    assert_eq!((world.deferred(NAME), world.waiting()), (10 - open, 0));
}

#[test]
fn another_endpoint_than_the_one_that_asked_is_not_left_alone() {
    let mut world = World::new(BOUNDS);
    world.hear(NAME, "https://example.com/before", 3600 * SECOND);
    world.ask(NAME, Kind::Event);
    world.hear(NAME, "https://example.com/before", 3600 * SECOND);
    world.ask(NAME, Kind::Event);
    assert_eq!((world.begun, world.deferred(NAME)), (2, 0));
}

#[test]
fn the_other_workers_are_told_once_and_again_when_it_asks_for_longer() {
    let mut world = World::new(BOUNDS);
    let told = |world: &mut World| {
        let told: Vec<_> = world.admission.pauses().map(|pause| pause.wait).collect();
        told
    };
    for _ in 0..4 {
        world.ask(NAME, Kind::Event);
    }
    for _ in 0..3 {
        world.pass(10 * MS);
        world.end(0, Shown::Asked(20 * SECOND));
    }
    assert_eq!(told(&mut world), [20 * SECOND]);
    world.end(0, Shown::Asked(60 * SECOND));
    assert_eq!(told(&mut world), [60 * SECOND]);
    // Neither what was heard is told, nor what everybody has heard.
    world.hear(NAME, ENDPOINT, 300 * SECOND);
    world.pass(SECOND);
    world.ask_for(NAME, Kind::Message, true);
    world.end(0, Shown::Asked(100 * SECOND));
    assert!(told(&mut world).is_empty());
}
