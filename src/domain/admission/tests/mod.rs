//! The state machine as a whole: what it promises, whatever happens in which order.

mod any_order;
mod breaker;
mod by_and_by;
mod changed;
mod held;
mod paced;
mod paused;
mod served;
mod sharing;
mod world;

use super::*;
use world::{BOUNDS, MS, SECOND, World};

#[test]
fn a_burst_for_a_steady_receiver_is_done_at_full_concurrency_and_nothing_is_put_off() {
    for took in [150, 300, 2000_u32] {
        let mut world = World::new(BOUNDS);
        for _ in 0..1000 {
            world.ask("a/steady", JobKind::Event);
        }
        let mut elapsed = Duration::ZERO;
        while !world.open.is_empty() || world.waiting() > 0 {
            world.run(10 * MS, |_| Some((took * MS, Shown::Delivered)));
            elapsed = world.now - world.start;
        }
        assert_eq!(world.deferred("a/steady"), 0, "{took} ms");
        // 64 at a time, in 16 rounds.
        let most = (16 * took * MS).mul_f64(1.3);
        assert!(elapsed < most, "{took} ms a request: {elapsed:?}");
    }
}

#[test]
fn a_receiver_that_hangs_holds_four_requests_and_then_one_and_no_place_of_the_quick() {
    let mut world = World::new(BOUNDS);
    for _ in 0..600 {
        world.ask("a/hanging", JobKind::Event);
        world.run(20 * MS, |_| Some((10 * SECOND, Shown::TimedOut)));
        assert!(world.open_to("a/hanging") <= 4);
    }
    assert_eq!(world.open_to("a/hanging"), 1);
    assert_eq!(world.admission.places().0, 0, "none in the quick lane");
    world.ask("b/healthy", JobKind::Event);
    assert_eq!(world.open_to("b/healthy"), 1);
}

#[test]
fn hanging_webhooks_without_number_leave_places_to_others() {
    let mut world = World::new(BOUNDS);
    for n in 0..300 {
        for _ in 0..4 {
            world.ask(&format!("a/hanging-{n}"), JobKind::Event);
        }
        world.pass(MS);
        let healthy = format!("b/healthy-{n}");
        world.ask(&healthy, JobKind::Event);
        assert_eq!(world.open_to(&healthy), 1, "after {n} hanging webhooks");
        let index = world.open.iter().position(|one| one.2 == healthy).unwrap();
        world.end(index, Shown::Delivered);
    }
}

#[test]
fn organizations_that_hang_together_let_who_has_answered_wait_for_a_moment_at_most() {
    let mut world = World::new(BOUNDS);
    let hangs = |name: &str| match name {
        "good/known" => Some((MS, Shown::Delivered)),
        _ => None,
    };
    world.ask("good/known", JobKind::Event);
    world.run(10 * MS, hangs);
    for organization in 0..40 {
        for webhook in 0..32 {
            for _ in 0..4 {
                world.ask(&format!("o{organization}/w{webhook}"), JobKind::Event);
            }
        }
        let asked = world.now;
        world.ask("good/known", JobKind::Event);
        while world.names.values().any(|name| name == "good/known") {
            world.run(5 * MS, hangs);
            let waited = world.now - asked;
            assert!(
                waited <= MOMENT + 10 * MS,
                "{waited:?} beside {organization}"
            );
        }
        world.run(MOMENT, hangs);
    }
    assert_eq!(world.deferred("good/known"), 0);
    let (quick, slow) = world.admission.places();
    assert!(
        quick <= BOUNDS.quick / 2 && slow <= BOUNDS.slow,
        "{quick} {slow}"
    );
}

#[test]
fn a_hand_full_of_what_finds_no_lane_gives_way_however_short_its_lines_are() {
    let mut world = World::new(BOUNDS);
    for n in 0..1_500 {
        let name = format!("a/hanging-{n}");
        world.ask(&name, JobKind::Event);
        assert!(
            world.admission.has_room(JobKind::Event, world.now),
            "at {n}"
        );
        world.pass(5 * MS);
    }
    assert!(world.waiting() <= BOUNDS.hand);
    let (_, slow) = world.admission.places();
    assert!(slow > BOUNDS.slow / 2, "{slow}");
    world.later.clear();
    for n in 0..50 {
        world.ask(&format!("a/more-{n}"), JobKind::Event);
    }
    let mut delays: Vec<_> = world.later.iter().map(|one| one.1.delay).collect();
    delays.dedup();
    assert_eq!(delays.len(), 50, "one after the other: {delays:?}");
}

#[test]
fn what_is_put_off_by_one_that_never_answered_comes_back_at_the_rate_of_what_it_has_open() {
    let mut world = World::new(BOUNDS);
    for _ in 0..4 {
        world.ask("a/hanging", JobKind::Event);
    }
    world.run(10 * SECOND, |_| None);
    while world.deferred("a/hanging") < 20 {
        world.ask("a/hanging", JobKind::Event);
    }
    let delays: Vec<_> = world.later.iter().map(|one| one.1.delay).collect();
    for two in delays.windows(2) {
        // Four at a time, ten seconds and more each.
        assert!(two[1] >= two[0] + 2 * SECOND, "{delays:?}");
    }
}

