//! Embedded mode under SIGKILL: what was confirmed is delivered after a restart.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{Mutex, watch};

use super::turn;
use crate::running::site::{Running, SOON, Site};
use crate::support::deadline::eventually;
use crate::support::process::{Process, Signal};
use crate::support::receiver::Receiver;

const EVENTS: usize = 10_000;

/// Publishers at once.
const PUBLISHERS: usize = 24;

/// The requests that `run` may have open at once: so many may repeat for each kill.
const MAX_IN_FLIGHT: usize = 256;

/// How long all deliveries may take in a build without optimizations.
const DELIVERED: Duration = Duration::from_secs(60);

/// The ids of the events that arrived, and how many requests came in all.
fn arrived(receiver: &Receiver) -> (HashSet<String>, usize) {
    let counts = receiver.counts_by("webhook-id");
    let requests = counts.values().sum();
    (counts.into_keys().collect(), requests)
}

/// Waits until every confirmed event has arrived, and tells the counts.
async fn account(what: &str, receiver: &Receiver, confirmed: &HashSet<String>, kills: usize) {
    let missing = async || {
        let (arrived, _) = arrived(receiver);
        let missing = confirmed.difference(&arrived).count();
        (missing == 0).then_some(())
    };
    let what_for = format!("{} confirmed events have arrived", confirmed.len());
    eventually(DELIVERED, &what_for, missing).await;
    let (arrived, requests) = arrived(receiver);
    let (confirmed, repeats) = (confirmed.len(), requests - arrived.len());
    let unconfirmed = arrived.len() - confirmed;
    println!(
        "{what}: {confirmed} confirmed, {kills} kills, 0 lost, {repeats} \
         repeated, {unconfirmed} arrived without a confirm"
    );
    assert!(repeats <= kills * MAX_IN_FLIGHT, "{repeats} repeats");
}

/// Publishes its share of the events, each once, to wherever `run` is just then.
async fn publish(
    client: reqwest::Client,
    mut place: watch::Receiver<String>,
    next: Arc<AtomicUsize>,
    confirmed: Arc<Mutex<HashSet<String>>>,
) {
    loop {
        let number = next.fetch_add(1, Ordering::SeqCst);
        if number >= EVENTS {
            return;
        }
        let base = place.borrow_and_update().clone();
        let id = format!("event-{number}");
        let request = client
            .post(format!("{base}/api/v1/events"))
            .header("content-type", "application/json")
            .header("x-prism-event-id", &id)
            .body(json!({"event": "request.completed", "n": number}).to_string());
        match request.send().await {
            Ok(answer) if answer.status() == 202 => {
                confirmed.lock().await.insert(id);
            }
            Ok(answer) => panic!("{}", answer.status()),
            // It was killed; there will be another.
            Err(_) => {
                let moved = place.wait_for(|place| *place != base);
                moved.await.expect("the test goes on");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_while_events_come_over_http_it_loses_nothing_confirmed() {
    let _turn = turn().await;
    let directory = tempfile::tempdir().unwrap();
    let site = Site::embedded(directory.path());
    let receiver = Receiver::ok();
    let mut running = site.start().await;
    running
        .webhook("w", &receiver.url(), Some("a-secret"))
        .await;
    let (tell, place) = watch::channel(running.base.clone());
    let (next, confirmed) = (Arc::new(AtomicUsize::new(0)), Arc::default());
    let publishers = (0..PUBLISHERS).map(|_| {
        let (place, next) = (place.clone(), Arc::clone(&next));
        tokio::spawn(publish(
            site.client.clone(),
            place,
            next,
            Arc::clone(&confirmed),
        ))
    });
    let publishers: Vec<_> = publishers.collect();
    let moments = [1_700, 4_100, 7_300];
    for moment in moments {
        let reached = async || (confirmed.lock().await.len() >= moment).then_some(());
        eventually(DELIVERED, "enough are confirmed", reached).await;
        running = kill_and_start(&site, running).await;
        tell.send_replace(running.base.clone());
    }
    for publisher in publishers {
        publisher.await.unwrap();
    }
    let confirmed = confirmed.lock().await;
    let what = "embedded, killed during events over HTTP";
    account(what, &receiver, &confirmed, moments.len()).await;
    running.stop().await;

    let (arrived, _) = arrived(&receiver);
    let attempts = site.list(&["attempts", "list", "--json", "--limit", "30000"]);
    let recorded: HashSet<&str> = attempts
        .iter()
        .filter(|attempt| attempt["outcome"] == "delivered")
        .filter_map(|attempt| attempt["event_id"].as_str())
        .collect();
    let holes = arrived.iter().filter(|id| !recorded.contains(id.as_str()));
    assert_eq!(holes.count(), 0, "every delivery is on record");
}

async fn kill_and_start(site: &Site, mut running: Running) -> Running {
    running.process.signal(Signal::KILL);
    running.process.wait_exit(SOON).await;
    site.start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_publish_has_kept_everything_that_it_confirmed() {
    let _turn = turn().await;
    let directory = tempfile::tempdir().unwrap();
    let site = Site::embedded(directory.path());
    let receiver = Receiver::ok();
    site.exits(
        &[
            "webhooks",
            "create",
            "--name",
            "w",
            "--url",
            &receiver.url(),
        ],
        0,
    );
    let events = EVENTS.to_string();
    let publish = ["publish", "request.completed", "--ids", "--count", &events];

    // By itself, with the data its own.
    let mut alone = Process::start(&publish, &site.variables());
    printed(&alone, 3_000).await;
    alone.signal(Signal::KILL);
    alone.wait_exit(SOON).await;
    let mut confirmed = ids(&alone);
    assert!(confirmed.len() < EVENTS, "it was killed too late");

    // Handed over to `run`, which is killed.
    let running = site.start().await;
    let mut handed_over = Process::start(&publish, &site.variables());
    printed(&handed_over, 3_000).await;
    let running = kill_and_start(&site, running).await;
    let status = handed_over.wait_exit(SOON).await;
    assert_eq!(status.code(), Some(4), "{}", handed_over.stderr());
    confirmed.extend(ids(&handed_over));

    let what = "embedded, publish killed, then run killed during publish";
    account(what, &receiver, &confirmed, 1).await;
    running.stop().await;
}

/// Waits until a publish has printed so many ids.
async fn printed(publish: &Process, count: usize) {
    let reached = async || (publish.stdout().lines().count() >= count).then_some(());
    eventually(DELIVERED, "enough ids are printed", reached).await;
}

/// The ids that were printed whole.
fn ids(publish: &Process) -> HashSet<String> {
    let stdout = publish.stdout();
    let whole = stdout.rfind('\n').map_or("", |end| &stdout[..end]);
    whole.lines().map(str::to_owned).collect()
}
