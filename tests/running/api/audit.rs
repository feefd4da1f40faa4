//! The audit log over the API: who changed what, told once, to the organization alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::running::modes::in_either_mode;
use crate::running::site::{Running, SOON};
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};

const ALICE: (&str, &str) = ("authorization", "Bearer acme-0123456789abcdef");
const BOB: (&str, &str) = ("authorization", "Bearer all-0123456789abcdef");
const OTHER: (&str, &str) = ("authorization", "Bearer other-0123456789abcdef");
const FOR_ACME: (&str, &str) = ("x-prism-organization", "acme");

in_either_mode! {
    &[
        ("PRISM_RETRY_MAX_ATTEMPTS", "1"),
        ("PRISM_API_TOKEN", "acme:alice:acme-0123456789abcdef,other:other-0123456789abcdef,*:bob:all-0123456789abcdef"),
    ] =>
    every_change_leaves_one_entry_that_says_who_and_what,
    a_refused_change_leaves_no_entry,
    retries_and_jobs_are_entered_with_what_they_did,
    an_organization_sees_its_own_entries_alone_by_parts_and_filters,
}

async fn act(running: &Running, method: &str, path: &str, body: Value) -> Value {
    let body = (method != "DELETE").then_some(body);
    let answer = running.ask_as(method, path, body, &[ALICE]).await;
    assert!(answer.status.is_success(), "{path}: {}", answer.body);
    answer.body
}

/// The entries of acme that the query asks for, newest first.
async fn entries(running: &Running, query: &str) -> Vec<Value> {
    let path = format!("/audit?limit=500{query}");
    let found = running.ask_as("GET", &path, None, &[ALICE]).await.is(200);
    found.items().to_vec()
}

fn actions(entries: &[Value]) -> Vec<&str> {
    let actions = entries.iter().map(|entry| entry["action"].as_str());
    actions.map(Option::unwrap).collect()
}

async fn every_change_leaves_one_entry_that_says_who_and_what(running: &Running) {
    let new = json!({
        "name": "n", "url": "https://example.com/hook?hunter2", "secret": "hunter2-secret",
        "headers": {"x-key": "hunter2-value"},
    });
    let created = act(running, "POST", "/webhooks", new).await;
    let id = created["id"].as_str().unwrap();
    let changes = [
        (
            "PATCH",
            "",
            json!({"name": "m", "headers": {"x-key": "hunter2-other"}}),
        ),
        (
            "PATCH",
            "",
            json!({"url": "https://example.com/new?hunter2"}),
        ),
        (
            "POST",
            "/rotate-secret",
            json!({"secret": "hunter2-staged"}),
        ),
        ("POST", "/drop-staged-secret", json!({})),
        ("POST", "/rotate-secret", json!({"secret": "hunter2-again"})),
        ("POST", "/promote-secret", json!({})),
        (
            "POST",
            "/rotate-secret",
            json!({"promote_after_seconds": 0}),
        ),
        ("POST", "/disable", json!({"reason": "on holiday"})),
        ("POST", "/enable", json!({})),
    ];
    for (method, path, body) in changes {
        act(running, method, &format!("/webhooks/{id}{path}"), body).await;
    }
    let path = format!("/webhooks/{id}");
    let deleted = running
        .ask_as("DELETE", &path, None, &[BOB, FOR_ACME])
        .await;
    deleted.is(204);

    let found = entries(running, "").await;
    let expected = [
        "webhook.deleted",
        "webhook.enabled",
        "webhook.disabled",
        "webhook.secret_rotated",
        "webhook.secret_promoted",
        "webhook.secret_staged",
        "webhook.staged_secret_dropped",
        "webhook.secret_staged",
        "webhook.changed",
        "webhook.changed",
        "webhook.created",
    ];
    assert_eq!(actions(&found), expected);
    let whole = Value::from(found.clone()).to_string();
    assert!(!whole.contains("hunter2"), "{whole}");
    for (entry, actor) in found
        .iter()
        .zip(std::iter::once("bob").chain(std::iter::repeat("alice")))
    {
        assert_eq!(entry["actor"], actor, "{entry}");
        assert_eq!(
            (&entry["through"], &entry["organization"]),
            (&json!("api"), &json!("acme"))
        );
        assert_eq!(entry["webhook_id"], id);
        assert!(entry["at"].is_string(), "{entry}");
    }
    assert_eq!(found[9]["fields"], json!(["name", "headers"]));
    assert_eq!(found[8]["fields"], json!(["url"]));
    assert_eq!(found[8]["url"], "https://example.com/new?***");
    assert_eq!(found[2]["reason"], "on holiday");
    assert_eq!(found[0]["webhook_name"], "m");
}

