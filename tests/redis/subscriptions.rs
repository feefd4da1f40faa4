//! The registered webhooks, for the engine.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use prism_webhooks::domain::ids::Organization;
use prism_webhooks::engine::ports::Subscriptions;

use super::kit::{SOON, Space, at, new_webhook, organization, proxy, through, webhook_key};

use crate::support::deadline::eventually;

const HOUR: Duration = Duration::from_secs(3600);

async fn known(subscriptions: &impl Subscriptions) -> usize {
    subscriptions.webhooks(&organization()).await.webhooks.len()
}

/// Waits until one webhook is known.
async fn knows_one(subscriptions: &impl Subscriptions, deadline: Duration) {
    eventually(deadline, "the webhook is known", async || {
        (known(subscriptions).await == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_known_is_not_asked_for_again() {
    let space = Space::new();
    let subscriptions = space.subscriptions(&space.connection, HOUR);
    space.heard_by(&subscriptions).await;
    let first = subscriptions.webhooks(&organization()).await;
    let again = subscriptions.webhooks(&organization()).now_or_never();
    assert!(std::sync::Arc::ptr_eq(&first, &again.unwrap()));
}

#[tokio::test]
async fn a_load_that_a_change_overtakes_is_not_served() {
    let space = Space::new();
    let proxy = proxy();
    let connection = through(&proxy);
    let subscriptions = std::sync::Arc::new(space.subscriptions(&connection, HOUR));
    space.heard_by(&subscriptions).await;
    // Its disappearance will show that the notices before it have been taken.
    let probe = Organization::new("probe").unwrap();
    subscriptions.webhooks(&probe).await;

    proxy.withhold_answers_to(b"HGETALL");
    let loading = tokio::spawn({
        let subscriptions = subscriptions.clone();
        async move { known(&*subscriptions).await }
    });
    proxy.withholds().await;
    let key = space.keys.webhooks(&organization());
    let json = r#"{"id":"w1","name":"n","url":"https://example.com"}"#;
    space.ask::<()>(&["HSET", &key, "w1", json]).await;
    space.tell("acme").await;
    space.tell("probe").await;
    eventually(SOON, "the probe is forgotten", async || {
        let asked = subscriptions.webhooks(&probe).now_or_never();
        asked.is_none().then_some(())
    })
    .await;

    proxy.resume();
    assert_eq!(
        loading.await.unwrap(),
        0,
        "the load began before the change"
    );
    assert_eq!(known(&*subscriptions).await, 1);
}

#[tokio::test]
async fn a_change_that_was_missed_is_made_up_for_when_the_subscription_is_back() {
    let space = Space::new();
    let proxy = proxy();
    let subscriptions = space.subscriptions(&through(&proxy), HOUR);
    space.heard_by(&subscriptions).await;
    assert_eq!(known(&subscriptions).await, 0);
    proxy.down();
    space.listened_to_by(0).await;
    let webhooks = space.webhooks();
    webhooks
        .create(&organization(), new_webhook("n"), at(0))
        .await
        .unwrap();
    assert_eq!(known(&subscriptions).await, 0, "nobody could tell");
    proxy.up();
    knows_one(&subscriptions, SOON).await;
}

#[tokio::test]
async fn a_subscription_whose_peer_died_without_a_word_is_noticed() {
    let space = Space::new();
    let proxy = proxy();
    let subscriptions = space.subscriptions(&through(&proxy), HOUR);
    space.heard_by(&subscriptions).await;
    assert_eq!(known(&subscriptions).await, 0);
    proxy.freeze();
    let webhooks = space.webhooks();
    webhooks
        .create(&organization(), new_webhook("n"), at(0))
        .await
        .unwrap();
    knows_one(&subscriptions, SOON).await;
}

#[tokio::test]
async fn nothing_is_kept_beyond_its_age() {
    let space = Space::new();
    let subscriptions = space.subscriptions(&space.connection, Duration::from_millis(300));
    space.heard_by(&subscriptions).await;
    assert_eq!(known(&subscriptions).await, 0);
    let key = space.keys.webhooks(&organization());
    let json = r#"{"id":"w1","name":"n","url":"https://example.com"}"#;
    space.ask::<()>(&["HSET", &key, "w1", json]).await;
    knows_one(&subscriptions, SOON).await;
}

#[tokio::test]
async fn of_many_that_disable_a_webhook_at_once_one_did_it() {
    let space = Space::new();
    let webhooks = space.webhooks();
    let created = webhooks
        .create(&organization(), new_webhook("n"), at(0))
        .await
        .unwrap();
    let key = webhook_key(&created.document.id);
    let workers: Vec<_> = (0..8)
        .map(|_| space.subscriptions(&space.connection, HOUR))
        .collect();
    let disable = |worker| Subscriptions::disable(worker, &key, "the endpoint is gone", at(9));
    let did = join_all(workers.iter().map(disable)).await;
    assert_eq!(did.iter().filter(|&&did| did).count(), 1, "{did:?}");
    let found = webhooks.get(&organization(), "n").await.unwrap().document;
    assert_eq!(
        found.disabled_reason.as_deref(),
        Some("the endpoint is gone")
    );
    assert_eq!(
        (found.disabled_at, found.updated_at),
        (Some(at(9)), Some(at(9)))
    );
    for worker in &workers {
        let known = worker.webhooks(&organization()).await;
        assert!(!known.webhooks[0].is_enabled());
    }
    assert!(
        !workers[0]
            .disable(&webhook_key("nobody"), "why", at(9))
            .await
    );
}
