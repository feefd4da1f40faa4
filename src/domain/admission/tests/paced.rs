//! Webhooks with a rate limit.

use super::super::{JobKind, Shown, Why};
use super::world::{BOUNDS, MS, SECOND, World};

/// How many begin within `seconds`, of receivers that answer at once.
fn begun_within(world: &mut World, seconds: u32) -> usize {
    let before = world.begun;
    world.run(seconds * SECOND, |_| Some((MS, Shown::Delivered)));
    world.begun - before
}

#[test]
fn requests_begin_at_the_rate_and_what_waits_soon_gets_its_turn_is_not_put_off() {
    let mut world = World::new(BOUNDS);
    for _ in 0..100 {
        world.ask("a/limited-10", JobKind::Event);
    }
    assert_eq!(world.open_to("a/limited-10"), 1, "the first at once");
    for second in 0..9 {
        let begun = begun_within(&mut world, 1);
        assert!((9..=11).contains(&begun), "{begun} in second {second}");
    }
    assert_eq!(world.deferred("a/limited-10"), 0);
}

#[test]
fn what_waits_longer_than_a_line_may_is_put_off_at_the_rate_and_says_why() {
    let mut world = World::new(BOUNDS);
    for _ in 0..900 {
        world.ask("a/limited-10", JobKind::Event);
    }
    let later = &world.later;
    assert!((440..=460).contains(&later.len()), "{}", later.len());
    assert!(later.iter().all(|(_, one)| one.why == Why::Rate));
    let delays = later.iter().map(|(_, one)| one.delay);
    let (first, last) = (delays.clone().min().unwrap(), delays.max().unwrap());
    // The first are back while the line is still a third as long as it may be.
    assert!((29 * SECOND..32 * SECOND).contains(&first), "{first:?}");
    assert!((73 * SECOND..77 * SECOND).contains(&last), "{last:?}");
}

#[test]
fn others_and_those_without_a_limit_do_not_wait_for_it() {
    let mut world = World::new(BOUNDS);
    for _ in 0..50 {
        world.ask("a/limited-1", JobKind::Event);
    }
    for name in ["a/limited-2", "a/free", "b/free"] {
        world.ask(name, JobKind::Event);
        assert_eq!(world.open_to(name), 1);
    }
    assert_eq!(world.admission.places().0, 4, "who waits holds no place");
}

#[test]
fn two_workers_share_a_limit_and_what_is_put_off_comes_back_at_it() {
    let mut workers = [World::new(BOUNDS), World::new(BOUNDS)];
    for _ in 0..900 {
        for world in &mut workers {
            world.ask("a/limited-10", JobKind::Event);
        }
    }
    let mut calendars = workers[0].calendars.clone();
    let mut returns = workers[0].returns.clone();
    workers[1].number = 1;
    for _ in 0..4_000 {
        for world in &mut workers {
            world.calendars = calendars;
            world.run(5 * MS, |_| Some((MS, Shown::Delivered)));
            calendars = std::mem::take(&mut world.calendars);
        }
    }
    let begun = workers.each_ref().map(|world| world.begun);
    let all: usize = begun.iter().sum();
    assert!((199..=205).contains(&all), "{all} in 20 s");
    assert!(begun.iter().all(|one| *one > 80), "{begun:?}");
    let mut delays = Vec::new();
    for world in &mut workers {
        world.calendars = calendars;
        world.returns = returns;
        world.later.clear();
        for _ in 0..900 {
            world.ask("a/limited-10", JobKind::Event);
        }
        calendars = std::mem::take(&mut world.calendars);
        returns = std::mem::take(&mut world.returns);
        delays.extend(world.later.iter().map(|(_, one)| one.delay));
    }
    delays.sort();
    assert!(delays.len() > 1_200, "{}", delays.len());
    for two in delays.windows(2) {
        assert_eq!(two[1] - two[0], 100 * MS, "none at the other's time");
    }
}

#[test]
fn a_time_that_nobody_can_use_is_not_used_by_two_at_once_later() {
    let mut world = World::new(BOUNDS);
    for _ in 0..20 {
        world.ask("a/limited-10", JobKind::Event);
    }
    // This worker stands still for a second: what was reserved for it is gone.
    world.pass(SECOND);
    let open = world.open_to("a/limited-10");
    assert!(open <= 2, "{open} open: the first, and the one that is due");
}

#[test]
fn a_limit_that_is_lifted_lets_everything_go() {
    let mut world = World::new(BOUNDS);
    for _ in 0..4 {
        world.ask("a/limited-1", JobKind::Event);
    }
    world.lift("a/limited-1");
    world.run(SECOND, |_| Some((MS, Shown::Delivered)));
    assert_eq!(world.begun, 5);
}

#[test]
fn the_first_goes_at_once_however_low_the_limit_and_the_others_come_back_for_their_times() {
    let mut world = World::new(BOUNDS);
    for _ in 0..4 {
        world.ask("a/limited-1-a-minute", JobKind::Event);
    }
    assert_eq!(world.begun, 1);
    let delays: Vec<_> = world.later.iter().map(|(_, one)| one.delay).collect();
    let (minute, sooner) = (60 * SECOND, 15 * SECOND);
    let due = [1, 2, 3].map(|n| n * minute - sooner);
    assert_eq!(delays, due, "soon enough to wait in line for their times");
    world.later.clear();
    world.run(minute, |_| Some((MS, Shown::Delivered)));
    world.ask("a/limited-1-a-minute", JobKind::Message);
    assert_eq!(world.begun, 2, "it came for its time");
    world.ask("a/limited-1-a-minute", JobKind::Message);
    let delay = world.later[0].1.delay;
    assert!(delay > 2 * minute, "{delay:?}: the others come before");
}
