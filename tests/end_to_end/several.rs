//! Several workers: each has its share, none makes anything later, and what a receiver asks of one it
//! asks of all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _};
use redis::Msg;

use super::deployment::{Deployment, SOON, string};
use crate::support::deadline::eventually;
use crate::support::process::{Process, Signal};
use crate::support::receiver::{Answer, Receiver};
use crate::support::servers::redis_url;

/// Takes 150 ms for each.
fn steady() -> Receiver {
    Receiver::start(|_| Answer::ok().delay(Duration::from_millis(150)))
}

async fn workers(deployment: &Deployment, count: usize) -> Vec<Process> {
    let mut workers = Vec::new();
    for _ in 0..count {
        let mut worker = deployment.process(&["worker"]);
        worker.wait_for_line("is delivering", SOON).await;
        workers.push(worker);
    }
    workers
}

/// Stops a worker, and gives how many deliveries reached their receivers by it.
async fn delivered(mut worker: Process) -> usize {
    worker.signal(Signal::TERM);
    let status = worker.wait_exit(SOON).await;
    assert!(status.success(), "{status}: {}", worker.stderr());
    let stdout = worker.stdout();
    let report = stdout.lines().find(|line| line.starts_with("stopped: "));
    let count = report.and_then(|line| {
        let parts = line.split(", ");
        parts
            .filter_map(|part| part.strip_suffix(" delivered"))
            .next()
    });
    count.unwrap_or_else(|| panic!("{stdout}")).parse().unwrap()
}

/// Has workers deliver so many events for one webhook each; gives what each delivered, and when the
/// last event had come after the first was published.
async fn share(count: usize, events: usize, receiver: &Receiver) -> (Vec<usize>, Duration) {
    let deployment = Deployment::new("several", &[]);
    deployment.webhook("w", &receiver.url(), &[]);
    let workers = workers(&deployment, count).await;
    let before = receiver.count();
    let began = Instant::now();
    deployment.text(&[
        "publish",
        "request.completed",
        "--count",
        &events.to_string(),
    ]);
    let requests = receiver.wait_for(before + events, 2 * SOON).await;
    let last = requests.iter().map(|request| request.arrived).max();
    let mut each = Vec::new();
    for worker in workers {
        each.push(delivered(worker).await);
    }
    assert_eq!(each.iter().sum::<usize>(), events, "{each:?}");
    (each, last.unwrap() - began)
}

#[track_caller]
fn within_a_tenth(each: &[usize]) {
    let mean = each.iter().sum::<usize>() / each.len();
    for share in each {
        assert!(share.abs_diff(mean) * 10 <= mean, "{each:?}");
    }
}

#[tokio::test]
async fn two_and_three_workers_share_the_work_within_a_tenth() {
    for count in [2, 3] {
        // Few, and almost as many as two may hold: beyond that the quicker gets more.
        for events in [300, 4_000] {
            let receiver = Receiver::ok();
            within_a_tenth(&share(count, events, &receiver).await.0);
        }
        let receiver = steady();
        within_a_tenth(&share(count, 600, &receiver).await.0);
    }
}

#[tokio::test]
async fn another_worker_makes_nothing_later() {
    let receiver = steady();
    let alone = share(1, 900, &receiver).await.1;
    for count in [2, 3] {
        let took = share(count, 900, &receiver).await.1;
        assert!(
            took < alone + Duration::from_millis(500),
            "{took:?} by {count}, {alone:?} by one"
        );
    }
}

/// Listens to what workers tell each other of receivers that asked to be left alone.
async fn told(deployment: &Deployment) -> impl Stream<Item = Msg> {
    let client = redis::Client::open(redis_url()).unwrap();
    let mut channel = client.get_async_pubsub().await.unwrap();
    let name = format!("{}:webhooks:pauses", deployment.namespace().as_str());
    channel.subscribe(name).await.unwrap();
    channel.into_on_message()
}

async fn next(told: &mut (impl Stream<Item = Msg> + Unpin)) {
    let next = tokio::time::timeout(SOON, told.next()).await;
    next.unwrap().unwrap();
}

#[tokio::test]
async fn what_a_person_gets_through_by_one_worker_has_all_take_the_endpoint_up_again() {
    let deployment = Deployment::new("several", &[("PRISM_DELAY_LONGEST", "1h")]);
    let asks = Arc::new(AtomicBool::new(false));
    let asking = asks.clone();
    let receiver = Receiver::start(move |_| match asking.swap(false, Ordering::Relaxed) {
        true => Answer::status(429).header("Retry-After", "3600"),
        false => Answer::ok(),
    });
    deployment.webhook("w", &receiver.url(), &[]);
    let _workers = workers(&deployment, 3).await;
    let mut told = told(&deployment).await;
    deployment.text(&["publish", "request.completed", "--count", "60"]);
    deployment.attempts_when(60, &[]).await;
    asks.store(true, Ordering::Relaxed);
    deployment.text(&["publish", "request.completed"]);
    next(&mut told).await;
    let attempts = deployment.attempts_when(61, &[]).await;
    let throttled = attempts.iter().find(|one| one["outcome"] == "throttled");
    let delivery = string(&throttled.unwrap()["delivery_id"]);
    // It is on record a moment before it can be sent again.
    let retried = async || {
        let retry = deployment.run(&["deliveries", "retry", &delivery]);
        retry.status.success().then_some(())
    };
    eventually(SOON, "a retry by hand", retried).await;
    next(&mut told).await;
    deployment.text(&["publish", "request.completed", "--count", "60"]);
    receiver.wait_for(122, SOON).await;
}

#[tokio::test]
async fn an_endpoint_that_asks_one_worker_for_patience_is_left_alone_by_all() {
    let deployment = Deployment::new("several", &[]);
    let asked = AtomicBool::new(false);
    let receiver = Receiver::start(move |_| match asked.swap(true, Ordering::Relaxed) {
        false => Answer::status(429).header("Retry-After", "4"),
        true => Answer::ok(),
    });
    deployment.webhook("w", &receiver.url(), &[]);
    let _workers = workers(&deployment, 3).await;
    let mut told = told(&deployment).await;
    deployment.text(&["publish", "request.completed"]);
    next(&mut told).await;
    deployment.text(&["publish", "request.completed", "--count", "30"]);
    let requests = receiver.wait_for(32, 2 * SOON).await;
    let waited = requests[1].arrived - requests[0].arrived;
    assert!(waited >= Duration::from_secs(4), "{waited:?}");
}
