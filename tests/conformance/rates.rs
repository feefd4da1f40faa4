//! Rate limits, which every store shares among those who ask.

use std::time::Duration;

use prism_webhooks::domain::rate_limit::{AHEAD, RateLimit};

use super::adapter::Adapter;
use crate::redis::kit::webhook_key;

const MINUTE: Duration = Duration::from_secs(60);

fn limit(text: &str) -> RateLimit {
    text.parse().unwrap()
}

pub async fn whoever_asks_a_time_of_a_rate_limit_is_given_once(adapter: &impl Adapter) {
    let (one, other) = (adapter.rates(), adapter.rates());
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
    let (rates, key) = (adapter.rates(), webhook_key("w"));
    rates.reserve(&key, limit("1/h"), 1).await;
    let refused = rates.reserve(&key, limit("1/min"), 1).await;
    assert!(refused.count == 0 && refused.first <= MINUTE);
    // It had nothing free so far ahead, and now there is as soon as the new limit lets it.
    let refused = rates.reserve(&key, limit("9999/s"), 50).await;
    let apart = limit("9999/s").apart();
    assert!(refused.count == 0 && refused.first <= apart);
}

pub async fn nobody_is_given_more_than_half_of_the_times_that_are_free(adapter: &impl Adapter) {
    let (rates, key) = (adapter.rates(), webhook_key("w"));
    let few = rates.reserve(&key, limit("9999/s"), 50).await;
    assert_eq!((few.count, few.in_all), (50, 50));
    let other = webhook_key("w2");
    let most = rates.reserve(&other, limit("9999/s"), 100_000).await;
    let free = AHEAD.as_micros() / 101 + 1;
    assert_eq!(u128::from(most.count), free.div_ceil(2));
}

pub async fn a_deleted_webhook_leaves_no_trace_of_its_rate_limit(adapter: &impl Adapter) {
    let key = adapter.registered("n").await;
    adapter.rates().reserve(&key, limit("1/h"), 1).await;
    let webhooks = adapter.webhooks();
    webhooks
        .delete(&key.organization, key.id.as_str())
        .await
        .unwrap();
    assert_eq!(adapter.keys_of(&key.id).await, 0);
}
