//! RabbitMQ stops, dies, and runs short of memory.

use super::account::Promise;
use super::plan::{self, ALSO_GOOD, FAILS_ONCE, FLAKY, GOOD};
use super::site::{LIMIT, MAX_IN_FLIGHT, QUICK_OF_ONE, Site, until};
use super::turn;
use crate::support::private::{PrivateRabbit, PrivateRedis};

const EVENTS: u32 = 3_000;
const WEBHOOKS: [&str; 3] = [GOOD, ALSO_GOOD, FLAKY];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_go_on_by_themselves_after_the_broker_was_stopped() {
    let _turn = turn().await;
    let (rabbit, redis) = tokio::join!(PrivateRabbit::start(), PrivateRedis::start());
    let receiver = plan::receiver();
    let site = Site::open("stop-app", rabbit.url(), redis.url(), receiver, &WEBHOOKS);
    let workers = site.workers(2).await;
    // The rest is published while the broker goes and comes.
    let first = site.publish(0..EVENTS / 2).await;
    let publishing = site.publishing(EVENTS / 2..EVENTS);

    site.wait_for_a_third(EVENTS / 2).await;
    rabbit.stop_app().await;
    rabbit.start_app().await;

    let published = first.and(publishing.await.expect("published"));
    let promise = Promise::repeats(2 * MAX_IN_FLIGHT);
    site.close("RabbitMQ stopped", &published, workers, promise)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_confirmed_survives_its_death() {
    let _turn = turn().await;
    let (mut rabbit, redis) = tokio::join!(PrivateRabbit::start(), PrivateRedis::start());
    let receiver = plan::receiver();
    let site = Site::open(
        "kill-broker",
        rabbit.url(),
        redis.url(),
        receiver,
        &WEBHOOKS,
    );
    rabbit.write_down_queues().await;
    let workers = site.workers(2).await;
    let first = site.publish(0..EVENTS / 2).await;
    let publishing = site.publishing(EVENTS / 2..EVENTS);

    site.wait_for_a_third(EVENTS / 2).await;
    rabbit.restart().await;

    let published = first.and(publishing.await.expect("published"));
    let promise = Promise::repeats(2 * MAX_IN_FLIGHT);
    site.close("RabbitMQ killed", &published, workers, promise)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_blocks_publishers_stops_the_intake_until_it_does_not() {
    const EVENTS: u32 = 600;
    let _turn = turn().await;
    let (rabbit, redis) = tokio::join!(PrivateRabbit::start(), PrivateRedis::start());
    let receiver = plan::receiver();
    let webhooks = [FAILS_ONCE];
    let site = Site::open("alarm", rabbit.url(), redis.url(), receiver, &webhooks);
    let published = site.publish(0..EVENTS).await;
    let memory = ["set_vm_memory_high_watermark", "absolute"];
    rabbit.rabbitmqctl(&[memory[0], memory[1], "1"]).await;
    let mut worker = site.worker().await;

    // Every attempt fails and is on record, and its retry cannot be handed over.
    site.receiver.wait_for(QUICK_OF_ONE, LIMIT).await;
    let blocked = "RabbitMQ blocks publishing";
    worker.wait_for_line(blocked, LIMIT).await;
    until("the receiver has answered all", async || {
        site.receiver.open() == 0
    })
    .await;
    let alarms = rabbit.rabbitmqctl(&["list_connections", "state"]).await;
    assert!(alarms.contains("blocked"), "{alarms:?}");
    assert_eq!(site.receiver.count(), QUICK_OF_ONE);
    assert_eq!(site.on_record().await, Ok(QUICK_OF_ONE));
    let delayed = site.waiting(&["delay.1s", "deliveries"]).await;
    assert_eq!(delayed.expect("asked"), [0, 0]);

    rabbit.rabbitmqctl(&[memory[0], "0.6"]).await;
    let unblocked = "RabbitMQ no longer blocks publishing";
    worker.wait_for_line(unblocked, LIMIT).await;
    let promise = Promise::repeats(0);
    site.close("publishers blocked", &published, vec![worker], promise)
        .await;
}
