//! Rate limits, which every store shares among those who ask.

use std::time::Duration;

use prism_webhooks::domain::rate_limit::{AHEAD, RateLimit};
use prism_webhooks::domain::returns::{Apart, InLine};
use prism_webhooks::domain::slots::LONGEST;

use super::adapter::Adapter;
use crate::redis::kit::webhook_key;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn in_line(apart: Apart) -> InLine {
    InLine {
        apart,
        again: false,
    }
}

fn limit(text: &str) -> RateLimit {
    text.parse().unwrap()
}

pub async fn whoever_asks_a_time_of_a_rate_limit_is_given_once(adapter: &impl Adapter) {
    let (one, other) = (adapter.calendars(), adapter.calendars());
    let key = webhook_key("w");
    let first = one.reserve(&key, limit("1/h"), 5).await;
    assert_eq!((first.count, first.first), (1, Duration::ZERO));
    assert_eq!(first.in_all, 1);
    let refused = other.reserve(&key, limit("1/h"), 5).await;
    assert_eq!((refused.count, refused.in_all), (0, 1));
    let span = 50 * MINUTE..=60 * MINUTE - AHEAD;
    assert!(span.contains(&refused.first), "{:?}", refused.first);
    let another = other.reserve(&webhook_key("w2"), limit("1/h"), 1).await;
    assert_eq!(another.count, 1, "of another webhook");
}

pub async fn a_higher_rate_limit_acts_at_once(adapter: &impl Adapter) {
    let (calendars, key) = (adapter.calendars(), webhook_key("w"));
    calendars.reserve(&key, limit("1/h"), 1).await;
    let refused = calendars.reserve(&key, limit("1/min"), 1).await;
    assert!(refused.count == 0 && refused.first <= MINUTE);
    // It had nothing free so far ahead, and now there is as soon as the new limit lets it.
    let refused = calendars.reserve(&key, limit("9999/s"), 50).await;
    let apart = limit("9999/s").apart();
    assert!(refused.count == 0 && refused.first <= apart);
}

pub async fn nobody_is_given_more_than_half_of_the_times_that_are_free(adapter: &impl Adapter) {
    let (calendars, key) = (adapter.calendars(), webhook_key("w"));
    let few = calendars.reserve(&key, limit("9999/s"), 50).await;
    assert_eq!((few.count, few.in_all), (50, 50));
    let other = webhook_key("w2");
    let most = calendars.reserve(&other, limit("9999/s"), 100_000).await;
    let free = AHEAD.as_micros() / 101 + 1;
    assert_eq!(u128::from(most.count), free.div_ceil(2));
}

pub async fn a_deleted_webhook_leaves_no_trace_of_its_calendar(adapter: &impl Adapter) {
    let key = adapter.registered("n").await;
    adapter.calendars().reserve(&key, limit("1/h"), 1).await;
    let line = in_line(Apart::Own(SECOND));
    adapter.calendars().put_off(&key, line, SECOND).await;
    let webhooks = adapter.webhooks();
    webhooks
        .delete(&key.organization, key.id.as_str())
        .await
        .unwrap();
    assert_eq!(adapter.keys_of(&key.id).await, 0);
}

/// Stores tell the time by their own clocks, which go on meanwhile.
fn is_about(delay: Duration, expected: Duration) -> bool {
    delay.abs_diff(expected) < MINUTE
}

pub async fn what_several_put_off_comes_back_one_after_the_other(adapter: &impl Adapter) {
    let (one, other, key) = (adapter.calendars(), adapter.calendars(), webhook_key("w"));
    let line = in_line(Apart::All(5 * MINUTE));
    for n in [0, 2, 4] {
        let delay = one.put_off(&key, line, 2 * MINUTE).await;
        assert!(is_about(delay, 2 * MINUTE + 5 * MINUTE * n), "{delay:?}");
        let delay = other.put_off(&key, line, 3 * MINUTE).await;
        assert!(is_about(delay, 7 * MINUTE + 5 * MINUTE * n), "{delay:?}");
    }
    let another = one.put_off(&webhook_key("w2"), line, MINUTE).await;
    assert!(is_about(another, MINUTE), "of another webhook");
    for _ in 0..20 {
        one.put_off(&key, line, SECOND).await;
    }
    assert_eq!(one.put_off(&key, line, SECOND).await, LONGEST);
}

pub async fn what_becomes_slower_leaves_room_for_what_comes_back_again(adapter: &impl Adapter) {
    let (calendars, key) = (adapter.calendars(), webhook_key("w"));
    let (quick, slow) = (in_line(Apart::All(MINUTE)), in_line(Apart::All(5 * MINUTE)));
    for _ in 0..5 {
        calendars.put_off(&key, quick, SECOND).await;
    }
    let first = calendars.put_off(&key, slow, SECOND).await;
    assert!(is_about(first, 25 * MINUTE), "{first:?}");
    let again = InLine {
        again: true,
        ..slow
    };
    let delay = calendars.put_off(&key, again, SECOND).await;
    assert!(is_about(delay, 5 * MINUTE), "{delay:?}");
    let delay = calendars.put_off(&key, again, SECOND).await;
    assert!(is_about(delay, 10 * MINUTE), "{delay:?}");
    let next = calendars.put_off(&key, slow, SECOND).await;
    assert!(is_about(next, 30 * MINUTE), "{next:?}");
}

pub async fn what_one_worker_gets_done_it_says_itself(adapter: &impl Adapter) {
    let (calendars, key) = (adapter.calendars(), webhook_key("w"));
    let own = |minutes| in_line(Apart::Own(MINUTE * minutes));
    calendars.put_off(&key, own(40), SECOND).await;
    let delay = calendars.put_off(&key, own(8), SECOND).await;
    assert!(
        is_about(delay, 8 * MINUTE),
        "what it said before: {delay:?}"
    );
    let delay = calendars.put_off(&key, own(8), SECOND).await;
    assert!(is_about(delay, 16 * MINUTE), "{delay:?}");
}
