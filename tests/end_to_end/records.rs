//! What operators look at and act upon: the record of attempts, and the dead letters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::receiver::{Answer, Receiver};

use super::broker::Message;
use super::deployment::{Deployment, SOON, field, string};

#[tokio::test]
async fn attempts_can_be_listed_by_what_is_asked_and_watched_as_they_are_made() {
    let deployment = Deployment::start("attempts", &[]).await;
    let ok = Receiver::start(|_| Answer::ok().body("\u{1b}[31mthanks\n"));
    let failing = Receiver::start(|_| Answer::status(503).body("x".repeat(3000)));
    let a = deployment.webhook("a", &ok.url(), &[]);
    let acme = ["--organization", "acme", "--retry-max-attempts", "1"];
    let b = deployment.webhook("b", &failing.url(), &acme);
    let e1 = deployment.publish(&["error.occurred"]);
    deployment.attempts_when(1, &[]).await;
    let before = jiff::Timestamp::now().to_string();
    let e2 = deployment.publish(&["budget.exceeded", "--organization", "acme"]);
    deployment.attempts_when(2, &[]).await;

    for (filter, expected) in [
        (vec![], vec![&e1, &e2]),
        (vec!["--webhook", &a], vec![&e1]),
        (vec!["--webhook", &b, "--organization", "acme"], vec![&e2]),
        (vec!["--webhook", &b], vec![]),
        (vec!["--organization", "acme"], vec![&e2]),
        (vec!["--event", "error.occurred"], vec![&e1]),
        (vec!["--outcome", "throttled"], vec![&e2]),
        (vec!["--status", "2"], vec![&e1]),
        (vec!["--status", "5"], vec![&e2]),
        (vec!["--status", "503"], vec![&e2]),
        (vec!["--status", "500"], vec![]),
        (vec!["--since", &before], vec![&e2]),
        (vec!["--until", &before], vec![&e1]),
        (vec!["--since", "1h"], vec![&e1, &e2]),
        (vec!["--status", "4"], vec![]),
    ] {
        let found = deployment.attempts(&filter);
        let expected: Vec<&str> = expected.into_iter().map(|id| &**id).collect();
        assert_eq!(field(&found, "event_id"), *expected, "{filter:?}");
    }
    let newest = deployment.json(&["attempts", "list", "--json", "--limit", "1"]);
    let attempt = &newest[0];
    assert_eq!(attempt["event_id"], *e2, "newest first");
    assert_eq!(attempt["status_code"], 503);
    assert_eq!(
        attempt["response_body"],
        "x".repeat(1024),
        "a kilobyte is kept"
    );
    assert_eq!(attempt["response_truncated"], true);
    assert_eq!(attempt["url"], format!("{}/", failing.url()));
    let text = deployment.text(&["attempts", "list"]);
    assert!(
        text.contains("delivered") && text.contains("throttled"),
        "{text}"
    );
    assert!(
        !text.contains('\u{1b}'),
        "what comes from elsewhere cannot draw on a terminal"
    );
    let none = deployment.text(&["attempts", "list", "--outcome", "gone"]);
    assert_eq!(none, "no attempts on record\n");
    for wrong in [["--status", "x"], ["--since", "soon"], ["--limit", "-1"]] {
        deployment.refused(&[&["attempts", "list"], &wrong[..]].concat(), 2);
    }

    let mut tail = deployment.process(&["attempts", "tail", "--json", "--webhook", &a]);
    let mut lines = deployment.process(&["attempts", "tail"]);
    // A tail begins when it is connected, which nothing shows: publish until it has.
    let event = super::until_line(&mut tail, "\"event_id\"", async || {
        deployment.publish(&["error.occurred"]);
    })
    .await;
    let event: Value = serde_json::from_str(&event).expect("one JSON object a line");
    assert_eq!(
        (&event["webhook_id"], &event["outcome"]),
        (&json!(a), &json!("delivered"))
    );
    let line = super::until_line(&mut lines, "budget.exceeded", async || {
        deployment.publish(&["budget.exceeded", "--organization", "acme"]);
    })
    .await;
    let by_name = line.split_whitespace().any(|word| word == "b");
    assert!(line.contains("throttled") && by_name, "{line}");
    assert!(
        !tail.stdout().contains("budget.exceeded"),
        "it was filtered"
    );
}

