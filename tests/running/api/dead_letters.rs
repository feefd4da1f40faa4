//! Dead letters over the API: listed, requeued, purged, with progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::running::modes::in_either_mode;
use crate::running::site::{Running, SOON};
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};

in_either_mode! { &[("PRISM_RETRY_MAX_ATTEMPTS", "1")] =>
    dead_letters_are_listed_by_cursor_and_chosen_ones_requeued,
    a_job_at_a_rate_shows_its_progress_and_can_be_stopped,
    a_purge_keeps_to_its_filter_and_a_dry_run_touches_nothing,
    behind_a_place_whose_letter_and_all_after_it_have_gone_there_is_nothing,
}

/// Endpoints that fail until told otherwise, and so many dead letters.
async fn dead(running: &Running, many: usize) -> (Arc<AtomicBool>, Receiver) {
    let well = Arc::new(AtomicBool::new(false));
    let now = well.clone();
    let receiver = Receiver::start(move |_| match now.load(Ordering::Relaxed) {
        true => Answer::ok(),
        false => Answer::status(500),
    });
    running.webhook("n", &receiver.url(), None).await;
    for n in 0..many {
        let event = ["budget.exceeded", "error.occurred"][n % 2];
        running.publish(&json!({"event": event, "n": n})).await;
    }
    letters(running, many).await;
    (well, receiver)
}

/// Waits until there are so many.
async fn letters(running: &Running, many: usize) -> Vec<Value> {
    eventually(SOON, &format!("{many} dead letters"), async || {
        let found = running.get("/dead-letters").await.is(200);
        (found.items().len() == many).then(|| found.items().to_vec())
    })
    .await
}

/// Waits for the end of a job.
async fn ended(running: &Running, job: &Value) -> Value {
    let path = format!("/dead-letters/jobs/{}", job["id"].as_str().unwrap());
    eventually(SOON, "the job has ended", async || {
        let job = running.get(&path).await.is(200).body;
        (job["state"] != "running").then_some(job)
    })
    .await
}

async fn dead_letters_are_listed_by_cursor_and_chosen_ones_requeued(running: &Running) {
    let (well, receiver) = dead(running, 5).await;
    let (mut ids, mut path) = (Vec::new(), "/dead-letters?limit=2".to_owned());
    loop {
        let part = running.get(&path).await.is(200);
        ids.extend(part.items().iter().map(|one| one["id"].clone()));
        let Some(next) = part.body["next"].as_str() else {
            break;
        };
        path = format!("/dead-letters?limit=2&cursor={next}");
    }
    assert_eq!(ids.len(), 5);
    let budgets = running.get("/dead-letters?event_type=budget.exceeded&reason=attempts-exhausted");
    assert_eq!(budgets.await.is(200).items().len(), 3);
    for nonsense in ["reason=bad", "cursor=x", "event_type=A"] {
        running
            .get(&format!("/dead-letters?{nonsense}"))
            .await
            .is(400);
    }

    well.store(true, Ordering::Relaxed);
    let chosen = json!({"ids": [ids[1], ids[3]]});
    let job = running
        .ask("POST", "/dead-letters/requeue", Some(chosen))
        .await
        .is(202);
    let place = job.header("location").to_owned();
    let job = ended(running, &job.body).await;
    assert!(place.ends_with(job["id"].as_str().unwrap()), "{place}");
    assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(2)));
    assert_eq!(job["looked_at"], 5);
    assert!(job.get("total").is_none(), "of every organization: {job}");
    receiver.wait_for(7, SOON).await;
    let left = letters(running, 3).await;
    let mut left: Vec<_> = left.iter().map(|one| one["id"].clone()).collect();
    left.sort_by_key(ToString::to_string);
    let mut expected = vec![ids[0].clone(), ids[2].clone(), ids[4].clone()];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(left, expected);
}

