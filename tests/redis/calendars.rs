//! Calendars that workers share.

use std::time::Duration;

use prism_webhooks::domain::returns::{Apart, InLine};
use prism_webhooks::domain::slots::LONGEST;
use prism_webhooks::engine::ports::Calendars as _;
use prism_webhooks::redis::calendars::RedisCalendars;
use tokio::time::Instant;

use super::kit::{Space, webhook_key};

const MINUTE: Duration = Duration::from_secs(60);

fn own(apart: Duration) -> InLine {
    InLine {
        apart: Apart::Own(apart),
        again: false,
    }
}

#[tokio::test]
async fn what_is_put_off_comes_back_as_quickly_as_all_workers_together_get_it_done() {
    let space = Space::new();
    let worker = || RedisCalendars::new(space.connection.clone(), space.keys.clone());
    let (one, other, key) = (worker(), worker(), webhook_key("w"));
    other.put_off(&key, own(10 * MINUTE), MINUTE).await;
    let mut last = one.put_off(&key, own(40 * MINUTE), MINUTE).await;
    for _ in 0..3 {
        // One in ten minutes and one in forty are one in eight.
        let next = one.put_off(&key, own(40 * MINUTE), MINUTE).await;
        let apart = next - last;
        assert!(apart.abs_diff(8 * MINUTE) < MINUTE / 2, "{apart:?}");
        last = next;
    }
}

#[tokio::test]
async fn a_worker_that_puts_nothing_off_tells_others_what_it_gets_done() {
    let space = Space::new();
    let worker = || RedisCalendars::new(space.connection.clone(), space.keys.clone());
    let (one, other, key) = (worker(), worker(), webhook_key("w"));
    let own = own(MINUTE * 10);
    other.tell(vec![(key.clone(), MINUTE * 10)]).await;
    let keys: Vec<String> = space.ask(&["KEYS", &space.keys.calendar(&key)]).await;
    assert!(keys.is_empty(), "nothing is put off");
    one.put_off(&key, own, MINUTE).await;
    other.tell(vec![(key.clone(), MINUTE * 10)]).await;
    let delays = [
        one.put_off(&key, own, MINUTE).await,
        one.put_off(&key, own, MINUTE).await,
    ];
    let apart = delays[1] - delays[0];
    assert!(apart.abs_diff(5 * MINUTE) < MINUTE / 2, "{apart:?}");
}

#[tokio::test]
async fn workers_that_have_said_nothing_yet_are_taken_to_get_as_much_done() {
    let space = Space::new();
    let worker = || RedisCalendars::new(space.connection.clone(), space.keys.clone());
    let (workers, key) = ([worker(), worker(), worker()], webhook_key("w"));
    for worker in [&workers[1], &workers[2], &workers[0]] {
        worker.tell(Vec::new()).await;
    }
    let own = own(MINUTE * 15);
    let delays = [
        workers[0].put_off(&key, own, MINUTE).await,
        workers[0].put_off(&key, own, MINUTE).await,
    ];
    let apart = delays[1] - delays[0];
    assert!(apart.abs_diff(5 * MINUTE) < MINUTE / 2, "{apart:?}");
}

#[tokio::test]
async fn thousands_that_are_put_off_are_as_far_apart_as_the_first() {
    let space = Space::new();
    let worker = || RedisCalendars::new(space.connection.clone(), space.keys.clone());
    let (workers, key) = ([(); 6].map(|()| worker()), webhook_key("w"));
    let own = own(Duration::from_micros(5_000));
    for worker in &workers {
        worker.put_off(&key, own, MINUTE).await;
    }
    let began = Instant::now();
    let mut last = Duration::ZERO;
    for n in 0..8_000 {
        last = workers[n % 6].put_off(&key, own, MINUTE).await;
    }
    // Six of them together: 833 µs and a third, which no store may round each time.
    let comes_back = began.elapsed() + last;
    let expected = MINUTE + Duration::from_micros(833) * 8_000;
    let late = comes_back.abs_diff(expected);
    assert!(late < Duration::from_secs(10), "{comes_back:?}");
}

#[tokio::test]
async fn a_calendar_expires_though_all_is_put_off_for_as_long_as_may_be() {
    let space = Space::new();
    let calendars = RedisCalendars::new(space.connection.clone(), space.keys.clone());
    let own = own(MINUTE);
    let delay = calendars
        .put_off(&webhook_key("w"), own, 120 * MINUTE)
        .await;
    assert_eq!(delay, LONGEST);
    let key = space.keys.calendar(&webhook_key("w"));
    let left: i64 = space.ask(&["TTL", &key]).await;
    assert!((1..7_200).contains(&left), "{left}");
}
