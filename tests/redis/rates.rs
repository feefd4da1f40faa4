//! Calendars that workers share.

use std::time::Duration;

use prism_webhooks::domain::returns::{Apart, InLine};
use prism_webhooks::engine::ports::Rates as _;
use prism_webhooks::redis::rates::RedisRates;

use super::kit::{Space, webhook_key};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_is_put_off_comes_back_as_quickly_as_all_workers_together_get_it_done() {
    let space = Space::new();
    let worker = || RedisRates::new(space.connection.clone(), space.keys.clone());
    let (one, other, key) = (worker(), worker(), webhook_key("w"));
    let own = |minutes| InLine {
        apart: Apart::Own(MINUTE * minutes),
        again: false,
    };
    other.put_off(&key, own(10), MINUTE).await;
    let mut last = one.put_off(&key, own(40), MINUTE).await;
    for _ in 0..3 {
        // One in ten minutes and one in forty are one in eight.
        let next = one.put_off(&key, own(40), MINUTE).await;
        let apart = next - last;
        assert!(apart.abs_diff(8 * MINUTE) < MINUTE / 2, "{apart:?}");
        last = next;
    }
}

#[tokio::test]
async fn a_worker_that_puts_nothing_off_tells_others_what_it_gets_done() {
    let space = Space::new();
    let worker = || RedisRates::new(space.connection.clone(), space.keys.clone());
    let (one, other, key) = (worker(), worker(), webhook_key("w"));
    let own = InLine {
        apart: Apart::Own(MINUTE * 10),
        again: false,
    };
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
    let worker = || RedisRates::new(space.connection.clone(), space.keys.clone());
    let (workers, key) = ([worker(), worker(), worker()], webhook_key("w"));
    for worker in [&workers[1], &workers[2], &workers[0]] {
        worker.tell(Vec::new()).await;
    }
    let own = InLine {
        apart: Apart::Own(MINUTE * 15),
        again: false,
    };
    let delays = [
        workers[0].put_off(&key, own, MINUTE).await,
        workers[0].put_off(&key, own, MINUTE).await,
    ];
    let apart = delays[1] - delays[0];
    assert!(apart.abs_diff(5 * MINUTE) < MINUTE / 2, "{apart:?}");
}
