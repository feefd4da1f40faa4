//! What becomes of a delivery after each kind of answer, and after none.

use std::net::TcpListener;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Received, Receiver};

use super::deployment::{Deployment, SOON, field, string};

fn of_webhook(items: &[Value], key: &str, webhook: &str) -> Vec<Value> {
    let of = |item: &&Value| item[key] == webhook;
    items.iter().filter(of).cloned().collect()
}

fn number(request: &Received) -> u32 {
    let attempt = request.header("x-prism-attempt").expect("always there");
    attempt.parse().expect("a number")
}

/// A port of this machine that nobody listens on.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test]
async fn a_success_is_settled_and_every_failure_is_tried_until_the_attempts_are_used_up() {
    let settings = [
        ("PRISM_SEND_TIMEOUT", "500ms"),
        ("PRISM_SEND_CONNECT_TIMEOUT", "500ms"),
    ];
    let deployment = Deployment::start("verdicts", &settings).await;
    let broker = deployment.broker().await;
    let status = |status| Receiver::start(move |_| Answer::status(status).body("because"));
    let refused = format!("http://127.0.0.1:{}", closed_port());
    let receivers = [
        ("200", status(200), "delivered"),
        ("204", status(204), "delivered"),
        ("400", status(400), "rejected"),
        ("500", status(500), "rejected"),
        ("429", status(429), "throttled"),
        (
            "302",
            Receiver::start(Answer::redirect_to_itself),
            "redirected",
        ),
        ("timeout", Receiver::start(|_| Answer::hang()), "timeout"),
        (
            "closes",
            Receiver::start(|_| Answer::closes()),
            "protocol_error",
        ),
    ];
    let ids: Vec<String> = receivers
        .iter()
        .map(|(name, receiver, _)| deployment.webhook(name, &receiver.url(), &[]))
        .collect();
    let unreachable = deployment.webhook("refused", &refused, &[]);
    let impatient = status(500);
    let only = ["--retry-max-attempts", "1"];
    let impatient_id = deployment.webhook("impatient", &impatient.url(), &only);

    deployment.publish(&["error.occurred", "--id", "evt"]);
    let letters = deployment.dead_letters_when(&broker, 8).await;
    let attempts = deployment.attempts_when(2 + 7 * 3 + 1, &[]).await;

    let failing = ids[2..].iter().chain([&unreachable]);
    let outcomes = receivers[2..].iter().map(|(_, _, outcome)| *outcome);
    for (id, outcome) in failing.zip(outcomes.chain(["connect_failed"])) {
        let made = of_webhook(&attempts, "webhook_id", id);
        assert_eq!(field(&made, "outcome"), [outcome; 3], "{made:#?}");
        assert_eq!(field(&made, "attempt"), [1, 2, 3]);
        assert_eq!(field(&made, "trigger"), ["event", "retry", "retry"]);
        let due: Vec<bool> = made
            .iter()
            .map(|a| a["next_attempt_at"].is_string())
            .collect();
        assert_eq!(due, [true, true, false], "after the last there is no next");
        let letter = of_webhook(&letters, "webhook", id).remove(0);
        assert_eq!(letter["reason"], "attempts-exhausted", "{letter:#?}");
        assert_eq!(letter["attempts"], 3);
        assert_eq!(letter["last_outcome"], outcome);
        assert_eq!(letter["event"], "evt");
        let deliveries = field(&made, "delivery_id");
        assert_eq!(deliveries, vec![letter["delivery"].clone(); 3]);
    }
    for ((name, receiver, outcome), id) in receivers.iter().zip(&ids) {
        let made = of_webhook(&attempts, "webhook_id", id);
        let sent = receiver.requests();
        assert_eq!(
            sent.len(),
            made.len(),
            "{name}: a request for each attempt, no redirect followed"
        );
        if *outcome == "delivered" {
            assert_eq!(field(&made, "outcome"), ["delivered"], "{name}");
            assert_eq!(
                made[0]["status_code"],
                name.parse::<u16>().expect("a status")
            );
        }
    }
    for attempt in attempts.iter().filter(|one| one["status_code"] == 302) {
        assert_eq!(attempt["location"], "/");
    }
    let once = of_webhook(&attempts, "webhook_id", &impatient_id);
    assert_eq!(
        field(&once, "attempt"),
        [1],
        "its own policy allows one attempt"
    );
    assert_eq!(once[0]["response_body"], "because");
    assert_eq!(once[0]["worker"], "the-worker");
    assert_eq!(
        string(&once[0]["remote_addr"]),
        format!("127.0.0.1:{}", impatient.port())
    );
    let letter = of_webhook(&letters, "webhook", &impatient_id).remove(0);
    assert_eq!(
        (&letter["attempts"], &letter["last_status"]),
        (&json!(1), &json!(500))
    );
    let detail = string(&letter["detail"]);
    assert!(
        detail.contains("attempt 1, the last, was answered with 500"),
        "{detail}"
    );
}

