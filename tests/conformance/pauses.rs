//! Receivers that asked to be left alone, told to a worker that starts later.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prism_webhooks::domain::admission::{Heard, Pause};
use prism_webhooks::domain::webhook::WebhookKey;

use super::adapter::Adapter;
use crate::redis::kit::{document, organization, webhook_key};
use crate::support::deadline::eventually;

const MINUTE: Duration = Duration::from_secs(60);

/// No store keeps time more exactly than that it is over by then.
const SOON: Duration = Duration::from_secs(5);

/// Does not fit into a signed number.
const ENDPOINT: u64 = u64::MAX;

async fn tell(adapter: &impl Adapter, webhook: &WebhookKey, endpoint: u64, wait: Duration) {
    let pause = Pause {
        webhook: webhook.clone(),
        endpoint,
        wait,
    };
    adapter.subscriptions_and_pauses().1.tell(pause).await;
}

/// What a worker that starts now heeds before it knows the webhooks.
async fn recalled(adapter: &impl Adapter) -> Vec<Pause> {
    let (source, handle) = adapter.work().await;
    adapter.crash(source, handle).await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (subscriptions, pauses) = adapter.subscriptions_and_pauses();
    let heeded = heard.clone();
    pauses.listen(Box::new(move |heard| match heard {
        Heard::Recalled(pause) => heeded.lock().unwrap().push(pause),
        Heard::Told(pause) => panic!("nobody tells {pause:?}"),
    }));
    subscriptions.webhooks(&organization()).await;
    std::mem::take(&mut *heard.lock().unwrap())
}

pub async fn a_worker_that_starts_heeds_what_was_told_before(adapter: &impl Adapter) {
    let (webhook, _other) = (adapter.registered("w").await, adapter.registered("o").await);
    tell(adapter, &webhook, ENDPOINT, MINUTE).await;
    let heard = recalled(adapter).await;
    let [pause] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!((&pause.webhook, pause.endpoint), (&webhook, ENDPOINT));
    assert!(
        (MINUTE / 2..=MINUTE).contains(&pause.wait),
        "{:?}",
        pause.wait
    );
}

pub async fn what_is_over_or_told_to_be_is_not_recalled(adapter: &impl Adapter) {
    let (over, lifted) = (adapter.registered("a").await, adapter.registered("b").await);
    let kept = adapter.registered("c").await;
    tell(adapter, &over, ENDPOINT, Duration::from_nanos(1)).await;
    eventually(SOON, "it is over", async || {
        recalled(adapter).await.is_empty().then_some(())
    })
    .await;
    tell(adapter, &lifted, ENDPOINT, MINUTE).await;
    tell(adapter, &lifted, ENDPOINT, Duration::ZERO).await;
    tell(adapter, &kept, ENDPOINT, MINUTE).await;
    tell(adapter, &kept, 1, Duration::ZERO).await;
    let heard = recalled(adapter).await;
    assert!(heard.iter().all(|pause| pause.webhook == kept), "{heard:?}");
    assert_eq!(
        heard.len(),
        1,
        "it was another endpoint that it is over for"
    );
}

pub async fn of_two_pauses_of_one_endpoint_the_longer_is_recalled_and_of_two_endpoints_both(
    adapter: &impl Adapter,
) {
    let (same, moved) = (adapter.registered("a").await, adapter.registered("b").await);
    for webhook in [&same, &moved] {
        tell(adapter, webhook, ENDPOINT, MINUTE).await;
    }
    tell(adapter, &same, ENDPOINT, MINUTE / 4).await;
    tell(adapter, &moved, 1, MINUTE / 4).await;
    let heard = recalled(adapter).await;
    assert_eq!(heard.len(), 3, "{heard:?}");
    for pause in heard {
        let is_long = pause.wait > MINUTE / 2;
        assert_eq!(is_long, pause.endpoint == ENDPOINT, "{pause:?}");
    }
}

pub async fn nothing_is_recalled_of_a_webhook_that_was_deleted_meanwhile(adapter: &impl Adapter) {
    let (webhook, document) = (webhook_key("again"), document("again"));
    adapter.put_document("again", &document).await;
    tell(adapter, &webhook, ENDPOINT, MINUTE).await;
    let deleting = adapter.webhooks();
    deleting.delete(&organization(), "again").await.unwrap();
    drop(deleting);
    assert_eq!(adapter.keys_of(&webhook.id).await, 0);
    // By a worker whose request was still open.
    tell(adapter, &webhook, ENDPOINT, MINUTE).await;
    assert_eq!(adapter.keys_of(&webhook.id).await, 0);
    adapter.put_document("again", &document).await;
    assert!(recalled(adapter).await.is_empty());
}
