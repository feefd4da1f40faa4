//! A change-over from one secret to the next, in any order of its steps.

use proptest::prelude::*;

use super::*;
use crate::domain::stored_secret::{Standing, standings};

const HOUR: Duration = Duration::from_secs(3600);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn signing(secrets: &[StoredSecret], now: Timestamp) -> Vec<String> {
    let active = active(secrets, StoredSecret::term, now).into_iter();
    active.map(|one| one.value.clone()).collect()
}

fn rotated(
    secrets: &[StoredSecret],
    new: &str,
    promote: Promote,
    at: Timestamp,
) -> Vec<StoredSecret> {
    let rotation = Rotation {
        promote,
        overlap: HOUR,
    };
    rotate(secrets, new.to_owned(), rotation, at).unwrap()
}

fn one(value: &str) -> Vec<StoredSecret> {
    vec![StoredSecret::new(value.to_owned())]
}

#[test]
fn what_is_staged_signs_second_until_it_is_promoted_and_then_the_old_one_ends() {
    let staged = rotated(&one("old"), "new", Promote::ByHand, at(0));
    assert_eq!(signing(&staged, at(1_000_000)), ["old", "new"]);
    let promoted = promote(&staged, None, at(10)).unwrap();
    assert_eq!(signing(&promoted, at(10)), ["new", "old"]);
    assert_eq!(signing(&promoted, at(10 + 3599)), ["new", "old"]);
    assert_eq!(signing(&promoted, at(10 + 3600)), ["new"]);
    let sooner = promote(&staged, Some(Duration::ZERO), at(10)).unwrap();
    assert_eq!(signing(&sooner, at(10)), ["new"]);
    let again = promote(&promoted, None, at(11));
    assert_eq!(again, Err(RotationError::NoneStaged));
}

#[test]
fn a_set_time_takes_effect_with_nothing_written() {
    let staged = rotated(&one("old"), "new", Promote::At(at(100)), at(0));
    assert_eq!(signing(&staged, at(99)), ["old", "new"]);
    assert_eq!(signing(&staged, at(100)), ["new", "old"]);
    assert_eq!(signing(&staged, at(100 + 3599)), ["new", "old"]);
    assert_eq!(signing(&staged, at(100 + 3600)), ["new"]);
    let over = promote(&staged, None, at(100));
    assert_eq!(over, Err(RotationError::NoneStaged));
    let next = rotated(&staged, "next", Promote::ByHand, at(200));
    assert_eq!(signing(&next, at(200)), ["new", "next", "old"]);
}

#[test]
fn a_newer_promotion_is_not_undone_by_an_older_one_that_was_set() {
    let first = rotated(&one("old"), "first", Promote::At(at(200)), at(0));
    let second = rotated(&first, "second", Promote::At(at(100)), at(1));
    assert_eq!(signing(&second, at(300))[0], "second");
    let by_hand = rotated(&first, "second", Promote::Now, at(1));
    assert_eq!(signing(&by_hand, at(300))[0], "second");
    let earlier = rotated(&one("old"), "first", Promote::At(at(50)), at(0));
    let later = rotated(&earlier, "second", Promote::At(at(100)), at(1));
    for (second, current) in [(49, "old"), (50, "first"), (99, "first"), (100, "second")] {
        assert_eq!(signing(&later, at(second))[0], current, "{second}");
    }
}

#[test]
fn the_first_secret_signs_at_once_and_so_does_one_after_the_last_has_ended() {
    let first = rotated(&[], "one", Promote::ByHand, at(0));
    assert_eq!(first, one("one"));
    let mut ends = one("old");
    ends[0].expires_at = Some(at(10));
    assert_eq!(rotated(&ends, "new", Promote::ByHand, at(10)), one("new"));
    let staged = rotated(&ends, "new", Promote::ByHand, at(0));
    assert_eq!(signing(&staged, at(9)), ["old", "new"]);
    assert_eq!(
        signing(&staged, at(10)),
        ["new"],
        "nothing else is there to sign with"
    );
    assert_eq!(promote(&staged, None, at(10)), Ok(one("new")));
}

#[test]
fn what_was_staged_by_mistake_is_dropped_and_the_current_one_stays() {
    let by_hand = rotated(&one("old"), "new", Promote::ByHand, at(0));
    assert_eq!(drop_staged(&by_hand, at(1)), Ok(one("old")));
    let by_itself = rotated(&one("old"), "new", Promote::At(at(100)), at(0));
    assert_eq!(
        drop_staged(&by_itself, at(99)),
        Ok(one("old")),
        "it ends no more"
    );
    let over = drop_staged(&by_itself, at(100));
    assert_eq!(over, Err(RotationError::NoneStaged));
}

