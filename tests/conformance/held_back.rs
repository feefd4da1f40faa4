//! Whose deliveries are held back, which every store shows to everybody.

use std::time::Duration;

use jiff::Timestamp;
use prism_webhooks::domain::admission::Why;
use prism_webhooks::domain::held_back::{HeldBack, Phase};
use prism_webhooks::domain::webhook::WebhookKey;

use super::adapter::Adapter;

const MINUTE: Duration = Duration::from_secs(60);

/// Held back since a minute ago, until so long from now; as exact as every store is.
fn held(why: Why, until: Duration) -> HeldBack {
    let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap();
    let (since, until) = (now - MINUTE, now + until);
    HeldBack {
        why,
        since,
        until,
        phase: Phase::Held,
    }
}

async fn say(adapter: &impl Adapter, worker: &str, webhook: &WebhookKey, held: Option<HeldBack>) {
    adapter
        .board(worker)
        .put_up(vec![(webhook.clone(), held)])
        .await;
}

async fn shown(adapter: &impl Adapter, webhook: &WebhookKey) -> Option<HeldBack> {
    let shown = adapter.held_back(std::slice::from_ref(&webhook.id)).await;
    shown.into_values().next()
}

pub async fn what_a_worker_says_of_a_webhook_stands_until_it_says_otherwise(
    adapter: &impl Adapter,
) {
    let webhook = adapter.registered("n").await;
    assert_eq!(shown(adapter, &webhook).await, None);
    for held in Why::ALL.map(|why| held(why, 10 * MINUTE)) {
        for held in Phase::ALL.map(|phase| HeldBack { phase, ..held }) {
            say(adapter, "a", &webhook, Some(held)).await;
            assert_eq!(shown(adapter, &webhook).await, Some(held));
        }
    }
    let sooner = held(Why::Line, MINUTE);
    say(adapter, "a", &webhook, Some(sooner)).await;
    assert_eq!(shown(adapter, &webhook).await, Some(sooner));
    say(adapter, "a", &webhook, None).await;
    assert_eq!(shown(adapter, &webhook).await, None);
    assert_eq!(adapter.keys_of(&webhook.id).await, 0);
}

pub async fn what_is_over_is_not_shown_and_what_is_said_of_one_is_not_said_of_another(
    adapter: &impl Adapter,
) {
    let (webhook, other) = (adapter.registered("n").await, adapter.registered("m").await);
    let over = HeldBack {
        until: Timestamp::now() - MINUTE,
        ..held(Why::Failures, MINUTE)
    };
    say(adapter, "a", &webhook, Some(over)).await;
    assert_eq!(shown(adapter, &webhook).await, None);
    let held = held(Why::Failures, MINUTE);
    say(adapter, "a", &other, Some(held)).await;
    let both = adapter.held_back(&[webhook.id, other.id.clone()]).await;
    assert_eq!(both.into_iter().collect::<Vec<_>>(), [(other.id, held)]);
    assert!(adapter.held_back(&[]).await.is_empty());
}

pub async fn of_a_webhook_that_is_not_registered_nothing_is_kept(adapter: &impl Adapter) {
    let webhook = adapter.registered("n").await;
    say(adapter, "a", &webhook, Some(held(Why::Slow, MINUTE))).await;
    let webhooks = adapter.webhooks();
    webhooks
        .delete(&webhook.organization, webhook.id.as_str())
        .await
        .unwrap();
    assert_eq!(adapter.keys_of(&webhook.id).await, 0);
    say(adapter, "a", &webhook, Some(held(Why::Slow, MINUTE))).await;
    assert_eq!(adapter.keys_of(&webhook.id).await, 0);
}
