//! The demonstration, to its end and kept.

use std::time::Duration;

use crate::support::process::{Process, Signal};

use super::site::SOON;

/// The story takes about twenty seconds.
const STORY: Duration = Duration::from_secs(90);

/// Settings of a real deployment, which the demonstration must not touch.
const ELSEWHERE: [(&str, &str); 2] = [
    ("PRISM_AMQP_URL", "amqp://127.0.0.1:1"),
    ("PRISM_DATA_DIR", "/nonexistent/data"),
];

#[tokio::test]
async fn it_tells_of_a_retry_a_recovery_and_a_dead_letter_and_adds_up() {
    let mut demo = Process::start(&["demo"], &ELSEWHERE);
    let status = demo.wait_exit(STORY).await;
    let told = demo.stdout();
    assert!(status.success(), "{status}\n{told}\n{}", demo.stderr());
    for part in [
        "signature valid",
        "retry in 3 s",
        "delivered: recovered",
        "a dead letter: webhook-disabled",
        "It adds up",
    ] {
        assert!(told.contains(part), "{part:?} in\n{told}");
    }
    let directory = told.split("its data in ").nth(1).unwrap();
    let directory = directory.lines().next().unwrap().trim_end_matches('.');
    assert!(!std::path::Path::new(directory).exists(), "{directory}");
}

#[tokio::test]
async fn it_can_be_kept_and_ends_when_told_to() {
    let mut demo = Process::start(&["demo", "--keep"], &ELSEWHERE);
    let line = demo.wait_for_line("look at http://", STORY).await;
    let address = line.split("look at ").nth(1).unwrap().trim().to_owned();
    prism_webhooks::http::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ready = client.get(format!("{address}readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200);
    demo.signal(Signal::INT);
    assert!(demo.wait_exit(SOON).await.success(), "{}", demo.stderr());
}