#[test]
fn at_most_ten_are_active_and_the_refusal_names_the_mend() {
    let mut secrets = one("0");
    for number in 1..10 {
        secrets = rotated(&secrets, &number.to_string(), Promote::Now, at(number));
    }
    assert_eq!(signing(&secrets, at(10)).len(), MOST_ACTIVE);
    let more = |promote, overlap| {
        rotate(
            &secrets,
            "more".to_owned(),
            Rotation { promote, overlap },
            at(10),
        )
    };
    for promote in [Promote::ByHand, Promote::Now, Promote::At(at(20))] {
        let refused = more(promote, HOUR).unwrap_err();
        assert_eq!(refused, RotationError::TooMany(Some(at(1 + 3600))));
        let said = refused.to_string();
        assert!(
            said.contains("10 active secrets") && said.contains("overlap of 0"),
            "{said}"
        );
    }
    assert_eq!(more(Promote::Now, Duration::ZERO), Ok(one("more")));
    let later = rotate(
        &secrets,
        "more".to_owned(),
        Rotation {
            promote: Promote::ByHand,
            overlap: HOUR,
        },
        at(1 + 3600),
    );
    assert!(later.is_ok());
}

#[test]
fn a_document_of_before_means_what_it_meant() {
    let json = r#"[{"value":"new"},{"value":"old","expires_at":"2026-01-02T00:00:00Z"},{"value":"older"}]"#;
    let secrets: Vec<StoredSecret> = serde_json::from_str(json).unwrap();
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(signing(&secrets, start), ["new", "old", "older"]);
    assert_eq!(signing(&secrets, start + 24 * HOUR), ["new", "older"]);
    assert_eq!(serde_json::to_string(&secrets).unwrap(), json);
    assert_eq!(
        promote(&secrets, None, start),
        Err(RotationError::NoneStaged)
    );
}

#[derive(Debug, Clone)]
enum Act {
    Rotate(Option<u64>, u64),
    Promote(Option<u64>),
    Drop,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (proptest::option::of(0..200_u64), 1..300_u64).prop_map(|(after, overlap)| Act::Rotate(after, overlap)),
        2 => proptest::option::of(1..300_u64).prop_map(Act::Promote),
        1 => Just(Act::Drop),
    ]
}

proptest! {
    /// The current secret changes by a promotion alone, and whoever was current signs on.
    #[test]
    fn no_moment_is_without_a_current_secret_and_none_takes_over_unannounced(
        acts in proptest::collection::vec((0..150_i64, act()), 1..25)
    ) {
        let (mut secrets, mut now) = (one("first"), 0);
        for (number, (pause, act)) in acts.into_iter().enumerate() {
            let before = secrets.clone();
            for second in now..now + pause {
                let (here, next) = (signing(&before, at(second)), signing(&before, at(second + 1)));
                prop_assert!(!here.is_empty() && here.len() <= MOST_ACTIVE);
                prop_assert!(next[0] == here[0] || next.contains(&here[0]), "{here:?} {next:?}");
                prop_assert!(here.contains(&next[0]), "{here:?} {next:?}");
            }
            now += pause;
            let seconds = Duration::from_secs;
            let changed = match act {
                Act::Rotate(after, overlap) => {
                    let promote = after.map_or(Promote::ByHand, |after| Promote::At(at(now) + seconds(after)));
                    let rotation = Rotation { promote, overlap: seconds(overlap) };
                    rotate(&secrets, number.to_string(), rotation, at(now))
                }
                Act::Promote(overlap) => promote(&secrets, overlap.map(seconds), at(now)),
                Act::Drop => drop_staged(&secrets, at(now)),
            };
            let Ok(changed) = changed else { continue };
            let (here, next) = (signing(&secrets, at(now)), signing(&changed, at(now)));
            prop_assert!(next.contains(&here[0]), "the one that receivers know signs on");
            let staged_only = matches!(second(&changed, at(now)), Some(Standing::Staged { .. }));
            if staged_only {
                prop_assert_eq!(&next[0], &here[0]);
            }
            // A program that knows nothing of staging takes the first that is active.
            let plain = changed.iter().find(|one| one.term().expires_at.is_none_or(|end| at(now) < end));
            prop_assert_eq!(&plain.unwrap().value, &next[0]);
            secrets = changed;
        }
    }
}

/// What the second of the secrets does.
fn second(secrets: &[StoredSecret], now: Timestamp) -> Option<Standing> {
    let terms: Vec<_> = secrets.iter().map(StoredSecret::term).collect();
    standings(&terms, now).get(1).copied()
}
