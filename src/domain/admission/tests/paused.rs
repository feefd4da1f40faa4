//! Receivers that asked another worker to be left alone.

use std::time::Duration;

use super::super::{JobKind, Shown, Why};
use super::world::{BOUNDS, ENDPOINT, MS, OTHER_ENDPOINT, SECOND, World};

const NAME: &str = "a/throttled";
const NOTHING: Duration = Duration::ZERO;

/// What the other workers are told, as how long it is to be left alone.
fn told(world: &mut World) -> Vec<Duration> {
    world.admission.pauses().map(|pause| pause.wait).collect()
}

#[test]
fn a_receiver_that_asked_another_worker_is_left_alone_whether_it_is_known_or_not() {
    for known in [true, false] {
        let mut world = World::new(BOUNDS);
        if known {
            world.ask(NAME, JobKind::Event);
            world.run(10 * MS, |_| Some((MS, Shown::Delivered)));
        }
        let before = world.begun;
        world.hear(NAME, ENDPOINT, 20 * SECOND);
        world.ask(NAME, JobKind::Event);
        assert_eq!(world.begun, before, "known: {known}");
        let (_, deferral) = world.later.last().unwrap();
        assert!(deferral.why == Why::Asked && deferral.delay >= 20 * SECOND);
        assert_eq!(world.held(NAME).unwrap().why, Why::Asked);
        world.pass(20 * SECOND);
        world.ask(NAME, JobKind::Event);
        world.ask(NAME, JobKind::Event);
        assert_eq!(world.begun, before + 1, "a probe alone");
    }
}

#[test]
fn what_waits_in_line_is_put_off_when_another_worker_tells() {
    let mut world = World::new(BOUNDS);
    for _ in 0..10 {
        world.ask(NAME, JobKind::Event);
    }
    let open = world.open_to(NAME);
    world.hear(NAME, ENDPOINT, 20 * SECOND);
    assert_eq!((world.deferred(NAME), world.waiting()), (10 - open, 0));
}

#[test]
fn another_endpoint_than_the_one_that_asked_is_not_left_alone() {
    let mut world = World::new(BOUNDS);
    world.hear(NAME, OTHER_ENDPOINT, 3600 * SECOND);
    world.ask(NAME, JobKind::Event);
    world.hear(NAME, OTHER_ENDPOINT, 3600 * SECOND);
    world.ask(NAME, JobKind::Event);
    assert_eq!((world.begun, world.deferred(NAME)), (2, 0));
}

#[test]
fn what_is_heard_of_an_endpoint_holds_once_the_webhook_moves_there() {
    let mut world = World::new(BOUNDS);
    world.ask(NAME, JobKind::Event);
    world.hear(NAME, OTHER_ENDPOINT, 20 * SECOND);
    world.pass(5 * SECOND);
    world.moved(NAME);
    assert_eq!((world.begun, world.deferred(NAME)), (1, 1));
    let delay = world.later[0].1.delay;
    assert!(
        (15 * SECOND..16 * SECOND).contains(&delay),
        "the rest: {delay:?}"
    );
}

#[test]
fn an_endpoint_that_asked_is_left_alone_though_the_webhook_moves_away_and_back() {
    let mut world = World::new(BOUNDS);
    world.ask(NAME, JobKind::Event);
    world.end(0, Shown::Asked(20 * SECOND));
    world.moved(NAME);
    assert_eq!(world.begun, 2, "the other did not ask");
    world.ask(NAME, JobKind::Event);
    assert_eq!((world.begun, world.deferred(NAME)), (2, 1));
}

#[test]
fn a_webhook_that_moves_among_many_endpoints_leaves_alone_each_that_asked() {
    let mut world = World::new(BOUNDS);
    let endpoint = |n: usize| format!("{ENDPOINT}/{n}");
    for round in 0..2 {
        for n in 0..12 {
            world.ask_at(&endpoint(n), NAME, JobKind::Event, false, None);
            if round == 0 {
                world.end(0, Shown::Asked(60 * SECOND));
            }
        }
    }
    assert_eq!((world.begun, world.deferred(NAME)), (12, 12));
}

