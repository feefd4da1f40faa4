//! Redis goes away and comes back.

use super::account::Promise;
use super::plan::{self, ALSO_GOOD, FLAKY, GOOD};
use super::publisher::event_id;
use super::site::{LIMIT, MAX_IN_FLIGHT, Site, until};
use super::turn;
use crate::support::private::{PrivateRabbit, PrivateRedis};

const EVENTS: u32 = 3_000;
const WORKERS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_take_nothing_while_redis_is_shut_down_and_go_on_afterwards() {
    redis_away("Redis shut down", "redis-shutdown", async |redis| {
        redis.shutdown().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_redis_acknowledged_survives_its_death() {
    redis_away("Redis killed", "redis-kill", async |redis| redis.kill9()).await;
}

async fn redis_away(test: &str, name: &str, harm: impl AsyncFn(&mut PrivateRedis)) {
    let _turn = turn().await;
    let (rabbit, mut redis) = tokio::join!(PrivateRabbit::start(), PrivateRedis::start());
    let webhooks = [GOOD, ALSO_GOOD, FLAKY];
    let receiver = plan::receiver();
    let site = Site::open(name, rabbit.url(), redis.url(), receiver, &webhooks);
    let mut workers = site.workers(WORKERS).await;
    let published = site.publish(0..EVENTS / 2).await;

    site.wait_for_a_third(EVENTS / 2).await;
    harm(&mut redis).await;
    let at_harm = site.receiver.count();
    for worker in &mut workers {
        worker.wait_for_line("Redis cannot be reached", LIMIT).await;
    }
    // A worker that takes any would take these: it has room for them.
    let published = published.and(site.publish(EVENTS / 2..EVENTS).await);
    until("the receiver has answered all", async || {
        site.receiver.open() == 0
    })
    .await;
    let begun = site.receiver.count() - at_harm;
    assert!(begun <= WORKERS * MAX_IN_FLIGHT, "{begun} requests begun");
    let late = event_id(EVENTS / 2);
    let requests = site.receiver.requests();
    let taken = requests
        .iter()
        .filter(|request| request.header("webhook-id") >= Some(late.clone()))
        .count();
    assert_eq!(taken, 0, "requests for events published while it was away");
    redis.start_again().await;

    // What the dying Redis carried out without saying so is recorded once more.
    let promise = Promise {
        surplus_entries: WORKERS * MAX_IN_FLIGHT,
        ..Promise::repeats(0)
    };
    site.close(test, &published, workers, promise).await;
}