async fn a_refused_change_leaves_no_entry(running: &Running) {
    let new = |name: &str| json!({"name": name, "url": "https://example.com/"});
    for name in ["one", "two"] {
        act(running, "POST", "/webhooks", new(name)).await;
    }
    let old = ("if-match", "\"0123456789abcdef\"");
    for (method, path, body, status) in [
        ("POST", "/webhooks", new("one"), 409),
        (
            "POST",
            "/webhooks",
            json!({"name": "", "url": "ftp://a"}),
            422,
        ),
        ("PATCH", "/webhooks/one", json!({"name": "two"}), 409),
        ("PATCH", "/webhooks/one", json!({"url": "nonsense"}), 422),
        ("PATCH", "/webhooks/nobody", json!({"name": "three"}), 404),
        ("PATCH", "/webhooks/one", json!({"name": "three"}), 412),
        ("POST", "/webhooks/one/promote-secret", json!({}), 409),
        ("POST", "/webhooks/nobody/disable", json!({}), 404),
        ("POST", "/webhooks/one/enable", json!({}), 412),
        ("POST", "/deliveries/nobody/retry", json!({}), 404),
        ("POST", "/dead-letters/purge", json!({}), 422),
    ] {
        let headers = if status == 412 {
            &[ALICE, old][..]
        } else {
            &[ALICE]
        };
        let refused = running.ask_as(method, path, Some(body), headers).await;
        refused.is(status);
    }
    assert_eq!(entries(running, "").await.len(), 2);
}

/// So many dead letters of acme's, and whether their endpoint is well.
async fn dead(running: &Running, many: usize) -> (Arc<AtomicBool>, Receiver, Vec<Value>) {
    let well = Arc::new(AtomicBool::new(false));
    let now = well.clone();
    let receiver = Receiver::start(move |_| match now.load(Ordering::Relaxed) {
        true => Answer::ok(),
        false => Answer::status(500),
    });
    let new = json!({"name": "n", "url": receiver.url()});
    act(running, "POST", "/webhooks", new).await;
    for n in 0..many {
        let event = ["budget.exceeded", "error.occurred"][n % 2];
        act(running, "POST", "/events", json!({"event": event, "n": n})).await;
    }
    let letters = eventually(SOON, "dead letters", async || {
        let found = running
            .ask_as("GET", "/dead-letters", None, &[ALICE])
            .await
            .is(200);
        (found.items().len() == many).then(|| found.items().to_vec())
    });
    (well, receiver, letters.await)
}

async fn ended(running: &Running, job: &Value) -> Value {
    let path = format!("/dead-letters/jobs/{}", job["id"].as_str().unwrap());
    eventually(SOON, "the job has ended", async || {
        let job = running
            .ask_as("GET", &path, None, &[ALICE])
            .await
            .is(200)
            .body;
        (job["state"] != "running").then_some(job)
    })
    .await
}

