//! Receivers that break every rule: each costs one attempt's time limit at most, and the others
//! nothing.

use std::time::Duration;

use crate::support::receiver::{Answer, Received, Receiver};

use super::deployment::{Deployment, SOON, string};

#[tokio::test]
async fn a_receiver_that_misbehaves_costs_one_time_limit_and_its_neighbours_nothing() {
    let settings = [
        ("PRISM_SEND_TIMEOUT", "1s"),
        ("PRISM_SEND_CONNECT_TIMEOUT", "1s"),
    ];
    let deployment = Deployment::start("misbehaving", &settings).await;
    let start = |script: fn(&Received) -> Answer| Receiver::start(script);
    let bad = [
        ("hangs", start(|_| Answer::hang()), "timeout"),
        (
            "drips",
            start(|_| Answer::drip_every(Duration::from_millis(20))),
            "timeout",
        ),
        (
            "declares ten gigabytes",
            start(|_| Answer::declares_ten_gigabytes()),
            "timeout",
        ),
        (
            "endless headers",
            start(|_| Answer::endless_headers()),
            "protocol_error",
        ),
        (
            "closes mid-body",
            start(|_| Answer::closes_mid_body()),
            "protocol_error",
        ),
        ("closes", start(|_| Answer::closes()), "protocol_error"),
        (
            "redirects to itself",
            start(Answer::redirect_to_itself),
            "redirected",
        ),
    ];
    let ids: Vec<String> = bad
        .iter()
        .map(|(name, receiver, _)| {
            deployment.webhook(name, &receiver.url(), &["--retry-max-attempts", "1"])
        })
        .collect();
    let healthy = Receiver::ok();
    deployment.webhook("healthy", &healthy.url(), &[]);

    for event in 1..=3 {
        deployment.publish(&["error.occurred"]);
        let delivered = healthy.wait_for(event, SOON).await.remove(event - 1);
        let hanging = bad[0].1.wait_for(event, SOON).await.remove(event - 1);
        let behind = delivered.arrived.saturating_duration_since(hanging.arrived);
        assert!(
            behind < Duration::from_millis(900),
            "it waited for its neighbour: {behind:?}"
        );
    }
    for ((name, receiver, outcome), id) in bad.iter().zip(&ids) {
        for attempt in deployment.attempts_when(3, &["--webhook", id]).await {
            assert_eq!(attempt["outcome"], *outcome, "{name}: {attempt:#?}");
            let millis = attempt["duration_ms"].as_f64().expect("a number");
            assert!(millis < 2_000.0, "{name} took {millis} ms");
            let kept = string(&attempt["response_body"]).len();
            assert!(kept <= 1024, "{name}: {kept} bytes kept");
        }
        assert_eq!(receiver.count(), 3, "{name}: one request for each event");
    }
    let exhausted = deployment
        .dead_letters_when(&deployment.broker().await, 3 * bad.len())
        .await;
    assert!(
        exhausted
            .iter()
            .all(|letter| letter["reason"] == "attempts-exhausted")
    );
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_an_attempt_in_the_log_and_no_error_of_ours() {
    let mut deployment = Deployment::start("certificate", &[]).await;
    let receiver = Receiver::start_tls(|_| Answer::ok());
    let once = ["--retry-max-attempts", "1"];
    let id = deployment.webhook("w", &receiver.url(), &once);
    deployment.publish(&["error.occurred"]);
    let attempts = deployment.attempts_when(1, &[]).await;
    assert_eq!(attempts[0]["outcome"], "tls_failed");
    let (_, tested) = deployment.exits(&["webhooks", "test", &id], 1);
    deployment.stop_worker().await;
    let logged = deployment.worker().stderr();
    let told = logged.matches("TLS failed: the receiver's certificate");
    assert_eq!(told.count(), 1, "{logged}");
    for text in [logged, tested] {
        assert!(!text.contains("ERROR") && !text.contains("peer"), "{text}");
    }
}
