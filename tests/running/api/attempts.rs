//! The record of attempts over the API: listed, chosen, followed.

use serde_json::{Value, json};

use crate::running::modes::in_either_mode;
use crate::running::site::{Running, SOON};
use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Receiver};

in_either_mode! { &[("PRISM_RETRY_MAX_ATTEMPTS", "1")] =>
    attempts_are_chosen_by_what_is_asked_for,
    a_long_record_goes_on_by_cursor,
    attempts_are_followed_as_they_are_made_and_from_where_one_left_off,
}

/// A webhook whose endpoint fails budgets, and an attempt of each kind.
async fn attempted(running: &Running, receiver: &Receiver) -> String {
    let id = running.webhook("n", &receiver.url(), None).await;
    for event in ["request.completed", "budget.exceeded", "request.completed"] {
        running.publish(&json!({"event": event})).await;
    }
    eventually(SOON, "three attempts", async || {
        let found = running.get(&format!("/attempts?webhook_id={id}")).await;
        (found.items().len() == 3).then_some(())
    })
    .await;
    id
}

fn failing_budgets() -> Receiver {
    Receiver::start(|request| match request.json()["event"].as_str() {
        Some("budget.exceeded") => Answer::status(500).body("no"),
        _ => Answer::ok().body("yes"),
    })
}

async fn attempts_are_chosen_by_what_is_asked_for(running: &Running) {
    let receiver = failing_budgets();
    let id = attempted(running, &receiver).await;
    let count = async |query: &str| {
        let found = running.get(&format!("/attempts?{query}")).await.is(200);
        found.items().len()
    };
    assert_eq!(count("").await, 3);
    assert_eq!(
        count(&format!("webhook_id={id}&outcome=delivered")).await,
        2
    );
    assert_eq!(count("event_type=budget.exceeded").await, 1);
    assert_eq!(count("status_class=5").await, 1);
    assert_eq!(count("status_class=2&event_type=budget.exceeded").await, 0);
    assert_eq!(count("webhook_id=nobody").await, 0);
    assert_eq!(count("status_code=500").await, 1);
    assert_eq!(count("status_code=501").await, 0);
    assert_eq!(count("since=2001-01-01T00:00:00Z").await, 3);
    assert_eq!(count("until=2001-01-01T00:00:00Z").await, 0);
    for nonsense in [
        "outcome=bad",
        "status_class=0",
        "status_class=x",
        "since=yesterday",
        "event_type=A",
        "cursor=-",
        "webhook_id=a%20b",
        "status_code=99",
    ] {
        running.get(&format!("/attempts?{nonsense}")).await.is(400);
    }
    let unknown = running
        .get("/attempts?webhook=x&limit=1&statuscode=5")
        .await;
    let unknown = unknown.is(400);
    assert_eq!(unknown.parts(), ["webhook", "statuscode"]);
    let detail = unknown.body["detail"].as_str().unwrap();
    assert!(detail.contains("did you mean webhook_id?"), "{detail}");
    for (method, path) in [
        ("DELETE", format!("/webhooks/{id}?dry_run=true")),
        ("GET", format!("/webhooks/{id}?full=1")),
        ("POST", "/events?organization=acme".to_owned()),
    ] {
        let refused = running.ask(method, &path, None).await.is(400);
        assert_eq!(refused.parts().len(), 1, "{path}");
    }
    running.get(&format!("/webhooks/{id}")).await.is(200);
    let found = running.get("/attempts?status_class=5").await;
    let one = &found.items()[0];
    assert_eq!(one["response_body"], "no");
    assert_eq!(one["outcome"], "rejected");
    assert_eq!(one["webhook_id"], id);
    let delivery = one["delivery_id"].as_str().unwrap();
    assert_eq!(count(&format!("delivery_id={delivery}")).await, 1);
}

async fn a_long_record_goes_on_by_cursor(running: &Running) {
    let receiver = failing_budgets();
    let id = attempted(running, &receiver).await;
    for scope in [format!("webhook_id={id}&"), String::new()] {
        let (mut found, mut path) = (Vec::new(), format!("/attempts?{scope}limit=1"));
        for _ in 0..4 {
            let part = running.get(&path).await.is(200);
            found.extend(part.items().to_vec());
            let Some(next) = part.body["next"].as_str() else {
                break;
            };
            path = format!("/attempts?{scope}limit=1&cursor={next}");
        }
        let whole = running.get(&format!("/attempts?{scope}")).await.is(200);
        assert_eq!(found, whole.items(), "part by part the same as at once");
    }
}

async fn attempts_are_followed_as_they_are_made_and_from_where_one_left_off(running: &Running) {
    let receiver = failing_budgets();
    let id = attempted(running, &receiver).await;
    let place = running.at(&format!("/api/v1/attempts/stream?webhook_id={id}"));
    // Behind the second newest: the newest, and then new ones.
    let oldest = running
        .get(&format!("/attempts?webhook_id={id}&limit=2"))
        .await;
    let before_last = oldest.body["next"].as_str().unwrap().to_owned();
    let request = running
        .client
        .get(place)
        .header("last-event-id", &before_last);
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    let mut read_until = async |many: usize| {
        while text.matches("event: attempt\n").count() < many || !text.ends_with("\n\n") {
            let chunk = tokio::time::timeout(SOON, response.chunk()).await;
            let chunk = chunk.expect("something comes").unwrap().unwrap();
            text += &String::from_utf8_lossy(&chunk);
        }
        text.clone()
    };
    read_until(1).await;
    running
        .publish(&json!({"event": "guardrail.triggered"}))
        .await;
    let text = read_until(2).await;
    let attempts: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|json| serde_json::from_str(json).unwrap())
        .collect();
    assert_eq!(
        attempts.last().unwrap()["event_type"],
        "guardrail.triggered"
    );
    assert!(
        text.contains("\nid: ") || text.starts_with("id: "),
        "{text}"
    );
}
