//! Workers die, at once or in good order.

use super::account::Promise;
use super::plan::{self, ALSO_GOOD, FLAKY, GOOD};
use super::site::{MAX_IN_FLIGHT, Site, stop};
use super::turn;
use crate::support::private::{PrivateRabbit, PrivateRedis};
use crate::support::process::Signal;

const EVENTS: u32 = 3_000;
const WEBHOOKS: [&str; 3] = [GOOD, ALSO_GOOD, FLAKY];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_loses_nothing_and_repeats_at_most_what_it_had_in_flight() {
    let _turn = turn().await;
    let (rabbit, redis) = tokio::join!(PrivateRabbit::start(), PrivateRedis::start());
    let receiver = plan::receiver();
    let site = Site::open("kill-one", rabbit.url(), redis.url(), receiver, &WEBHOOKS);
    let mut workers = site.workers(3).await;
    let publishing = site.publishing(0..EVENTS);

    site.wait_for_a_third(EVENTS).await;
    workers.remove(0).signal(Signal::KILL);

    let published = publishing.await.expect("published");
    let promise = Promise::repeats(MAX_IN_FLIGHT);
    site.close("one of three workers killed", &published, workers, promise)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_every_worker_is_killed_the_next_one_finishes_the_work() {
    let _turn = turn().await;
    let (rabbit, redis) = tokio::join!(PrivateRabbit::start(), PrivateRedis::start());
    let receiver = plan::receiver();
    let site = Site::open("kill-all", rabbit.url(), redis.url(), receiver, &WEBHOOKS);
    let workers = site.workers(3).await;
    let publishing = site.publishing(0..EVENTS);

    site.wait_for_a_third(EVENTS).await;
    for worker in &workers {
        worker.signal(Signal::KILL);
    }
    drop(workers);
    let published = publishing.await.expect("published");
    site.wait_for_waiting(&["events", "deliveries"], 1).await;

    let next = vec![site.worker().await];
    let promise = Promise::repeats(3 * MAX_IN_FLIGHT);
    site.close("all of three workers killed", &published, next, promise)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_told_to_stop_finishes_what_it_began_and_repeats_nothing() {
    let _turn = turn().await;
    let (rabbit, redis) = tokio::join!(PrivateRabbit::start(), PrivateRedis::start());
    let receiver = plan::receiver();
    let site = Site::open("stop", rabbit.url(), redis.url(), receiver, &WEBHOOKS);
    let mut worker = site.worker().await;
    let publishing = site.publishing(0..EVENTS);

    site.wait_for_a_third(EVENTS).await;
    let report = stop(&mut worker).await;
    let requests = site.receiver.count();
    let attempts = format!(" {requests} attempts,");
    assert!(report.contains(&attempts), "{attempts} in {report:?}");
    assert_eq!(site.on_record().await, Ok(requests), "all are on record");
    assert_eq!(site.receiver.open(), 0, "none was cut off");

    let published = publishing.await.expect("published");
    let others = site.workers(2).await;
    site.close("SIGTERM", &published, others, Promise::repeats(0))
        .await;
}