/// The HTTP date that is at least `ahead` away, and its time: a date has whole seconds.
fn http_date(ahead: Duration) -> (String, SystemTime) {
    let from_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = (from_epoch.expect("after 1970") + ahead).as_secs() + 1;
    let at = Timestamp::from_second(i64::try_from(seconds).expect("fits")).expect("our time");
    let text = at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    (text, UNIX_EPOCH + Duration::from_secs(seconds))
}

#[tokio::test]
async fn a_receiver_that_names_a_time_gets_no_attempt_before_it() {
    let deployment = Deployment::start("retry-after", &[]).await;
    let seconds = Receiver::start(|request| match number(request) {
        1 => Answer::status(429).header("Retry-After", "3"),
        _ => Answer::ok(),
    });
    let (date, not_before) = http_date(Duration::from_secs(3));
    let dated = Receiver::start(move |request| match number(request) {
        1 => Answer::status(503).header("Retry-After", &date),
        _ => Answer::ok(),
    });
    deployment.webhook("seconds", &seconds.url(), &[]);
    deployment.webhook("date", &dated.url(), &[]);
    deployment.publish(&["budget.exceeded"]);

    dated.wait_for(2, SOON).await;
    assert!(SystemTime::now() >= not_before);
    let second = dated.requests()[1].arrived.elapsed();
    let arrived = SystemTime::now() - second;
    let early = not_before.duration_since(arrived);
    assert!(early.is_err(), "{early:?} too early");

    let requests = seconds.wait_for(2, SOON).await;
    let waited = requests[1].arrived - requests[0].arrived;
    assert!(waited >= Duration::from_secs(3), "{waited:?}");
    assert!(waited < Duration::from_secs(8), "{waited:?}");
    let attempts = deployment.attempts_when(4, &[]).await;
    let throttled = field(&attempts[..2], "outcome");
    assert_eq!(throttled, ["throttled", "throttled"]);
}