#[test]
fn of_endpoints_without_number_those_that_ask_for_longest_are_remembered() {
    let mut world = World::new(BOUNDS);
    world.hear(NAME, ENDPOINT, 600 * SECOND);
    for n in 0..100 {
        world.hear(NAME, &format!("{ENDPOINT}/{n}"), 60 * SECOND);
    }
    world.ask(NAME, JobKind::Event);
    assert_eq!((world.begun, world.deferred(NAME)), (0, 1));
}

#[test]
fn what_a_request_to_an_old_endpoint_comes_to_says_nothing_of_the_new() {
    let mut world = World::new(BOUNDS);
    world.ask(NAME, JobKind::Event);
    world.moved(NAME);
    world.pass(MS);
    world.end(0, Shown::Asked(20 * SECOND));
    assert_eq!(world.admission.pauses().count(), 0);
    world.moved(NAME);
    assert_eq!((world.begun, world.deferred(NAME)), (3, 0));
}

#[test]
fn a_request_that_is_still_open_to_an_old_endpoint_makes_the_new_no_slower() {
    let mut world = World::new(BOUNDS);
    world.ask(NAME, JobKind::Event);
    world.moved(NAME);
    world.end(1, Shown::Delivered);
    world.pass(SECOND);
    assert_eq!(world.admission.places(), (0, 1), "the old is slow");
    world.moved(NAME);
    assert_eq!(world.admission.places(), (1, 1), "the new is not");
}

#[test]
fn what_begins_before_its_wish_is_heard_of_does_not_end_the_pause() {
    let mut world = World::new(BOUNDS);
    for _ in 0..2 {
        world.ask(NAME, JobKind::Event);
    }
    // Answered at once, and noticed a while later.
    let (asking, ..) = world.open.remove(0);
    world.pass(10 * MS);
    world.ask(NAME, JobKind::Event);
    world.pass(10 * MS);
    let shown = Shown::Asked(20 * SECOND);
    world.admission.ended(asking, MS, shown, world.now);
    world.names.remove(&asking);
    world.admission.settled(asking, world.now);
    world.run(SECOND, |_| Some((30 * MS, Shown::Delivered)));
    assert_eq!((world.open.len(), world.begun), (0, 3));
    world.pass(18 * SECOND);
    world.ask(NAME, JobKind::Event);
    assert_eq!((world.begun, world.deferred(NAME)), (3, 1));
}

#[test]
fn the_other_workers_are_told_though_failures_had_it_left_alone_for_longer() {
    let mut world = World::new(BOUNDS);
    for _ in 0..5 {
        for _ in 0..4 {
            world.ask(NAME, JobKind::Event);
        }
        world.run(SECOND, |_| Some((MS, Shown::Failed)));
    }
    world.pass(3 * SECOND);
    world.ask(NAME, JobKind::Event);
    world.end(0, Shown::Asked(SECOND));
    assert_eq!(told(&mut world), [SECOND]);
}

