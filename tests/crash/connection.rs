//! The connection to RabbitMQ is cut while both ends live.

use super::account::Promise;
use super::plan::{self, ALSO_GOOD, FAILS_TWICE_EACH, FLAKY, GOOD};
use super::publisher::event_id;
use super::site::{LIMIT, MAX_IN_FLIGHT, Site};
use super::turn;
use crate::support::private::{PrivateRabbit, PrivateRedis};
use crate::support::proxy::Proxy;
use crate::support::receiver::Gate;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_repeats_at_most_what_was_in_flight() {
    const EVENTS: u32 = 3_000;
    const CUTS: u32 = 3;
    let _turn = turn().await;
    let (rabbit, redis) = tokio::join!(PrivateRabbit::start(), PrivateRedis::start());
    let proxy = Proxy::start(rabbit.url());
    let receiver = plan::receiver();
    let webhooks = [GOOD, ALSO_GOOD, FLAKY];
    let site = Site::open("cut", rabbit.url(), redis.url(), receiver, &webhooks);
    let published = site.publish(0..EVENTS).await;
    let worker = site.worker_through(&proxy.url()).await;
    let other = site.worker().await;

    for cut in 1..=CUTS {
        site.wait_for_a_third(EVENTS * cut / CUTS).await;
        proxy.cut();
    }

    let promise = Promise {
        each: 1 + CUTS as usize,
        ..Promise::repeats(CUTS as usize * MAX_IN_FLIGHT)
    };
    let workers = vec![worker, other];
    site.close("connection cut", &published, workers, promise)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_whose_confirm_was_lost_does_not_live_two_lives() {
    /// Webhooks, so that an event makes so many retries at once, however few one may have open.
    const AT_ONCE: usize = 16;
    const EVENTS: u32 = 32;
    let _turn = turn().await;
    let (rabbit, redis) = tokio::join!(PrivateRabbit::start(), PrivateRedis::start());
    let proxy = Proxy::start(rabbit.url());
    let gates = [Gate::closed(), Gate::closed()];
    let [before, during] = gates.clone();
    let receiver = plan::gated_receiver(move |call| {
        let first = call.attempt == 1;
        let warm_up = call.event < event_id(1);
        first.then(|| if warm_up { &gates[0] } else { &gates[1] }.clone())
    });
    let webhooks = FAILS_TWICE_EACH;
    assert_eq!(webhooks.len(), AT_ONCE);
    let site = Site::open("confirm", rabbit.url(), redis.url(), receiver, &webhooks);
    let mut worker = site.worker_through(&proxy.url()).await;

    // As many retries at once as there may be open the channels to publish them on.
    let warm_up = site.publish(0..1).await;
    site.receiver.wait_for(AT_ONCE, LIMIT).await;
    before.open();
    site.receiver.wait_for(3 * AT_ONCE, LIMIT).await;

    // The broker takes the retries, and its confirms do not arrive.
    let harmed = site.publish(1..2).await;
    site.receiver.wait_for(4 * AT_ONCE, LIMIT).await;
    proxy.stall();
    during.open();
    let retries = ["delay.1s", "deliveries"];
    // How many get through depends on the channels that the warm-up opened: some are enough.
    site.wait_for_waiting(&retries, AT_ONCE as u32 / 8).await;
    let more = site.publish(2..EVENTS).await;
    proxy.cut();
    let lost = "lost the connection to publish on";
    worker.wait_for_line(lost, LIMIT).await;
    proxy.resume();

    let promise = Promise::repeats(MAX_IN_FLIGHT);
    let published = warm_up.and(harmed).and(more);
    site.close("confirms lost", &published, vec![worker], promise)
        .await;
}
