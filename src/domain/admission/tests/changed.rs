//! Webhooks that change while something of them waits, is open, or is put off.

use super::super::{Bounds, JobKind, Shown, Why};
use super::world::{BOUNDS, ENDPOINT, MS, OTHER_ENDPOINT, SECOND, World};
use crate::domain::held_back::{HeldBack, Phase};

const NAME: &str = "a/changed";

/// How many begin within `seconds`, of receivers that take 20 ms.
fn begun_within(world: &mut World, seconds: u32) -> usize {
    let before = world.begun;
    world.run(seconds * SECOND, |_| Some((20 * MS, Shown::Delivered)));
    world.begun - before
}

#[test]
fn a_rate_limit_holds_for_what_waits_already() {
    for before in [None, Some("20/s")] {
        let mut world = World::new(BOUNDS);
        for _ in 0..600 {
            world.ask_limited(NAME, before);
        }
        world.run(100 * MS, |_| Some((20 * MS, Shown::Delivered)));
        world.changed(NAME, ENDPOINT, Some("2/s"));
        let begun = begun_within(&mut world, 10);
        assert!((19..=22).contains(&begun), "{before:?}: {begun} in 10 s");
        assert!(world.waiting() <= 90, "no more than a line may be long");
        assert_eq!(world.held(NAME).unwrap().why, Why::Rate);
    }
}

#[test]
fn a_rate_limit_that_is_lifted_holds_up_nothing_that_waits_and_what_it_put_off_is_told_of() {
    let mut world = World::new(BOUNDS);
    for _ in 0..100 {
        world.ask_limited(NAME, Some("1/s"));
    }
    assert_eq!(world.held(NAME).unwrap().why, Why::Rate);
    let (waiting, begun) = (world.waiting(), world.begun);
    let put_off = world.held(NAME).unwrap();
    world.changed(NAME, ENDPOINT, None);
    let expected = HeldBack {
        phase: Phase::ComingBack,
        ..put_off
    };
    assert_eq!(world.held(NAME), Some(expected));
    begun_within(&mut world, 1);
    assert_eq!(world.begun, begun + waiting);
}

#[test]
fn what_was_put_off_for_where_a_webhook_was_is_told_of_until_it_has_come_back() {
    let mut world = World::new(BOUNDS);
    world.ask(NAME, JobKind::Event);
    world.end(0, Shown::Asked(20 * SECOND));
    world.ask(NAME, JobKind::Event);
    let due = world.now + world.later[0].1.delay;
    world.changed(NAME, OTHER_ENDPOINT, None);
    let held = world.held(NAME).unwrap();
    assert_eq!((held.phase, held.until), (Phase::ComingBack, due));
    world.unwanted(NAME);
    assert_eq!(world.held(NAME), None, "nothing comes of what comes back");
}

#[test]
fn where_a_webhook_moves_waits_for_no_request_to_where_it_was() {
    let mut world = World::new(BOUNDS);
    for _ in 0..50 {
        world.ask(NAME, JobKind::Event);
    }
    let hanging = world.open_to(NAME);
    world.run(SECOND, |_| None);
    assert_eq!(
        (world.open_to(NAME), world.waiting()),
        (hanging, 50 - hanging)
    );
    world.changed(NAME, OTHER_ENDPOINT, None);
    let begun = world.open_to(NAME) - hanging;
    assert_eq!(begun, hanging, "as many as to any that is new");
}

#[test]
fn what_an_endpoint_asks_for_once_its_webhook_is_gone_from_it_holds_up_nothing() {
    let mut world = World::new(BOUNDS);
    for _ in 0..10 {
        world.ask(NAME, JobKind::Event);
    }
    assert!(world.waiting() > 0);
    world.pass(SECOND);
    world.changed(NAME, OTHER_ENDPOINT, None);
    let start = world.start;
    while let Some(old) = world.open.iter().position(|one| one.1 == start) {
        world.end(old, Shown::Asked(40 * SECOND));
    }
    assert_eq!(world.admission.pauses().count(), 0);
    world.run(SECOND, |_| Some((20 * MS, Shown::Delivered)));
    assert_eq!((world.deferred(NAME), world.waiting()), (0, 0));
}

#[test]
fn what_waits_for_a_webhook_that_nobody_wants_is_let_go_whatever_it_waits_for() {
    for rate in [None, Some("1/s"), Some("1/h")] {
        let mut world = World::new(BOUNDS);
        for _ in 0..40 {
            world.ask_limited(NAME, rate);
        }
        let (hanging, waiting) = (world.open_to(NAME), world.waiting());
        world.run(SECOND, |_| None);
        world.unwanted(NAME);
        // Whoever finds out that nothing is to be sent gives its place up.
        while world.open.len() > hanging {
            world.give_up(world.open.len() - 1);
        }
        assert_eq!(world.waiting(), 0, "{waiting} waited, {rate:?}");
        assert_eq!(world.admission.concerned(world.now).len(), 0);
    }
}

#[test]
fn a_webhook_that_was_not_wanted_for_a_while_is_left_alone_as_its_endpoint_asked() {
    let mut world = World::new(BOUNDS);
    world.ask(NAME, JobKind::Event);
    world.end(0, Shown::Asked(20 * SECOND));
    world.unwanted(NAME);
    world.ask(NAME, JobKind::Event);
    assert_eq!((world.begun, world.deferred(NAME)), (1, 1));
}

#[test]
fn what_had_its_turn_for_where_a_webhook_was_is_for_where_it_is() {
    let quick = 4;
    let mut world = World::new(Bounds { quick, ..BOUNDS });
    for name in ["a/other", NAME] {
        world.ask(name, JobKind::Event);
        world.run(50 * MS, |_| Some((20 * MS, Shown::Delivered)));
    }
    for _ in 0..4 {
        world.ask("a/other", JobKind::Event);
    }
    for _ in 0..4 {
        world.ask(NAME, JobKind::Event);
    }
    assert_eq!(
        (world.open_to(NAME), world.waiting()),
        (0, 4),
        "they have a turn"
    );
    world.changed(NAME, OTHER_ENDPOINT, None);
    assert_eq!(world.waiting(), 4);
    while !world.open.is_empty() {
        world.end(0, Shown::Delivered);
        world.pass(30 * MS);
        let new = OTHER_ENDPOINT.parse().unwrap();
        for (ticket, _, name) in &world.open {
            assert_eq!(world.admission.is_for(*ticket, &new), name == NAME);
        }
    }
    assert_eq!((world.waiting(), world.deferred(NAME)), (0, 0));
    assert_eq!(world.admission.places(), (0, 0));
}

#[test]
fn whoever_has_something_waiting_open_or_put_off_is_concerned() {
    let mut world = World::new(BOUNDS);
    let concerned = |world: &World| world.admission.concerned(world.now).len();
    assert_eq!(concerned(&world), 0);
    world.ask(NAME, JobKind::Event);
    assert_eq!(concerned(&world), 1, "open");
    world.end(0, Shown::Asked(20 * SECOND));
    assert_eq!(concerned(&world), 0);
    world.ask(NAME, JobKind::Event);
    assert_eq!((concerned(&world), world.deferred(NAME)), (1, 1), "put off");
    world.pass(25 * SECOND);
    assert_eq!(concerned(&world), 0);
    for _ in 0..2 {
        world.ask_limited("a/limited", Some("1/s"));
    }
    world.end(0, Shown::Delivered);
    assert_eq!((world.open.len(), world.waiting()), (0, 1));
    assert_eq!(concerned(&world), 1, "in line alone");
}
