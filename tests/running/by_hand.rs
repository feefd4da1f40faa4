//! What an operator does by hand, by commands beside a `run`.

use serde_json::{Value, json};

use super::modes::{embedded, on_servers};
use super::site::{Running, SOON, Site};
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};

const SETTINGS: &[(&str, &str)] = &[("PRISM_RETRY_MAX_ATTEMPTS", "1")];

#[tokio::test]
async fn embedded_a_delivery_is_looked_at_and_sent_again() {
    let (_kept, site, running) = embedded(SETTINGS).await;
    a_delivery_is_looked_at_and_sent_again(&site, &running).await;
    running.stop().await;
}

#[tokio::test]
async fn on_servers_a_delivery_is_looked_at_and_sent_again() {
    let (_kept, site, running) = on_servers(SETTINGS).await;
    a_delivery_is_looked_at_and_sent_again(&site, &running).await;
    running.stop().await;
}

async fn a_delivery_is_looked_at_and_sent_again(site: &Site, running: &Running) {
    let receiver = Receiver::start({
        let before = std::sync::atomic::AtomicUsize::new(0);
        move |_| match before.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 | 1 => Answer::status(500).body("not now"),
            _ => Answer::ok(),
        }
    });
    running.webhook("ours", &receiver.url(), None).await;
    // A test first: it fails, and so does the command.
    let (said, problem) = site.exits(&["webhooks", "test", "ours"], 1);
    assert!(
        said.contains("status 500") && said.contains("not now"),
        "{said}"
    );
    assert!(problem.contains("did not take it"), "{problem}");

    running.publish(&json!({"event": "budget.exceeded"})).await;
    let requests = receiver.wait_for(2, SOON).await;
    let id = requests[1].header("x-prism-delivery").unwrap();
    // The receiver knows of an attempt before the record does.
    eventually(SOON, "its attempt is on record", async || {
        let attempts = site.list(&["attempts", "list", "--json"]);
        let found = attempts.iter().any(|attempt| attempt["delivery_id"] == id);
        found.then_some(())
    })
    .await;
    let (said, _) = site.exits(&["attempts", "list"], 0);
    let line = said.lines().find(|line| line.contains("budget.exceeded"));
    let by_name = line.is_some_and(|line| line.split_whitespace().any(|word| word == "ours"));
    assert!(by_name, "by the webhook's name: {said}");
    // What is shown may be asked for.
    let (chosen, _) = site.exits(&["attempts", "list", "--webhook", "ours"], 0);
    assert_eq!(chosen, said);
    let state = async |wanted: &str| {
        eventually(SOON, &format!("it is {wanted}"), async || {
            let (json, _) = site.exits(&["deliveries", "show", &id, "--json"], 0);
            let found: Value = serde_json::from_str(&json).unwrap();
            // An attempt is on record a moment before what comes of it is.
            let settled = wanted != "dead" || found["reason"].is_string();
            (found["state"] == wanted && settled).then_some(found)
        })
        .await
    };
    let dead = state("dead").await;
    assert_eq!(dead["reason"], "attempts-exhausted");
    assert_eq!(dead["body"], "{\"event\":\"budget.exceeded\"}");
    let (letter, _) = site.exits(&["dead-letters", "show", &id], 0);
    let letter: Value = serde_json::from_str(&letter).unwrap();
    assert_eq!(letter["delivery"], id);
    site.exits(&["dead-letters", "show", "nobody"], 5);

    let (said, _) = site.exits(&["deliveries", "retry", &id], 0);
    assert!(said.contains("starts again"), "{said}");
    let delivered = state("delivered").await;
    assert_eq!(delivered["attempts"].as_array().unwrap().len(), 2);
    let (_, refused) = site.exits(&["deliveries", "retry", &id], 1);
    assert!(refused.contains("force"), "{refused}");
    let (said, _) = site.exits(&["deliveries", "show", &id], 0);
    assert!(
        said.contains(": delivered") && said.contains("manual"),
        "{said}"
    );
    site.exits(&["deliveries", "show", "nobody"], 5);

    let explain = ["deliveries", "explain", "ours"];
    let (said, _) = site.exits(&[&explain[..], &["budget.exceeded"]].concat(), 0);
    assert!(said.contains("it gets budget.exceeded"), "{said}");
    let (said, _) = site.exits(&[&explain[..], &["made.up"]].concat(), 1);
    assert!(said.contains("no event type of this deployment"), "{said}");
}