async fn retries_and_jobs_are_entered_with_what_they_did(running: &Running) {
    let (well, receiver, letters) = dead(running, 5).await;
    let dry = json!({"all": true, "dry_run": true});
    let job = act(running, "POST", "/dead-letters/purge", dry).await;
    ended(running, &job).await;
    assert_eq!(
        entries(running, "").await.len(),
        1,
        "what only counts changes nothing"
    );

    let purge = json!({"event_type": "error.occurred"});
    let job = act(running, "POST", "/dead-letters/purge", purge).await;
    assert_eq!(ended(running, &job).await["done"], 2);
    let found = entries(running, "").await;
    let expected = [
        "dead_letters.purged",
        "dead_letters.purge_started",
        "webhook.created",
    ];
    assert_eq!(actions(&found), expected);
    for (entry, state, done) in [(&found[0], "done", 2), (&found[1], "running", 0)] {
        assert_eq!(entry["actor"], "alice");
        let told = &entry["job"];
        assert_eq!(
            (&told["id"], &told["state"]),
            (&job["id"], &json!(state)),
            "{entry}"
        );
        assert_eq!(
            (&told["done"], &told["event_type"]),
            (&json!(done), &json!("error.occurred"))
        );
    }

    well.store(true, Ordering::Relaxed);
    let slowly = json!({"all": true, "rate": 0.01});
    let job = act(running, "POST", "/dead-letters/requeue", slowly).await;
    receiver.wait_for(6, SOON).await;
    let path = format!("/dead-letters/jobs/{}", job["id"].as_str().unwrap());
    running
        .ask_as("DELETE", &path, None, &[ALICE])
        .await
        .is(202);
    ended(running, &job).await;
    let stopped = entries(running, "&action=dead_letters.requeued").await;
    let told = &stopped[0]["job"];
    assert_eq!(
        (stopped.len(), &told["state"], &told["done"]),
        (1, &json!("stopped"), &json!(1))
    );

    let left = running
        .ask_as("GET", "/dead-letters", None, &[ALICE])
        .await
        .is(200);
    let left = left.items()[0]["delivery_id"].as_str().unwrap().to_owned();
    assert!(letters.iter().any(|letter| letter["delivery_id"] == *left));
    act(
        running,
        "POST",
        &format!("/deliveries/{left}/retry"),
        json!({}),
    )
    .await;
    let retried = entries(running, "&action=delivery.retried").await;
    assert_eq!(
        (retried.len(), &retried[0]["delivery_id"]),
        (1, &json!(left))
    );
    assert_eq!(retried[0]["webhook_name"], "n");
}

async fn an_organization_sees_its_own_entries_alone_by_parts_and_filters(running: &Running) {
    let new = |name: String| json!({"name": name, "url": "https://example.com/"});
    for n in 0..5 {
        act(running, "POST", "/webhooks", new(format!("w{n}"))).await;
    }
    let id = act(running, "POST", "/webhooks/w3/disable", json!({})).await["id"].clone();
    let theirs = Some(new("theirs".to_owned()));
    running
        .ask_as("POST", "/webhooks", theirs, &[OTHER])
        .await
        .is(201);
    let other = running
        .ask_as("GET", "/audit", None, &[OTHER])
        .await
        .is(200);
    let who = other.items().iter().map(|entry| entry["actor"].clone());
    assert_eq!(
        who.collect::<Vec<_>>(),
        ["token #2"],
        "a token without a name"
    );
    let foreign = running
        .ask_as("GET", "/audit", None, &[OTHER, FOR_ACME])
        .await;
    foreign.is(403);
    let named = running
        .ask_as("GET", "/audit", None, &[BOB, FOR_ACME])
        .await;
    assert_eq!(named.is(200).items().len(), 6);

    let whole = entries(running, "").await;
    let (mut parts, mut path) = (Vec::new(), "/audit?limit=4".to_owned());
    loop {
        let part = running.ask_as("GET", &path, None, &[ALICE]).await.is(200);
        parts.extend(part.items().to_vec());
        let Some(next) = part.body["next"].as_str() else {
            break;
        };
        path = format!("/audit?limit=4&cursor={next}");
    }
    assert_eq!(parts, whole);
    let of = async |query: &str| entries(running, query).await.len();
    assert_eq!(of("&action=webhook.disabled").await, 1);
    assert_eq!(
        of(&format!("&webhook_id={}", id.as_str().unwrap())).await,
        2
    );
    assert_eq!(of("&actor=alice").await, 6);
    assert_eq!(of("&actor=bob").await, 0);
    let third = whole[2]["at"].as_str().unwrap();
    let (since, until) = (
        of(&format!("&since={third}")).await,
        of(&format!("&until={third}")).await,
    );
    assert_eq!((since, until), (3, 3));
    for nonsense in [
        "action=moved",
        "since=yesterday",
        "cursor=x",
        "webhook=w3",
        "limit=0",
    ] {
        let path = format!("/audit?{nonsense}");
        running.ask_as("GET", &path, None, &[ALICE]).await.is(400);
    }
}
