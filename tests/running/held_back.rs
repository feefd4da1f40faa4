//! Whoever asks why nothing comes is told: on the page, by the API, by the command.

use serde_json::{Value, json};

use super::rates;
use super::site::{Running, SOON, Site, answer};
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};

#[tokio::test]
async fn embedded_a_receiver_that_is_left_alone_is_told_of_everywhere_until_it_is_taken_up() {
    let (_kept, site, running) = super::modes::embedded(&[]).await;
    a_receiver_that_is_left_alone_is_told_of_everywhere(&site, &running).await;
    running.stop().await;
}

#[tokio::test]
async fn on_servers_a_receiver_that_is_left_alone_is_told_of_everywhere_until_it_is_taken_up() {
    let (_kept, site, running) = super::modes::on_servers(&[]).await;
    a_receiver_that_is_left_alone_is_told_of_everywhere(&site, &running).await;
    running.stop().await;
}

#[tokio::test]
async fn embedded_what_a_limit_put_off_is_told_of_everywhere_once_there_is_no_limit() {
    let (_kept, site, running) = super::modes::embedded(&[]).await;
    what_a_limit_put_off_is_told_of_everywhere(&site, &running).await;
    running.stop().await;
}

#[tokio::test]
async fn on_servers_what_a_limit_put_off_is_told_of_everywhere_once_there_is_no_limit() {
    let (_kept, site, running) = super::modes::on_servers(&[]).await;
    what_a_limit_put_off_is_told_of_everywhere(&site, &running).await;
    running.stop().await;
}

async fn get(running: &Running, path: &str) -> Value {
    let response = running.client.get(running.at(path)).send().await.unwrap();
    let (status, body) = answer(response).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

async fn page(running: &Running, path: &str) -> String {
    get(running, path).await.as_str().unwrap().to_owned()
}

async fn a_receiver_that_is_left_alone_is_told_of_everywhere(site: &Site, running: &Running) {
    let receiver = Receiver::start(
        |request| match request.header("x-prism-attempt").as_deref() {
            Some("1") => Answer::status(429).header("Retry-After", "4"),
            _ => Answer::ok(),
        },
    );
    let id = running.webhook("ours", &receiver.url(), None).await;
    let place = format!("/api/v1/webhooks/{id}");
    let before = get(running, &place).await;
    assert_eq!(before["held_back"], Value::Null);
    running
        .publish(&json!({"event": "request.completed"}))
        .await;

    let held = eventually(SOON, "it is held back", async || {
        let held = get(running, &place).await["held_back"].clone();
        (!held.is_null()).then_some(held)
    });
    let held = held.await;
    assert_eq!(held["reason"], "retry_after", "{held}");
    let time = |name: &str| {
        held[name]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
    };
    let (since, until) = (time("since"), time("until"));
    assert!(
        until.duration_since(since).as_secs_f64().round() == 4.0,
        "{held}"
    );
    let detail = held["detail"].as_str().unwrap();
    assert!(detail.contains("asked to be left alone"), "{detail}");

    let listed = get(running, "/api/v1/webhooks").await;
    assert_eq!(listed["items"][0]["held_back"]["reason"], "retry_after");
    let asked = format!("{place}/explain?event_type=request.completed");
    let explained = get(running, &asked).await;
    assert_eq!(explained["delivered"], true, "{explained}");
    assert_eq!(explained["held_back"]["reason"], "retry_after");
    let (said, _) = site.exits(&["deliveries", "explain", "ours", "request.completed"], 0);
    assert!(
        said.contains("held back since") && said.contains(detail),
        "{said}"
    );
    let (said, _) = site.exits(&["webhooks", "show", "ours"], 0);
    assert!(
        said.contains("held back    yes, since") && said.contains("asked to be left alone"),
        "{said}"
    );
    // The command shows what the API shows, field by field, nothing more and nothing less.
    let (said, _) = site.exits(&["webhooks", "show", "ours", "--json"], 0);
    let by_command: Value = serde_json::from_str(&said).unwrap();
    let by_api = get(running, &place).await;
    assert_eq!(
        by_command["held_back"]["since"],
        by_api["held_back"]["since"]
    );
    let fields = |shown: &Value| {
        let fields = shown.as_object().unwrap().keys().cloned();
        fields.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(fields(&by_command), fields(&by_api));
    assert_eq!(
        fields(&by_command["held_back"]),
        fields(&by_api["held_back"])
    );
    for tab in ["", "/log"] {
        let shown = page(running, &format!("/webhooks/{id}{tab}")).await;
        assert!(shown.contains("Deliveries are held back"), "{shown}");
    }
    assert!(
        page(running, "/webhooks")
            .await
            .contains(">held back</span>")
    );

    receiver.wait_for(2, SOON).await;
    eventually(SOON, "it is taken up again", async || {
        get(running, &place).await["held_back"]
            .is_null()
            .then_some(())
    })
    .await;
}

async fn what_a_limit_put_off_is_told_of_everywhere(site: &Site, running: &Running) {
    let receiver = Receiver::ok();
    let id = rates::limited(running, &receiver.url(), "1/s").await;
    rates::publish(running, 150).await;
    let place = format!("/api/v1/webhooks/{id}");
    let held = async |phase: &str| {
        eventually(SOON, "that is told", async || {
            let held = get(running, &place).await["held_back"].clone();
            (held["phase"] == phase).then_some(held)
        })
        .await
    };
    let before = held("held").await;
    assert_eq!(before["reason"], "rate_limit", "{before}");
    rates::change(running, &id, Value::Null).await;
    let after = held("coming_back").await;
    assert_eq!(after["reason"], "rate_limit", "{after}");
    let detail = after["detail"].as_str().unwrap();
    assert!(
        detail.contains("that is over, and what was put off is due by"),
        "{detail}"
    );
    let (said, _) = site.exits(
        &["deliveries", "explain", "limited", "request.completed"],
        0,
    );
    assert!(
        said.contains("come back that were put off since") && said.contains(detail),
        "{said}"
    );
    let shown = page(running, &format!("/webhooks/{id}")).await;
    assert!(shown.contains("Deliveries come back"), "{shown}");
    let listed = page(running, "/webhooks").await;
    assert!(listed.contains(">coming back</span>"), "{listed}");
}
