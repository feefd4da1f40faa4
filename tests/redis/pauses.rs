//! Workers that tell each other which receivers asked to be left alone.

use std::time::Duration;

use prism_webhooks::domain::admission::Pause;
use prism_webhooks::engine::ports::Pauses as _;
use prism_webhooks::redis::pauses::RedisPauses;

use super::kit::{Proxy, Space, webhook_key};
use crate::rabbitmq::world::soon;

fn pause(webhook: &str) -> Pause {
    Pause {
        webhook: webhook_key(webhook),
        endpoint: u64::MAX,
        wait: Duration::from_secs(20),
    }
}

#[tokio::test]
async fn what_a_worker_tells_the_others_hear_and_it_does_not() {
    let space = Space::new();
    let start = || RedisPauses::start(space.connection.clone(), &space.keys);
    let (one, other) = (start(), start());
    space.listened_to(&space.keys.pauses(), 2).await;
    // What makes no sense is passed over.
    let channel = space.keys.pauses();
    space.ask::<()>(&["PUBLISH", &channel, "nonsense"]).await;
    one.tell(pause("by-one")).await;
    assert_eq!(soon(other.heard()).await, pause("by-one"));
    other.tell(pause("by-other")).await;
    assert_eq!(soon(one.heard()).await, pause("by-other"));
}

#[tokio::test]
async fn workers_hear_each_other_again_after_a_connection_was_lost() {
    let space = Space::new();
    let proxy = Proxy::start().await;
    let far = RedisPauses::start(proxy.connection(), &space.keys);
    space.listened_to(&space.keys.pauses(), 1).await;
    proxy.down();
    space.listened_to(&space.keys.pauses(), 0).await;
    let near = RedisPauses::start(space.connection.clone(), &space.keys);
    proxy.up();
    space.listened_to(&space.keys.pauses(), 2).await;
    near.tell(pause("w")).await;
    assert_eq!(soon(far.heard()).await, pause("w"));
}
