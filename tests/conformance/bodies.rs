//! The bodies kept of an organization's deliveries have a budget.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use prism_webhooks::domain::dead_letter::Reason;
use prism_webhooks::domain::delivery::Delivery;
use prism_webhooks::domain::delivery_state::DeliveryState;
use prism_webhooks::domain::event::Event;
use prism_webhooks::domain::ids::Organization;
use prism_webhooks::engine::ports::{DeliveryRecord, Entry, Keep};
use prism_webhooks::store::delivery_log::Recorded;

use super::adapter::{Adapter, BODIES};
use crate::redis::kit::delivery;

const DEAD: DeliveryState = DeliveryState::Dead(Reason::AttemptsExhausted);

/// A delivery whose body is a share of the budget.
fn sized(event: &str, share: f64) -> Delivery {
    let size = (BODIES as f64 * share) as usize;
    let plain = delivery(event, "w1");
    let event = Event {
        body: Bytes::from(vec![b'x'; size]),
        ..(*plain.event).clone()
    };
    Delivery {
        event: Arc::new(event),
        ..plain
    }
}

async fn keep(adapter: &impl Adapter, delivery: &Delivery) {
    let record = DeliveryRecord {
        delivery: delivery.clone(),
        state: DEAD,
        keep: Keep::Whole,
    };
    adapter
        .log()
        .write(Entry {
            delivery: Some(record),
            ..Entry::default()
        })
        .await;
    // Ages are told apart by the millisecond.
    let now = || Timestamp::now().as_millisecond();
    let written = now();
    while now() == written {
        tokio::task::yield_now().await;
    }
}

/// Which of these have their bodies; the states of all are there.
async fn with_body(adapter: &impl Adapter, deliveries: &[Delivery]) -> Vec<bool> {
    let mut kept = Vec::new();
    for delivery in deliveries {
        match adapter.delivery(&delivery.id).await {
            Some(Recorded::Whole(found, state)) => {
                assert_eq!((&*found, state), (delivery, DEAD));
                kept.push(true);
            }
            Some(Recorded::WithoutBody(found, state)) => {
                assert_eq!((found.event.body.len(), state), (0, DEAD));
                assert_eq!(found.webhook, delivery.webhook);
                kept.push(false);
            }
            other => panic!("{other:?}"),
        }
    }
    kept
}

pub async fn beyond_the_budget_the_oldest_bodies_go_and_their_states_stay(adapter: &impl Adapter) {
    let other = {
        let plain = sized("other", 0.9);
        let event = Event {
            organization: Organization::new("other").unwrap(),
            ..(*plain.event).clone()
        };
        Delivery::first(Arc::new(event), plain.webhook)
    };
    keep(adapter, &other).await;
    let deliveries = ["e1", "e2", "e3", "e4", "e5"].map(|event| sized(event, 0.3));
    for delivery in &deliveries[..3] {
        keep(adapter, delivery).await;
    }
    assert_eq!(with_body(adapter, &deliveries[..3]).await, [true; 3]);
    for delivery in &deliveries[3..] {
        keep(adapter, delivery).await;
    }
    let kept = with_body(adapter, &deliveries).await;
    assert_eq!(kept, [false, false, true, true, true]);
    // One that takes the place of several.
    let large = sized("large", 0.7);
    keep(adapter, &large).await;
    let kept = with_body(adapter, &deliveries).await;
    assert_eq!(kept, [false, false, false, false, true]);
    assert_eq!(with_body(adapter, &[large]).await, [true]);
    let found = adapter
        .delivery_of(&other.event.organization, &other.id)
        .await;
    assert_eq!(found, Some(Recorded::Whole(Box::new(other), DEAD)));
}

pub async fn a_body_that_comes_again_is_the_newest_and_counts_once(adapter: &impl Adapter) {
    let deliveries = ["e1", "e2", "e3"].map(|event| sized(event, 0.3));
    for delivery in &deliveries {
        keep(adapter, delivery).await;
    }
    for _ in 0..3 {
        keep(adapter, &deliveries[0]).await;
    }
    assert_eq!(with_body(adapter, &deliveries).await, [true; 3]);
    let fourth = sized("e4", 0.3);
    keep(adapter, &fourth).await;
    let kept = with_body(adapter, &deliveries).await;
    assert_eq!(kept, [true, false, true]);
    // What lost its body has it again with its next attempt.
    keep(adapter, &deliveries[1]).await;
    let kept = with_body(adapter, &deliveries).await;
    assert_eq!(kept, [true, true, false]);
}

pub async fn a_body_larger_than_the_budget_is_not_kept_and_costs_no_other(adapter: &impl Adapter) {
    let small = sized("e1", 0.5);
    keep(adapter, &small).await;
    for share in [1.01, 3.0] {
        let large = sized(&format!("large{share}"), share);
        keep(adapter, &large).await;
        assert_eq!(
            with_body(adapter, &[small.clone(), large]).await,
            [true, false]
        );
    }
    let whole = sized("whole", 1.0);
    keep(adapter, &whole).await;
    assert_eq!(with_body(adapter, &[small, whole]).await, [false, true]);
}
