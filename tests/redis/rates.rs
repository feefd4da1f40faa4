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