#[test]
fn what_it_asked_for_is_kept_and_then_it_is_taken_up_slowly() {
    let mut world = World::new(BOUNDS);
    world.ask("a/throttling", JobKind::Event);
    world.pass(MS);
    world.end(0, Shown::Asked(20 * SECOND));
    for _ in 0..40 {
        world.ask("a/throttling", JobKind::Event);
    }
    assert_eq!(world.open.len(), 0);
    let soonest = world.later.iter().map(|one| one.1.delay).min().unwrap();
    assert!(soonest >= 20 * SECOND - MS, "{soonest:?}");
    world.pass(20 * SECOND);
    for _ in 0..40 {
        world.ask("a/throttling", JobKind::Message);
    }
    assert_eq!(world.open.len(), 1);
    world.run(SECOND, |_| Some((MS, Shown::Delivered)));
    assert!(
        world.begun - 1 <= 4,
        "{} in the first second",
        world.begun - 1
    );
    world.run(10 * SECOND, |_| Some((MS, Shown::Delivered)));
    assert_eq!(world.waiting(), 0);
}

#[test]
fn one_that_a_person_sends_waits_a_moment_and_many_do_not() {
    let mut world = World::new(BOUNDS);
    world.ask("a/alone", JobKind::Event);
    world.end(0, Shown::Asked(3600 * SECOND));
    for _ in 0..5 {
        world.ask_for("a/alone", JobKind::Message, true);
    }
    assert_eq!((world.waiting(), world.deferred("a/alone")), (1, 4));
    world.run(SECOND + 50 * MS, |_| Some((MS, Shown::Delivered)));
    assert_eq!((world.begun, world.waiting()), (2, 0));
    world.ask("a/alone", JobKind::Event);
    world.run(2 * SECOND, |_| Some((MS, Shown::Delivered)));
    assert_eq!(world.begun, 3, "it is open again");
}

#[test]
fn what_takes_ten_a_second_is_spread_at_ten_a_second() {
    let mut world = World::new(BOUNDS);
    // One after the other, a tenth of a second each.
    let mut asked = 0;
    let mut done = 0;
    let mut next_end = world.now + 100 * MS;
    while asked < 10_000 {
        while asked < 10_000 && world.admission.has_room(JobKind::Event, world.now) {
            world.ask("a/ten", JobKind::Event);
            asked += 1;
        }
        world.pass(5 * MS);
        while next_end <= world.now && !world.open.is_empty() {
            world.end(0, Shown::Delivered);
            done += 1;
            next_end += 100 * MS;
        }
    }
    let later = world.later.len();
    assert!(later + world.waiting() + world.open.len() + done == 10_000);
    let last = world.later.iter().map(|one| one.1.delay).max().unwrap();
    let expected = 1000.0 - (world.now - world.start).as_secs_f64();
    let ratio = last.as_secs_f64() / expected;
    assert!(
        (0.8..1.3).contains(&ratio),
        "the last of {later} comes back after {last:?}"
    );
    assert!(
        world.now - world.start < 2 * SECOND,
        "nobody else waited long for the intake"
    );
}

#[test]
fn when_the_worker_is_at_its_limit_nothing_is_put_off_and_the_intake_waits() {
    let mut world = World::new(Bounds { quick: 8, ..BOUNDS });
    let mut done = 0;
    for round in 0..2_000 {
        while world.admission.has_room(JobKind::Event, world.now) && round < 1_900 {
            for n in 0..10 {
                world.ask(&format!("a/quick-{n}"), JobKind::Event);
            }
        }
        assert!(world.waiting() < 1000 + 10);
        world.pass(MS);
        while world
            .open
            .first()
            .is_some_and(|one| world.now >= one.1 + 4 * MS)
        {
            world.end(0, Shown::Delivered);
            done += 1;
        }
    }
    assert!(world.later.is_empty(), "{:?}", world.later.first());
    assert!(done > 3_000, "{done}");
}

#[test]
fn a_worker_that_is_behind_takes_no_receiver_for_slow() {
    let mut world = World::new(BOUNDS);
    let mut done = 0;
    for _ in 0..500 {
        while world.admission.has_room(JobKind::Event, world.now) {
            world.ask("a/quick", JobKind::Event);
        }
        world.now += 10 * MS;
        world.admission.pass_time(world.now, 8 * MS);
        world.look();
        // Whatever is open is noticed late, one after the other.
        if !world.open.is_empty() {
            world.end(0, Shown::Delivered);
            done += 1;
        }
    }
    assert!(
        world.later.is_empty(),
        "{:?} after {done}",
        world.later.first()
    );
}

#[test]
fn a_full_hand_is_cleared_of_who_has_most_in_it() {
    let mut world = World::new(BOUNDS);
    for _ in 0..4 {
        world.ask("a/slow", JobKind::Event);
        world.ask("b/slow", JobKind::Event);
    }
    world.run(SECOND, |_| Some((300 * MS, Shown::Delivered)));
    for _ in 0..100 {
        world.ask("b/slow", JobKind::Event);
    }
    for _ in 0..2_000 {
        assert!(world.admission.has_room(JobKind::Event, world.now));
        world.ask("a/slow", JobKind::Event);
    }
    assert_eq!(world.deferred("b/slow"), 0);
    assert!(world.deferred("a/slow") > 900);
    assert!(world.waiting() <= 1000);
}

#[test]
fn an_endpoint_that_changed_starts_afresh() {
    let mut world = World::new(BOUNDS);
    world.ask("a/moved", JobKind::Event);
    world.end(0, Shown::Asked(60 * SECOND));
    let key = World::key("a/moved");
    assert!(world.admission.left_alone(&key, world.now).is_some());
    world.moved("a/moved");
    assert_eq!(world.open_to("a/moved"), 1);
    assert_eq!(world.admission.left_alone(&key, world.now), None);
}