#[tokio::test]
async fn what_tenants_and_receivers_write_cannot_draw_on_a_terminal() {
    const DRAWS: &str = "\u{1b}[2J\u{9b}31m\u{7f}over\rwritten\u{202e}exe\u{2066}\u{2028}";
    let deployment = Deployment::start("draws", &[]).await;
    let receiver = Receiver::start(|_| {
        let redirect = Answer::status(302).header("location", "/\u{1b}[2J\u{9b}31m");
        redirect.body(DRAWS)
    });
    let more = ["--description", DRAWS, "--retry-max-attempts", "1"];
    let id = deployment.webhook(&format!("n{DRAWS}"), &receiver.url(), &more);
    let mut tail = deployment.process(&["attempts", "tail"]);
    let event = super::until_line(&mut tail, "error.occurred", async || {
        deployment.publish(&["error.occurred"]);
    });
    let watched = event.await;
    let attempts = deployment.attempts_when(1, &[]).await;
    let delivery = string(&attempts[0]["delivery_id"]);
    let (tested, failure) = deployment.exits(&["webhooks", "test", &id], 1);
    let (_, logged) = deployment.exits(&["webhooks", "disable", &id], 0);
    assert!(logged.contains("over\\rwritten\\u202eexe"), "{logged:?}");
    let said = [
        watched,
        tested,
        failure,
        logged,
        deployment.text(&["webhooks", "show", &id]),
        deployment.text(&["webhooks", "list"]),
        deployment.text(&["attempts", "list"]),
        deployment.text(&["deliveries", "show", &delivery]),
        deployment.text(&["dead-letters", "list"]),
        deployment.text(&["webhooks", "show", "--json", &id]),
        deployment.text(&["attempts", "list", "--json"]),
        deployment.text(&["webhooks", "export"]),
        deployment.text(&["audit", "list"]),
        deployment.text(&["audit", "list", "--json"]),
    ];
    let draws = |c: char| {
        let turns = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || c.is_control() && c != '\t'
    };
    for text in &said {
        let lines = text.split('\n');
        let drawing = |line: &&str| line.contains(draws);
        assert_eq!(
            lines.filter(drawing).collect::<Vec<_>>(),
            [""; 0],
            "{text:?}"
        );
    }
    assert_eq!(attempts[0]["response_body"], DRAWS);
}

fn tally(deployment: &Deployment, arguments: &[&str]) -> [u64; 3] {
    let all = [&["dead-letters"], arguments, &["--json"]].concat();
    let summary = deployment.json(&all);
    ["done", "kept", "total"].map(|name| summary[name].as_u64().expect("a number"))
}

