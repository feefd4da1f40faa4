//! A long line is put off by and by, so that nobody else notices.

use super::super::hand::PUT_OFF_AT_ONCE;
use super::super::{JobKind, Shown};
use super::world::{BOUNDS, ENDPOINT, SECOND, World};

const HANGING: &str = "a/hanging";
const THROTTLED: &str = "b/throttled";
const TICK: std::time::Duration = std::time::Duration::from_millis(25);

/// Lets ticks pass until nothing waits; how many went by.
fn ticks_until_all_are_put_off(world: &mut World, name: &str) -> usize {
    for ticks in 1.. {
        let before = world.deferred(name);
        world.pass(TICK);
        let at_once = world.deferred(name) - before;
        assert!(at_once <= PUT_OFF_AT_ONCE, "{at_once} within one tick");
        if world.waiting() == 0 {
            return ticks;
        }
    }
    unreachable!()
}

#[test]
fn who_asks_for_patience_has_its_line_put_off_a_few_at_a_time() {
    let mut world = World::new(BOUNDS);
    for _ in 0..400 {
        world.ask(THROTTLED, JobKind::Event);
    }
    world.hear(THROTTLED, ENDPOINT, 60 * SECOND);
    assert_eq!(world.deferred(THROTTLED), PUT_OFF_AT_ONCE);
    let ticks = ticks_until_all_are_put_off(&mut world, THROTTLED);
    assert_eq!(ticks, (400 - 4_usize).div_ceil(PUT_OFF_AT_ONCE) - 1);
}

#[test]
fn who_turns_out_to_hang_has_its_line_put_off_a_few_at_a_time() {
    let mut world = World::new(BOUNDS);
    for _ in 0..400 {
        world.ask(HANGING, JobKind::Event);
    }
    while world.now - world.start < 10 * SECOND {
        let before = world.deferred(HANGING);
        world.pass(TICK);
        assert!(world.deferred(HANGING) - before <= PUT_OFF_AT_ONCE);
    }
    assert!(world.waiting() > 200);
    for _ in 0..4 {
        world.end(0, Shown::TimedOut);
    }
    while world.waiting() > 4 {
        let before = world.waiting();
        world.pass(TICK);
        let at_once = before - world.waiting();
        assert!((1..=PUT_OFF_AT_ONCE).contains(&at_once), "{at_once}");
    }
}

#[test]
fn two_of_them_are_put_off_no_faster_than_one() {
    let mut world = World::new(BOUNDS);
    for name in [HANGING, THROTTLED] {
        for _ in 0..200 {
            world.ask(name, JobKind::Event);
        }
        world.hear(name, ENDPOINT, 60 * SECOND);
    }
    let all = world.later.len() + world.waiting();
    assert_eq!(world.later.len(), PUT_OFF_AT_ONCE);
    world.pass(TICK);
    assert_eq!(world.later.len(), 2 * PUT_OFF_AT_ONCE);
    world.run(SECOND, |_| None);
    assert_eq!(world.later.len(), all);
}

#[test]
fn a_line_that_is_still_to_be_put_off_gives_way_to_others_when_the_hand_is_full() {
    let mut world = World::new(BOUNDS);
    // It answers at once, so its line is short in time however many wait in it.
    for _ in 0..100 {
        world.ask(THROTTLED, JobKind::Event);
        world.end(0, Shown::Delivered);
    }
    while world.waiting() < BOUNDS.hand {
        world.ask(THROTTLED, JobKind::Event);
    }
    assert!(!world.admission.has_room(JobKind::Event, world.now));
    world.hear(THROTTLED, ENDPOINT, 60 * SECOND);
    for _ in 0..BOUNDS.hand / 2 {
        assert!(world.admission.has_room(JobKind::Event, world.now));
        let before = world.waiting();
        world.ask("c/patient", JobKind::Event);
        assert!(world.waiting() <= before.max(BOUNDS.hand));
    }
    assert!(world.deferred(THROTTLED) > BOUNDS.hand / 3);
    assert_eq!(world.deferred("c/patient"), 0);
}
