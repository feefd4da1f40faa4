//! Workers that tell each other which receivers asked to be left alone.

use std::time::Duration;

use prism_webhooks::domain::admission::Pause;
use prism_webhooks::engine::ports::{Pauses as _, Subscriptions as _};
use prism_webhooks::redis::connection::Connection;
use prism_webhooks::redis::pauses::RedisPauses;
use prism_webhooks::redis::subscriptions::RedisSubscriptions;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::kit::{Proxy, Space, organization, webhook_key};
use crate::rabbitmq::world::soon;

fn pause(webhook: &str) -> Pause {
    Pause {
        webhook: webhook_key(webhook),
        endpoint: u64::MAX,
        wait: Duration::from_secs(20),
    }
}

/// A worker, and what it heeds.
struct Worker {
    subscriptions: RedisSubscriptions,
    pauses: std::sync::Arc<RedisPauses>,
    heeded: UnboundedReceiver<Pause>,
}

impl Worker {
    fn start(space: &Space, connection: &Connection) -> Self {
        let hour = Duration::from_secs(3600);
        let (subscriptions, pauses) = space.subscriptions_and_pauses(connection, hour);
        let (heed, heeded) = unbounded_channel();
        pauses.listen(Box::new(move |pause| heed.send(pause).unwrap()));
        Self {
            subscriptions,
            pauses,
            heeded,
        }
    }

    async fn heeds(&mut self) -> Pause {
        soon(self.heeded.recv()).await.unwrap()
    }
}

#[tokio::test]
async fn what_a_worker_tells_the_others_hear_and_it_does_not() {
    let space = Space::new();
    let start = || Worker::start(&space, &space.connection);
    let (mut one, mut other) = (start(), start());
    space.listened_to(&space.keys.pauses(), 2).await;
    // What makes no sense is passed over.
    let channel = space.keys.pauses();
    space.ask::<()>(&["PUBLISH", &channel, "nonsense"]).await;
    one.pauses.tell(pause("by-one")).await;
    assert_eq!(other.heeds().await, pause("by-one"));
    other.pauses.tell(pause("by-other")).await;
    assert_eq!(one.heeds().await, pause("by-other"));
}

#[tokio::test]
async fn what_was_told_while_a_connection_was_lost_is_recalled_with_the_webhooks() {
    let space = Space::new();
    space.register(&["w"]).await;
    let proxy = Proxy::start().await;
    let mut far = Worker::start(&space, &proxy.connection());
    space.listened_to(&space.keys.pauses(), 1).await;
    far.subscriptions.webhooks(&organization()).await;
    proxy.down();
    space.listened_to(&space.keys.pauses(), 0).await;
    let near = Worker::start(&space, &space.connection);
    near.pauses.tell(pause("w")).await;
    proxy.up();
    space.listened_to(&space.keys.pauses(), 2).await;
    far.subscriptions.webhooks(&organization()).await;
    let recalled = far.heeds().await;
    assert_eq!(recalled.webhook, pause("w").webhook);
    assert!(recalled.wait > Duration::from_secs(10));
    near.pauses.tell(pause("again")).await;
    assert_eq!(far.heeds().await, pause("again"));
}