#[test]
fn the_other_workers_are_told_once_and_again_when_it_asks_for_longer() {
    let mut world = World::new(BOUNDS);
    for _ in 0..4 {
        world.ask(NAME, JobKind::Event);
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
    world.ask_for(NAME, JobKind::Message, true);
    world.end(0, Shown::Asked(100 * SECOND));
    assert!(told(&mut world).is_empty());
}

#[test]
fn what_a_person_gets_through_ends_the_pause_for_the_other_workers_too() {
    let mut world = World::new(BOUNDS);
    world.ask(NAME, JobKind::Event);
    world.end(0, Shown::Asked(300 * SECOND));
    world.pass(SECOND);
    assert_eq!(told(&mut world), [300 * SECOND]);
    world.ask_for(NAME, JobKind::Message, true);
    world.end(0, Shown::Delivered);
    assert_eq!(told(&mut world), [NOTHING]);
    // It may ask anew.
    world.pass(SECOND);
    world.ask(NAME, JobKind::Event);
    world.end(0, Shown::Asked(20 * SECOND));
    assert_eq!(told(&mut world), [20 * SECOND]);
}

#[test]
fn a_pause_that_ended_by_itself_is_no_news() {
    let mut world = World::new(BOUNDS);
    world.ask(NAME, JobKind::Event);
    world.end(0, Shown::Asked(20 * SECOND));
    assert_eq!(told(&mut world), [20 * SECOND]);
    world.pass(20 * SECOND);
    world.ask(NAME, JobKind::Event);
    world.end(0, Shown::Delivered);
    assert!(told(&mut world).is_empty());
}

#[test]
fn who_hears_that_a_pause_is_over_takes_the_receiver_up_again() {
    let mut world = World::new(BOUNDS);
    world.hear(NAME, ENDPOINT, NOTHING);
    assert_eq!(world.admission.receivers(), 0, "nothing to remember");
    world.ask(NAME, JobKind::Event);
    world.end(0, Shown::Delivered);
    world.hear(NAME, ENDPOINT, 300 * SECOND);
    world.hear(NAME, OTHER_ENDPOINT, 300 * SECOND);
    world.hear(NAME, ENDPOINT, NOTHING);
    assert!(world.held(NAME).is_none());
    world.pass(SECOND);
    world.ask(NAME, JobKind::Event);
    assert_eq!((world.begun, world.deferred(NAME)), (2, 0));
    world.hear(NAME, OTHER_ENDPOINT, NOTHING);
    world.moved(NAME);
    assert_eq!((world.begun, world.deferred(NAME)), (3, 0));
    assert!(told(&mut world).is_empty(), "everybody has heard it");
}

#[test]
fn a_pause_that_is_recalled_while_a_person_sends_something_is_lifted_all_the_same() {
    let mut world = World::new(BOUNDS);
    world.ask(NAME, JobKind::Event);
    world.end(0, Shown::Asked(300 * SECOND));
    world.pass(SECOND);
    world.ask_for(NAME, JobKind::Message, true);
    world.pass(SECOND);
    // It is on record for a little longer than it was heard.
    world.recall(NAME, ENDPOINT, 298 * SECOND + 100 * MS);
    world.hear(NAME, ENDPOINT, 298 * SECOND + 100 * MS);
    world.end(0, Shown::Delivered);
    assert_eq!(told(&mut world), [300 * SECOND, NOTHING]);
    // The record was read before that was written there.
    world.recall(NAME, ENDPOINT, 298 * SECOND + 100 * MS);
    world.pass(SECOND);
    world.ask(NAME, JobKind::Event);
    assert_eq!((world.begun, world.deferred(NAME)), (3, 0));
    world.end(0, Shown::Delivered);
    // A new one may well be shorter.
    world.hear(NAME, ENDPOINT, 20 * SECOND);
    world.ask(NAME, JobKind::Event);
    assert_eq!((world.begun, world.deferred(NAME)), (3, 1));
}

#[test]
fn what_was_lifted_elsewhere_is_not_recalled_from_a_reading_that_came_late() {
    let mut world = World::new(BOUNDS);
    world.ask(NAME, JobKind::Event);
    world.end(0, Shown::Delivered);
    world.hear(NAME, ENDPOINT, 300 * SECOND);
    world.hear(NAME, ENDPOINT, NOTHING);
    world.recall(NAME, ENDPOINT, 300 * SECOND);
    world.pass(SECOND);
    world.ask(NAME, JobKind::Event);
    assert_eq!((world.begun, world.deferred(NAME)), (2, 0));
}

#[test]
fn a_pause_that_was_heard_of_first_is_over_once_it_is_lifted_wherever_the_webhook_moves() {
    let mut world = World::new(BOUNDS);
    world.recall(NAME, ENDPOINT, 300 * SECOND);
    world.pass(MS);
    world.ask_for(NAME, JobKind::Message, true);
    world.end(0, Shown::Delivered);
    world.moved(NAME);
    world.ask(NAME, JobKind::Event);
    assert_eq!((world.begun, world.deferred(NAME)), (3, 0), "back again");
}

#[test]
fn what_is_put_off_by_one_that_was_well_until_it_asked_is_back_soon_after_that_is_over() {
    let mut world = World::new(BOUNDS);
    for _ in 0..4 {
        world.ask(NAME, JobKind::Event);
        world.end(0, Shown::Delivered);
    }
    world.ask(NAME, JobKind::Event);
    world.end(0, Shown::Asked(100 * SECOND));
    let over = world.now + 100 * SECOND;
    for _ in 0..200 {
        world.pass(300 * MS);
        world.ask(NAME, JobKind::Event);
        let (_, deferral) = world.later.last().unwrap();
        let back = world.now + deferral.delay;
        assert!((over..over + 2 * SECOND).contains(&back), "{deferral:?}");
    }
}

#[test]
fn who_asks_again_when_that_is_over_is_down() {
    let mut world = World::new(BOUNDS);
    world.ask(NAME, JobKind::Event);
    world.end(0, Shown::Asked(100 * SECOND));
    world.pass(100 * SECOND);
    world.ask(NAME, JobKind::Event);
    world.end(0, Shown::Asked(100 * SECOND));
    let over = world.now + 100 * SECOND;
    let last = (0..20).map(|_| {
        world.ask(NAME, JobKind::Event);
        world.now + world.later.last().unwrap().1.delay
    });
    // Evenly over as long as it has been down: a thousand would not come back at once.
    assert!(last.max().unwrap() > over + 50 * SECOND);
}

/// The last time at which what was put off since then comes back.
fn last_back(world: &World, since: usize, made_at: Duration) -> Duration {
    let delays = world.later[since..].iter().map(|one| one.1.delay);
    made_at + delays.max().unwrap_or_default()
}

#[test]
fn a_pause_is_no_time_that_the_receiver_takes_however_long_it_lasts() {
    for name in [NAME, "a/limited-20"] {
        let mut world = World::new(BOUNDS);
        for _ in 0..20 {
            world.ask(name, JobKind::Event);
        }
        let asks = |_: &str| Some((50 * MS, Shown::Asked(60 * SECOND)));
        world.run(SECOND, asks);
        let mut last = Duration::ZERO;
        for _ in 0..(55 * 3) {
            world.pass(SECOND / 3);
            let before = world.later.len();
            world.ask(name, JobKind::Event);
            last = last.max(last_back(&world, before, world.now - world.start));
        }
        let at_rate = if name == NAME { 12 } else { 20 };
        let limit = (60 + at_rate) * SECOND;
        assert!(last < limit, "{name}: the last is back after {last:?}");
    }
}

#[test]
fn what_comes_while_it_is_taken_up_slowly_waits_and_is_not_put_off_again() {
    let mut world = World::new(BOUNDS);
    let quick = |_: &str| Some((20 * MS, Shown::Delivered));
    world.ask(NAME, JobKind::Event);
    world.end(0, Shown::Asked(40 * SECOND));
    world.pass(40 * SECOND);
    let before = world.deferred(NAME);
    for _ in 0..200 {
        world.ask(NAME, JobKind::Message);
        world.run(5 * MS, quick);
    }
    world.run(10 * SECOND, quick);
    assert_eq!((world.deferred(NAME) - before, world.waiting()), (0, 0));
}

#[test]
fn what_a_busy_receiver_took_before_its_pause_it_is_given_after_it() {
    // Sixty-four at once of 400 ms each, or fifty a second.
    for (name, rate) in [(NAME, 160), ("a/limited-50", 50)] {
        let mut world = World::new(BOUNDS);
        for _ in 0..900 {
            world.ask(name, JobKind::Event);
        }
        world.run(4 * SECOND, |_| Some((400 * MS, Shown::Delivered)));
        world.run(SECOND, |_| Some((400 * MS, Shown::Asked(20 * SECOND))));
        let before = world.later.len();
        for _ in 0..1_000 {
            world.ask(name, JobKind::Event);
        }
        let last = last_back(&world, before, Duration::ZERO);
        let limit = 20 * SECOND + 1_900 * SECOND / rate + 5 * SECOND;
        assert!(last < limit, "{name}: the last is back after {last:?}");
        let shortest = 1_000 * SECOND / rate;
        assert!(last > shortest, "{name}: all at once, after {last:?}");
    }
}
