//! Whose deliveries are held back, which every store shows to everybody.

use std::time::Duration;

use jiff::Timestamp;
use prism_webhooks::domain::admission::Why;
use prism_webhooks::domain::held_back::HeldBack;
use prism_webhooks::domain::ids::WebhookId;
use prism_webhooks::engine::ports::Notice;

use super::adapter::Adapter;
use crate::redis::kit::{at, new_webhook, organization, webhook_key};

const MINUTE: Duration = Duration::from_secs(60);

async fn registered(adapter: &impl Adapter, name: &str) -> WebhookId {
    let (webhooks, organization) = (adapter.webhooks(), organization());
    let created = webhooks.create(&organization, new_webhook(name), at(0));
    created.await.unwrap().webhook.id
}

/// Held back since a minute ago, until so long from now; as exact as every store is.
fn held(why: Why, until: Duration) -> HeldBack {
    let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap();
    let (since, until) = (now - MINUTE, now + until);
    HeldBack { why, since, until }
}

async fn say(adapter: &impl Adapter, worker: &str, id: &WebhookId, held: Option<HeldBack>) {
    let webhook = webhook_key(id.as_str());
    let notices = vec![Notice { webhook, held }];
    adapter.board(worker).put_up(notices).await;
}

async fn shown(adapter: &impl Adapter, id: &WebhookId) -> Option<HeldBack> {
    let shown = adapter.held_back(std::slice::from_ref(id)).await;
    shown.into_values().next()
}

pub async fn what_a_worker_says_of_a_webhook_stands_until_it_says_otherwise(
    adapter: &impl Adapter,
) {
    let id = registered(adapter, "n").await;
    assert_eq!(shown(adapter, &id).await, None);
    for held in Why::ALL.map(|why| held(why, 10 * MINUTE)) {
        say(adapter, "a", &id, Some(held)).await;
        assert_eq!(shown(adapter, &id).await, Some(held));
    }
    let sooner = held(Why::Line, MINUTE);
    say(adapter, "a", &id, Some(sooner)).await;
    assert_eq!(shown(adapter, &id).await, Some(sooner));
    say(adapter, "a", &id, None).await;
    assert_eq!(shown(adapter, &id).await, None);
    assert_eq!(adapter.keys_of(&id).await, 0);
}

pub async fn what_is_over_is_not_shown_and_what_is_said_of_one_is_not_said_of_another(
    adapter: &impl Adapter,
) {
    let (id, other) = (
        registered(adapter, "n").await,
        registered(adapter, "m").await,
    );
    let over = HeldBack {
        until: Timestamp::now(),
        ..held(Why::Failures, MINUTE)
    };
    say(adapter, "a", &id, Some(over)).await;
    assert_eq!(shown(adapter, &id).await, None);
    let held = held(Why::Failures, MINUTE);
    say(adapter, "a", &other, Some(held)).await;
    let both = adapter.held_back(&[id, other.clone()]).await;
    assert_eq!(both.into_iter().collect::<Vec<_>>(), [(other, held)]);
    assert!(adapter.held_back(&[]).await.is_empty());
}

pub async fn of_a_webhook_that_is_not_registered_nothing_is_kept(adapter: &impl Adapter) {
    let id = registered(adapter, "n").await;
    say(adapter, "a", &id, Some(held(Why::Slow, MINUTE))).await;
    let webhooks = adapter.webhooks();
    webhooks.delete(&organization(), id.as_str()).await.unwrap();
    assert_eq!(adapter.keys_of(&id).await, 0);
    say(adapter, "a", &id, Some(held(Why::Slow, MINUTE))).await;
    assert_eq!(adapter.keys_of(&id).await, 0);
}
