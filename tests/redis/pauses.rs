//! Workers that tell each other which receivers asked to be left alone.

use std::time::Duration;

use prism_webhooks::domain::admission::{Heard, Pause};
use prism_webhooks::engine::ports::{Pauses as _, Subscriptions as _};
use prism_webhooks::redis::connection::Connection;
use prism_webhooks::redis::pauses::RedisPauses;
use prism_webhooks::redis::subscriptions::RedisSubscriptions;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::kit::{Space, organization, proxy, through, webhook_key};
use crate::rabbitmq::world::soon;

fn pause(webhook: &str) -> Pause {
    Pause {
        webhook: webhook_key(webhook),
        endpoint: u64::MAX,
        wait: Duration::from_secs(20),
    }
}

/// That this is what `told` made of it. Telling takes time, which goes off the wait.
fn assert_is_of(heard: &Pause, told: &Pause) {
    assert_eq!(
        (&heard.webhook, heard.endpoint),
        (&told.webhook, told.endpoint)
    );
    let rest = told.wait / 2..=told.wait;
    assert!(rest.contains(&heard.wait), "{heard:?} is not of {told:?}");
}

/// A worker, and what it heeds.
struct Worker {
    subscriptions: RedisSubscriptions,
    pauses: std::sync::Arc<RedisPauses>,
    heeded: UnboundedReceiver<Heard>,
}

impl Worker {
    fn start(space: &Space, connection: &Connection) -> Self {
        let hour = Duration::from_secs(3600);
        let (subscriptions, pauses) = space.subscriptions_and_pauses(connection, hour);
        let (heed, heeded) = unbounded_channel();
        pauses.listen(Box::new(move |heard| heed.send(heard).unwrap()));
        Self {
            subscriptions,
            pauses,
            heeded,
        }
    }

    /// What another worker tells.
    async fn told(&mut self) -> Pause {
        match soon(self.heeded.recv()).await.unwrap() {
            Heard::Told(pause) => pause,
            Heard::Recalled(pause) => panic!("{pause:?} is on record"),
        }
    }

    /// What is on record, once it asks for the webhooks. Redis may take it for subscribed before it
    /// knows of that itself, and forgets what it cached.
    async fn recalled(&mut self) -> Pause {
        let asking = async {
            loop {
                self.subscriptions.webhooks(&organization()).await;
                match self.heeded.try_recv() {
                    Ok(Heard::Recalled(pause)) => return pause,
                    Ok(Heard::Told(pause)) => panic!("{pause:?} is told"),
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        soon(asking).await
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
    assert_is_of(&other.told().await, &pause("by-one"));
    other.pauses.tell(pause("by-other")).await;
    assert_is_of(&one.told().await, &pause("by-other"));
}

#[tokio::test]
async fn what_was_told_while_a_connection_was_lost_is_recalled_with_the_webhooks() {
    let space = Space::new();
    space.register(&["w"]).await;
    let proxy = proxy();
    let mut far = Worker::start(&space, &through(&proxy));
    space.listened_to(&space.keys.pauses(), 1).await;
    far.subscriptions.webhooks(&organization()).await;
    proxy.down();
    space.listened_to(&space.keys.pauses(), 0).await;
    let near = Worker::start(&space, &space.connection);
    near.pauses.tell(pause("w")).await;
    proxy.up();
    space.listened_to(&space.keys.pauses(), 2).await;
    assert_is_of(&far.recalled().await, &pause("w"));
    near.pauses.tell(pause("again")).await;
    assert_is_of(&far.told().await, &pause("again"));
}

#[tokio::test]
async fn what_is_told_while_redis_is_away_is_told_once_it_is_back() {
    let space = Space::new();
    space.register(&["w"]).await;
    let proxy = proxy();
    let far = Worker::start(&space, &through(&proxy));
    space.listened_to(&space.keys.pauses(), 1).await;
    far.subscriptions.webhooks(&organization()).await;
    let mut near = Worker::start(&space, &space.connection);
    space.listened_to(&space.keys.pauses(), 2).await;
    proxy.down();
    let telling = tokio::spawn({
        let pauses = far.pauses.clone();
        async move { pauses.tell(pause("w")).await }
    });
    space.listened_to(&space.keys.pauses(), 1).await;
    proxy.up();
    soon(telling).await.unwrap();
    let told = near.told().await;
    assert!(told.wait < pause("w").wait, "the wait went on: {told:?}");
    assert_eq!(near.recalled().await.webhook, pause("w").webhook);
}

#[tokio::test]
async fn a_key_that_holds_something_else_is_no_pause_and_keeps_nobody_from_hearing_of_one() {
    let space = Space::new();
    space.register(&["w"]).await;
    let key = space.keys.paused(&webhook_key("w"));
    let past = ["HSET", &key, "1", "1", "x", "99999999999999", "2", "-5"];
    space.ask::<()>(&past).await;
    let mut one = Worker::start(&space, &space.connection);
    space.listened_to(&space.keys.pauses(), 1).await;
    one.subscriptions.webhooks(&organization()).await;
    space.ask::<()>(&["DEL", &key]).await;
    space.ask::<()>(&["SET", &key, "text"]).await;
    let other = Worker::start(&space, &space.connection);
    space.listened_to(&space.keys.pauses(), 2).await;
    other.subscriptions.webhooks(&organization()).await;
    other.pauses.tell(pause("w")).await;
    assert_is_of(&one.told().await, &pause("w"));
    let kind: String = space.ask(&["TYPE", &key]).await;
    assert_eq!(kind, "hash");
}