async fn behind_a_place_whose_letter_and_all_after_it_have_gone_there_is_nothing(
    running: &Running,
) {
    // In another millisecond than the rest: those of one come again behind a place that has gone.
    let _kept = dead(running, 1).await;
    for _ in 0..2 {
        running.publish(&json!({"event": "error.occurred"})).await;
    }
    letters(running, 3).await;
    let part = running.get("/dead-letters?limit=2").await.is(200);
    let next = part.body["next"].as_str().unwrap().to_owned();
    let all = letters(running, 3).await;
    let newest = json!({"ids": [all[1]["id"], all[2]["id"]]});
    let purge = running.ask("POST", "/dead-letters/purge", Some(newest));
    ended(running, &purge.await.is(202).body).await;
    letters(running, 1).await;
    let path = format!("/dead-letters?cursor={next}");
    let behind = running.get(&path).await.is(200);
    assert!(behind.items().is_empty(), "{:?}", behind.body);
}

async fn a_job_at_a_rate_shows_its_progress_and_can_be_stopped(running: &Running) {
    let (well, _receiver) = dead(running, 4).await;
    well.store(true, Ordering::Relaxed);
    let slowly = json!({"all": true, "rate": 0.01});
    let started = running.ask("POST", "/dead-letters/requeue", Some(slowly.clone()));
    let job = started.await.is(202).body;
    assert_eq!(job["state"], "running");
    let path = format!("/dead-letters/jobs/{}", job["id"].as_str().unwrap());
    eventually(SOON, "the first is done", async || {
        let job = running.get(&path).await.is(200).body;
        (job["done"].as_u64() >= Some(1)).then_some(())
    })
    .await;
    let second = running
        .ask("POST", "/dead-letters/requeue", Some(slowly))
        .await;
    second.is(409);
    running.ask("DELETE", &path, None).await.is(202);
    let stopped = ended(running, &job).await;
    assert_eq!(stopped["state"], "stopped");
    letters(running, 3).await;
    let rest = json!({"all": true});
    let job = running
        .ask("POST", "/dead-letters/requeue", Some(rest))
        .await
        .is(202);
    assert_eq!(ended(running, &job.body).await["state"], "done");
    letters(running, 0).await;
}

async fn a_purge_keeps_to_its_filter_and_a_dry_run_touches_nothing(running: &Running) {
    let (_well, receiver) = dead(running, 4).await;
    for nonsense in [
        json!({}),
        json!({"all": true, "rate": 0}),
        json!({"all": true, "limit": 0}),
    ] {
        let refused = running.ask("POST", "/dead-letters/purge", Some(nonsense));
        refused.await.is(422);
    }
    let dry = json!({"event_type": "budget.exceeded", "dry_run": true});
    let job = running
        .ask("POST", "/dead-letters/purge", Some(dry))
        .await
        .is(202);
    let job = ended(running, &job.body).await;
    assert_eq!((&job["done"], &job["dry_run"]), (&json!(2), &json!(true)));
    letters(running, 4).await;
    let all = letters(running, 4).await;
    // What dies at once comes to a queue in any order: the ends of the period are the least and the
    // greatest of the times, not those of the first and the last.
    let at = |one: &Value| {
        one["dead_at"]
            .as_str()
            .unwrap()
            .parse::<Timestamp>()
            .unwrap()
    };
    let (first, last) = (all.iter().map(at).min(), all.iter().map(at).max());
    let (first, last) = (first.unwrap(), last.unwrap());
    let before = json!({"until": first.to_string()});
    let none = running.ask("POST", "/dead-letters/purge", Some(before));
    let none = ended(running, &none.await.is(202).body).await;
    assert_eq!(none["done"], 0, "an end is not of its period");
    let since = running.get(&format!("/dead-letters?since={last}")).await;
    let since = since.is(200);
    let as_late = all.iter().filter(|one| at(one) >= last).count();
    assert_eq!(since.items().len(), as_late, "{:?}", since.body);
    running.get("/dead-letters?since=yesterday").await.is(400);
    let purge = json!({"event_type": "budget.exceeded"});
    let job = running
        .ask("POST", "/dead-letters/purge", Some(purge))
        .await
        .is(202);
    ended(running, &job.body).await;
    let left = letters(running, 2).await;
    assert!(left.iter().all(|one| one["event_type"] == "error.occurred"));
    assert_eq!(receiver.count(), 4);
    running.get("/dead-letters/jobs/nobody").await.is(404);
}
