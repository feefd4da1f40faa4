//! Whatever happens in which order, bounds are kept and everybody gets an answer.

use proptest::prelude::*;

use super::super::{Bounds, JobKind, Shown, schedule};
use super::world::{ENDPOINT, MS, OTHER_ENDPOINT, SECOND, World};
use crate::domain::slots::LONGEST;

#[derive(Debug, Clone, Copy)]
enum Step {
    Ask(u8, bool),
    End(u8, u8),
    GiveUp(u8),
    Pass(u16),
    Hear(u8, u8),
    Change(u8, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..12_u8, any::<bool>()).prop_map(|(who, kind)| Step::Ask(who, kind)),
        5 => (any::<u8>(), 0..10_u8).prop_map(|(which, how)| Step::End(which, how)),
        1 => any::<u8>().prop_map(Step::GiveUp),
        3 => (0..3_000_u16).prop_map(Step::Pass),
        1 => (0..12_u8, any::<u8>()).prop_map(|(who, wait)| Step::Hear(who, wait)),
        1 => (0..12_u8, any::<u8>()).prop_map(|(who, how)| Step::Change(who, how)),
    ];
    prop::collection::vec(step, 0..400)
}

/// Two of them have a rate limit.
fn name(who: u8) -> String {
    match who {
        4 | 8 => format!("o{}/limited-20-w{who}", who % 3),
        _ => format!("o{}/w{who}", who % 3),
    }
}

/// Three of them move.
fn moves(who: u8) -> bool {
    who % 4 == 3
}

proptest! {
    #[test]
    fn bounds_are_kept_and_everybody_gets_an_answer(steps in steps(), quick in 1..20_usize, slow in 1..20_usize) {
        let bounds = Bounds { webhook_max_in_flight: 8, quick, slow, hand: 20, breaker_after: 5 };
        let mut world = World::new(bounds);
        let mut asked = 0;
        let mut given_up = 0;
        let mut ended = 0;
        for step in steps {
            let before = world.later.len();
            match step {
                Step::Ask(who, event) => {
                    let kind = if event { JobKind::Event } else { JobKind::Message };
                    world.ask(&name(who), kind);
                    asked += 1;
                }
                Step::End(which, how) if !world.open.is_empty() => {
                    let shown = match how {
                        0 => Shown::Failed,
                        1 => Shown::TimedOut,
                        2 => Shown::Asked(SECOND * u32::from(which)),
                        3 => Shown::Nothing,
                        _ => Shown::Delivered,
                    };
                    world.end(usize::from(which) % world.open.len(), shown);
                    ended += 1;
                }
                Step::GiveUp(which) => {
                    let open: Vec<_> = world.open.iter().map(|one| one.0).collect();
                    let waiting = world.names.keys().copied().find(|one| !open.contains(one));
                    let ticket = match waiting {
                        Some(ticket) => ticket,
                        None if !open.is_empty() => world.open.remove(usize::from(which) % open.len()).0,
                        None => continue,
                    };
                    world.names.remove(&ticket);
                    world.admission.settled(ticket, world.now);
                    world.look();
                    given_up += 1;
                }
                Step::Pass(millis) => world.pass(u32::from(millis) * MS),
                Step::Hear(who, wait) => {
                    world.hear(&name(who), ENDPOINT, SECOND * u32::from(wait));
                }
                Step::Change(who, how) => {
                    let url = if moves(who) && how % 2 == 0 { OTHER_ENDPOINT } else { ENDPOINT };
                    if how % 5 == 4 {
                        world.unwanted(&name(who));
                        continue;
                    }
                    let rate = [None, Some("20/s"), Some("1/s")][usize::from(how) % 3];
                    world.changed(&name(who), url, rate);
                }
                Step::End(..) => {}
            }
            let put_off = world.later[before..].to_vec();
            for (name, deferral) in put_off {
                let held = world.held(&name);
                prop_assert!(held.is_some(), "nobody is told that {name} has {deferral:?}");
            }
            let (in_quick, in_slow) = world.admission.places();
            prop_assert!(in_quick <= quick && in_slow <= slow);
            prop_assert_eq!(in_quick + in_slow, world.open.len());
            let waiting = world.waiting();
            prop_assert_eq!(asked, ended + given_up + world.open.len() + waiting + world.later.len());
            for who in (0..12).filter(|who| !moves(*who)) {
                prop_assert!(world.open_to(&name(who)) <= 8);
            }
            for (_, deferral) in &world.later {
                prop_assert!((schedule::SHORTEST..=LONGEST).contains(&deferral.delay));
            }
        }
        // Left alone with receivers that are quick from now on, everything ends.
        world.run(400 * SECOND, |_| Some((MS, Shown::Delivered)));
        prop_assert_eq!(world.waiting(), 0);
        prop_assert!(world.open.is_empty());
        prop_assert_eq!(world.admission.places(), (0, 0));
        world.now += 7200 * SECOND;
        world.admission.forget_idle(world.now);
        prop_assert_eq!(world.admission.receivers(), 0);
    }
}