#[tokio::test]
async fn dead_letters_are_listed_tried_out_requeued_and_purged_by_what_is_asked() {
    let deployment = Deployment::start("letters", &[("PRISM_RETRY_MAX_ATTEMPTS", "1")]).await;
    let broker = deployment.broker().await;
    let mended = Arc::new(AtomicBool::new(false));
    let answering = || {
        let mended = mended.clone();
        Receiver::start(move |_| match mended.load(Ordering::SeqCst) {
            true => Answer::ok(),
            false => Answer::status(500),
        })
    };
    let [first, second] = [answering(), answering()];
    let [a, b] =
        [("a", &first), ("b", &second)].map(|(name, r)| deployment.webhook(name, &r.url(), &[]));
    broker
        .publish(Message::new("error.occurred", "no event"))
        .await;
    broker.publish(Message::event("error.occurred", "e1")).await;
    broker
        .publish(Message::event("budget.exceeded", "e2"))
        .await;
    let letters = deployment.dead_letters_when(&broker, 5).await;
    assert_eq!(
        deployment.text(&["dead-letters", "list"]).lines().count(),
        6
    );

    let count = |filter: &[&str]| deployment.dead_letters(filter).len();
    for (filter, expected) in [
        (&["--webhook", &a][..], 2),
        (&["--event", "error.occurred"], 3),
        (&["--event", "error.occurred", "--webhook", &b], 1),
        (&["--reason", "invalid-event"], 1),
        (&["--reason", "attempts-exhausted"], 4),
        // What names no organization belongs to `default`, as an event does.
        (&["--organization", "default"], 5),
        (&["--organization", "other"], 0),
        (&["--limit", "2"], 2),
    ] {
        assert_eq!(count(filter), expected, "{filter:?}");
    }
    let usage = deployment.refused(&["dead-letters", "requeue"], 2);
    assert!(
        usage.contains("--all"),
        "nothing chosen is not everything: {usage}"
    );
    deployment.refused(&["dead-letters", "purge"], 2);
    deployment.refused(&["dead-letters", "requeue", "--all", "--webhook", &a], 2);
    deployment.refused(&["dead-letters", "list", "--reason", "tired"], 2);

    assert_eq!(
        tally(&deployment, &["requeue", "--all", "--dry-run"]),
        [5, 0, 5]
    );
    assert_eq!(
        tally(&deployment, &["purge", "--webhook", &a, "--dry-run"]),
        [2, 3, 5]
    );
    let said = deployment.text(&["dead-letters", "requeue", "--webhook", &a, "--dry-run"]);
    assert!(said.starts_with("2 would be requeued, 3 kept\n"), "{said}");
    assert!(
        said.contains("reason attempts-exhausted: 2") && said.contains(&format!("webhook {a}: 2"))
    );
    assert_eq!(
        deployment.dead_letters(&[]),
        letters,
        "a try-out changes nothing"
    );
    assert_eq!((first.count(), second.count()), (2, 2));

    mended.store(true, Ordering::SeqCst);
    let one = ["requeue", "--event", "error.occurred", "--webhook", &a];
    assert_eq!(tally(&deployment, &one), [1, 4, 5]);
    let again = first.wait_for(3, SOON).await.remove(2);
    assert_eq!(again.header("webhook-id").as_deref(), Some("e1"));
    assert_eq!(
        again.header("x-prism-delivery"),
        first.requests()[..2]
            .iter()
            .find(|r| r.header("webhook-id").as_deref() == Some("e1"))
            .and_then(|r| r.header("x-prism-delivery"))
    );
    assert_eq!(
        tally(&deployment, &["purge", "--reason", "invalid-event"]),
        [1, 3, 4]
    );
    assert_eq!(
        tally(&deployment, &["requeue", "--all", "--limit", "1"])[0],
        1
    );
    assert_eq!(
        tally(&deployment, &["requeue", "--reason", "attempts-exhausted"]),
        [2, 0, 2]
    );
    first.wait_for(4, SOON).await;
    second.wait_for(4, SOON).await;
    for receiver in [&first, &second] {
        let twice = [("e1".to_owned(), 2), ("e2".to_owned(), 2)];
        assert_eq!(receiver.counts_by("webhook-id"), twice.into());
    }
    assert_eq!(
        deployment.text(&["dead-letters", "list"]),
        "no dead letters\n"
    );
}

#[tokio::test]
async fn what_was_on_its_way_to_a_deleted_webhook_becomes_a_dead_letter() {
    let deployment = Deployment::start("deleted", &[]).await;
    let broker = deployment.broker().await;
    let receiver = Receiver::start(|_| Answer::status(500));
    let id = deployment.webhook("w", &receiver.url(), &[]);
    let event = deployment.publish(&["error.occurred"]);
    receiver.wait_for(1, SOON).await;
    deployment.text(&["webhooks", "delete", "w"]);
    let letter = deployment.dead_letters_when(&broker, 1).await.remove(0);
    assert_eq!(letter["reason"], "webhook-deleted", "{letter:#}");
    assert_eq!(
        string(&letter["detail"]),
        "the webhook is no longer registered"
    );
    assert_eq!(
        (&letter["webhook"], &letter["event"]),
        (&json!(id), &json!(event))
    );
    assert_eq!(
        (&letter["attempts"], &letter["last_status"]),
        (&json!(1), &json!(500))
    );
    assert_eq!(receiver.count(), 1);
}