#[tokio::test]
async fn gone_disables_the_webhook_tells_the_others_and_enabling_lets_it_all_be_requeued() {
    let deployment = Deployment::start("gone", &[]).await;
    let broker = deployment.broker().await;
    let leaving = Receiver::start(|request| match request.header("webhook-id").as_deref() {
        Some("evt-gone") => Answer::status(410),
        _ => Answer::status(500),
    });
    let told = Receiver::ok();
    let id = deployment.webhook("leaving", &leaving.url(), &["--event", "error.occurred"]);
    deployment.webhook("told", &told.url(), &["--event", "webhook.disabled"]);
    let elsewhere = Receiver::ok();
    let other = ["--organization", "other"];
    deployment.webhook("elsewhere", &elsewhere.url(), &other);

    // The first is on its way to its second attempt when the answer to the second event comes.
    deployment.publish(&["error.occurred", "--id", "evt-retried"]);
    leaving.wait_for(1, SOON).await;
    deployment.publish(&["error.occurred", "--id", "evt-gone"]);
    let notice = told.wait_for(1, SOON).await.remove(0);
    assert_eq!(
        notice.header("x-prism-event").as_deref(),
        Some("webhook.disabled")
    );
    let body = notice.json();
    let disabled_at: Timestamp = string(&body["disabled_at"]).parse().expect("RFC 3339");
    assert_eq!(
        body,
        json!({
            "event": "webhook.disabled", "webhook_id": id, "name": "leaving",
            "reason": "the endpoint answered 410 Gone", "disabled_at": disabled_at,
        })
    );
    // It is told of first, and then disabled.
    let shown = eventually(SOON, "the webhook is disabled", async || {
        let shown = deployment.json(&["webhooks", "show", "leaving", "--json"]);
        (shown["enabled"] == false).then_some(shown)
    })
    .await;
    assert_eq!(shown["disabled_reason"], "the endpoint answered 410 Gone");
    assert_eq!(string(&shown["disabled_at"]), string(&body["disabled_at"]));

    let letters = deployment.dead_letters_when(&broker, 2).await;
    assert_eq!(field(&letters, "event"), ["evt-gone", "evt-retried"]);
    assert_eq!(
        field(&letters, "reason"),
        ["webhook-disabled", "webhook-disabled"]
    );
    assert_eq!(field(&letters, "last_outcome"), ["gone", "rejected"]);
    assert_eq!(field(&letters, "last_status"), [410, 500]);
    assert_eq!(field(&letters, "attempts"), [1, 1], "{letters:#?}");
    assert_eq!(field(&letters, "webhook"), [&*id, &*id]);
    deployment.publish(&["error.occurred", "--id", "evt-unwanted"]);

    let again = Receiver::ok();
    deployment.text(&["webhooks", "update", "leaving", "--url", &again.url()]);
    deployment.text(&["webhooks", "enable", "leaving"]);
    let requeued = deployment.text(&["dead-letters", "requeue", "--webhook", &id]);
    assert!(requeued.starts_with("2 requeued, 0 kept"), "{requeued}");
    let requests = again.wait_for(2, SOON).await;
    let attempts = deployment.attempts_when(4, &["--webhook", &id]).await;
    for letter in &letters {
        let delivery = string(&letter["delivery"]);
        let sent = requests
            .iter()
            .find(|r| r.header("x-prism-delivery").as_deref() == Some(&delivery));
        let sent = sent.expect("the same delivery");
        assert_eq!(sent.header("webhook-id"), Some(string(&letter["event"])));
        assert_eq!(
            sent.header("x-prism-attempt").as_deref(),
            Some("1"),
            "a new round"
        );
        let made = of_webhook(&attempts, "delivery_id", &delivery);
        assert_eq!(field(&made, "trigger"), ["event", "manual"]);
        assert_eq!(made[1]["outcome"], "delivered");
    }
    assert_eq!(leaving.count(), 2, "disabled, it got nothing");
    assert_eq!((again.count(), told.count(), elsewhere.count()), (2, 1, 0));
    assert_eq!(broker.depth("webhooks.dead-letters").await, 0);
}

#[tokio::test]
async fn nothing_but_failures_for_too_long_disables_the_webhook() {
    // Three attempts would be too few to show anything.
    let settings = [
        ("PRISM_DISABLE_AFTER", "1s"),
        ("PRISM_RETRY_MAX_ATTEMPTS", "8"),
    ];
    let deployment = Deployment::start("failing", &settings).await;
    let broker = deployment.broker().await;
    let failing = Receiver::start(|_| Answer::status(500));
    let told = Receiver::ok();
    deployment.webhook("failing", &failing.url(), &["--event", "error.occurred"]);
    deployment.webhook("told", &told.url(), &["--event", "webhook.*"]);
    deployment.publish(&["error.occurred"]);
    let notice = told.wait_for(1, SOON).await.remove(0).json();
    assert_eq!(notice["name"], "failing");
    let reason = string(&notice["reason"]);
    assert!(
        reason.starts_with("every attempt has failed for "),
        "{reason}"
    );
    assert!(
        reason.ends_with(" second") || reason.ends_with(" seconds"),
        "{reason}"
    );
    let requests = failing.requests();
    let failed_for = requests[requests.len() - 1].arrived - requests[0].arrived;
    assert!(failed_for >= Duration::from_millis(900), "{failed_for:?}");
    let shown = deployment.json(&["webhooks", "show", "failing", "--json"]);
    assert_eq!(
        (&shown["enabled"], &shown["disabled_reason"]),
        (&json!(false), &notice["reason"])
    );
    let letter = deployment.dead_letters_when(&broker, 1).await.remove(0);
    assert_eq!(letter["reason"], "webhook-disabled");
    assert_eq!(letter["detail"], notice["reason"]);
}
