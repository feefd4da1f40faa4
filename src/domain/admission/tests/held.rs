//! What people are told of those whose deliveries are held back.

use super::super::held::Held;
use super::super::{Deferral, JobKind, Shown, Why};
use super::world::{BOUNDS, ENDPOINT, MS, SECOND, World};
use crate::domain::held_back::Phase;

#[test]
fn a_receiver_that_fails_is_held_back_until_its_next_probe_and_not_once_it_is_up() {
    let mut world = World::new(BOUNDS);
    assert_eq!(world.held("o/w"), None);
    let first = world.now;
    for _ in 0..BOUNDS.breaker_after {
        world.ask("o/w", JobKind::Event);
        world.now += MS;
        world.end(0, Shown::Failed);
    }
    let held = world.held("o/w").unwrap();
    assert_eq!((held.why, held.since), (Why::Failures, first));
    assert_eq!(held.until, world.now + SECOND);
    for _ in 0..100 {
        world.ask("o/w", JobKind::Event);
    }
    assert_eq!(world.held("o/w"), Some(held), "no delivery changes that");
    world.now = held.until;
    world.ask("o/w", JobKind::Event);
    let tried = world.held("o/w").unwrap();
    assert_eq!((tried.why, tried.since), (held.why, held.since));
    assert_eq!(tried.phase, Phase::Tried);
    assert!(tried.until > world.now, "the others still wait");
    world.end(0, Shown::Delivered);
    let last = world.held("o/w").unwrap();
    assert_eq!(last.phase, Phase::ComingBack);
    assert_eq!((last.why, last.until), (tried.why, tried.until));
    world.now = last.until;
    assert_eq!(world.held("o/w"), None);
}

#[test]
fn what_was_put_off_for_a_pause_that_is_over_is_told_of_until_it_has_come_back() {
    let mut world = World::new(BOUNDS);
    world.ask("o/w", JobKind::Event);
    world.end(0, Shown::Asked(20 * SECOND));
    for _ in 0..1000 {
        world.ask("o/w", JobKind::Event);
    }
    let delays = world.later.iter().map(|(_, deferral)| deferral.delay);
    let last = world.now + delays.max().unwrap();
    world.pass(20 * SECOND);
    world.ask("o/w", JobKind::Event);
    world.end(0, Shown::Delivered);
    let held = world.held("o/w").unwrap();
    assert_eq!((held.why, held.phase), (Why::Asked, Phase::ComingBack));
    assert_eq!(held.until, last);
    let load = world.admission.load(world.now);
    assert_eq!((load.held_back, load.left_alone), (0, 0));
    world.now = last;
    assert_eq!(world.held("o/w"), None);
}

#[test]
fn what_is_held_back_anew_is_so_since_then_and_until_all_has_come_back() {
    let mut world = World::new(BOUNDS);
    for _ in 0..100 {
        world.ask_limited("o/w", Some("1/s"));
    }
    let before = world.held("o/w").unwrap();
    world.changed("o/w", ENDPOINT, None);
    assert_eq!(world.held("o/w").unwrap().phase, Phase::ComingBack);
    world.pass(SECOND);
    let began = world.now;
    world.changed("o/w", ENDPOINT, Some("20/s"));
    for _ in 0..1000 {
        world.ask_limited("o/w", Some("20/s"));
    }
    let held = world.held("o/w").unwrap();
    assert_eq!(held.phase, Phase::Held);
    assert!(held.since >= began && held.until >= before.until);
}

#[test]
fn a_receiver_that_asks_to_be_left_alone_is_held_back_for_as_long() {
    let mut world = World::new(BOUNDS);
    world.ask("o/w", JobKind::Event);
    world.end(0, Shown::Asked(20 * SECOND));
    let held = world.held("o/w").unwrap();
    assert_eq!(
        (held.why, held.until),
        (Why::Asked, world.now + 20 * SECOND)
    );
    world.now += 20 * SECOND;
    assert_eq!(world.held("o/w"), None, "nothing waits for it");
}

#[test]
fn the_load_counts_places_what_waits_and_who_is_held_back() {
    let mut world = World::new(BOUNDS);
    world.ask("o/asks", JobKind::Event);
    world.end(0, Shown::Asked(20 * SECOND));
    for _ in 0..6 {
        world.ask("o/new", JobKind::Event);
    }
    let load = world.admission.load(world.now);
    assert_eq!((load.quick, load.slow, load.in_hand), (4, 0, 2));
    assert_eq!((load.held_back, load.left_alone), (1, 1));
    world.pass(SECOND);
    let load = world.admission.load(world.now);
    assert_eq!((load.quick, load.slow, load.in_hand), (0, 4, 2));
}

#[test]
fn what_waits_beyond_a_rate_limit_is_held_back_until_the_last_is_due() {
    let mut world = World::new(BOUNDS);
    let began = world.now;
    for _ in 0..50 {
        world.ask("o/limited-1", JobKind::Event);
    }
    world.pass(MS);
    let held = world.held("o/limited-1").unwrap();
    assert_eq!(held.why, Why::Rate);
    let last = world.later.iter().map(|(_, deferral)| deferral.delay).max();
    assert!(held.until >= began + last.unwrap());
    assert!(held.since >= began);
    world.pass(60 * SECOND);
    world.ask("o/quick", JobKind::Event);
    assert_eq!(world.held("o/quick"), None);
    world.now = held.until;
    assert_eq!(world.held("o/limited-1"), None);
}

#[test]
fn who_asks_again_and_again_is_tried_whenever_that_is_over_and_is_not_said_to_fail() {
    let mut world = World::new(BOUNDS);
    for _ in 0..30 {
        world.ask("o/w", JobKind::Event);
        assert_eq!(world.open.len(), 1, "{:?}", world.held("o/w"));
        world.end(0, Shown::Asked(2 * SECOND));
        let held = world.held("o/w").unwrap();
        assert_eq!((held.why, held.until), (Why::Asked, world.now + 2 * SECOND));
        world.pass(2 * SECOND);
    }
    // A moment is no wish, but one request after the other.
    for _ in 0..3 * BOUNDS.breaker_after {
        world.ask("o/moment", JobKind::Event);
        if let Some(open) = world.open.iter().position(|one| one.2 == "o/moment") {
            world.end(open, Shown::Asked(MS));
        }
        world.pass(2 * MS);
    }
    assert_eq!(world.held("o/moment").unwrap().why, Why::Failures);
}

#[test]
fn a_line_is_over_once_nothing_more_is_put_off_behind_it_and_a_rate_limit_is_not() {
    let start = World::new(BOUNDS).now;
    for (why, expected) in [(Why::Line, Phase::ComingBack), (Why::Rate, Phase::Held)] {
        let deferral = Deferral {
            delay: 60 * SECOND,
            why,
            in_line: None,
        };
        let mut held = Held::default();
        held.put_off(deferral, start);
        let told = |held: &Held, at| held.told(None, at).unwrap();
        assert_eq!(told(&held, start + 9 * SECOND).phase, Phase::Held);
        let later = start + 11 * SECOND;
        assert_eq!(told(&held, later).phase, expected);
        held.put_off(deferral, later);
        let anew = told(&held, later);
        let since = if why == Why::Line { later } else { start };
        assert_eq!((anew.phase, anew.since), (Phase::Held, since));
    }
}
