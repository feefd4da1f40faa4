//! When a receiver is left alone, by itself.

use std::time::{Duration, Instant};

use crate::domain::admission::breaker::{Breaker, Standing};
use crate::domain::admission::limit::Ended;
use crate::domain::held_back::Why;

const SECOND: Duration = Duration::from_secs(1);

fn failing(times: u32, start: Instant) -> Breaker {
    let mut breaker = Breaker::new(10);
    for _ in 0..times {
        breaker.ended(Ended::Failed, start, start);
    }
    breaker
}

#[test]
fn a_run_of_failures_shuts_it_and_a_success_ends_the_run() {
    let start = Instant::now();
    let mut breaker = failing(9, start);
    assert_eq!(breaker.standing(false, start), Standing::Open);
    breaker.ended(Ended::Delivered, start, start);
    breaker.ended(Ended::Failed, start, start);
    assert_eq!(breaker.standing(false, start), Standing::Open);
    let shut = Standing::Shut(start + SECOND, Why::Failures);
    assert_eq!(failing(10, start).standing(false, start), shut);
}

#[test]
fn probes_that_fail_come_at_growing_intervals() {
    let start = Instant::now();
    let mut breaker = failing(10, start);
    let mut now = start;
    let mut waits = Vec::new();
    for _ in 0..12 {
        let Standing::Shut(until, _) = breaker.standing(false, now) else {
            panic!("{breaker:?}");
        };
        waits.push((until - now).as_secs());
        now = until;
        assert_eq!(breaker.standing(false, now), Standing::Probe);
        breaker.ended(Ended::Failed, now, now);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60]);
}

#[test]
fn it_opens_slowly_and_then_holds_nobody_back() {
    let start = Instant::now();
    let mut breaker = failing(10, start);
    let mut now = start + SECOND;
    let mut begun = Vec::new();
    while begun.len() < 30 {
        match breaker.standing(false, now) {
            Standing::Paced(until) => now = until,
            Standing::Open | Standing::Probe => {
                begun.push(now - start - SECOND);
                breaker.began(now);
                breaker.ended(Ended::Delivered, now, now);
            }
            Standing::Shut(..) | Standing::ByHandSoon(..) => panic!("{breaker:?}"),
        }
    }
    let within = |limit: Duration| begun.iter().filter(|at| **at < limit).count();
    assert!(within(SECOND) <= 2, "{begun:?}");
    assert_eq!(within(5 * SECOND), 30, "{begun:?}");
}

#[test]
fn what_it_asked_for_is_kept_whatever_was_open() {
    let start = Instant::now();
    let mut breaker = Breaker::new(10);
    breaker.asked(20 * SECOND, start, start);
    let before = start - SECOND;
    assert!(!breaker.ended(Ended::Delivered, before, start + SECOND));
    breaker.asked(5 * SECOND, start, start + SECOND);
    let shut = Standing::Shut(start + 20 * SECOND, Why::Asked);
    assert_eq!(breaker.standing(false, start + 19 * SECOND), shut);
    assert_eq!(
        breaker.standing(false, start + 20 * SECOND),
        Standing::Probe
    );
}

#[test]
fn what_it_asked_for_is_kept_though_failures_had_shut_it_for_longer() {
    let start = Instant::now();
    let mut breaker = failing(10, start);
    breaker.asked(SECOND, start, start);
    assert_eq!(breaker.asked_until(), Some(start + SECOND));
    let soon = start + SECOND / 2;
    assert!(!breaker.ended(Ended::Delivered, start, soon));
    assert!(breaker.ended(Ended::Delivered, start, start + SECOND));
    assert_eq!(breaker.asked_until(), None);
}

#[test]
fn what_a_person_sent_meanwhile_and_it_took_opens_it() {
    let start = Instant::now();
    let mut breaker = Breaker::new(10);
    breaker.asked(Duration::MAX, start, start);
    let later = start + 60 * SECOND;
    assert_eq!(breaker.standing(true, later), Standing::Probe);
    assert!(breaker.ended(Ended::Delivered, later, later));
}

#[test]
fn a_person_need_not_wait_for_the_probe_but_cannot_flood() {
    let start = Instant::now();
    let mut breaker = failing(10, start);
    assert_eq!(breaker.standing(true, start), Standing::Probe);
    breaker.began(start);
    let soon = Standing::ByHandSoon(start + SECOND, Why::Failures);
    assert_eq!(breaker.standing(true, start), soon);
    assert!(matches!(breaker.standing(false, start), Standing::Shut(..)));
}

#[test]
fn a_breaker_that_is_turned_off_never_shuts() {
    let start = Instant::now();
    let mut breaker = Breaker::new(0);
    for _ in 0..1000 {
        breaker.ended(Ended::TimedOut, start, start);
    }
    assert_eq!(breaker.standing(false, start), Standing::Open);
}
