//! No one's trouble is anyone else's: the promise on real servers and embedded, with real receivers.
//! Every mixture of them, in virtual time, is `simulation`'s.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::modes::{Kept, embedded, on_servers};
use super::site::{Running, SOON, Site};
use crate::support::receiver::{Answer, Receiver};

/// Runs behaviours in either mode, under these settings.
macro_rules! in_either_mode {
    ($($behaviour:ident with $settings:expr;)*) => {
        mod when_embedded {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    super::$behaviour(super::embedded($settings).await).await;
                }
            )*
        }

        mod when_on_servers {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    super::$behaviour(super::on_servers($settings).await).await;
                }
            )*
        }
    };
}

in_either_mode! {
    a_backlog_for_three_quick_webhooks_is_delivered_and_nothing_is_put_off with &[];
    a_backlog_for_ten_quick_webhooks_is_delivered_and_nothing_is_put_off with &[];
    a_backlog_for_a_hundred_quick_webhooks_is_delivered_and_nothing_is_put_off with &[];
    a_burst_for_a_receiver_that_takes_its_time_is_not_put_off with &[];
    an_endpoint_that_asks_for_patience_is_left_alone_and_then_gets_everything with &[];
    an_endpoint_that_asks_for_patience_is_left_alone_by_who_starts_meanwhile with &[];
    a_large_fan_out_of_one_organization_holds_up_no_retry_of_another with &[];
    what_one_organization_puts_off_prolongs_no_wait_of_another with &[("PRISM_DELAY_LONGEST", "1h")];
    a_wish_beyond_all_bounds_is_one_attempt_and_ends_when_a_person_gets_through with &[("PRISM_DELAY_LONGEST", "1h")];
    hanging_webhooks_of_one_organization_delay_no_other with &[("PRISM_SEND_TIMEOUT", "60s")];
    a_webhook_that_hangs_holds_four_requests_and_nobody_up with &[("PRISM_SEND_TIMEOUT", "60s")];
}

type World = (Kept, Site, Running);

/// Publishes so many events as one batch.
async fn publish(running: &Running, events: usize) {
    publish_all(running, events, &[]).await;
}

async fn publish_all(running: &Running, events: usize, headers: &[(&str, &str)]) {
    let lines: String = (0..events)
        .map(|n| format!("{}\n", json!({"event": "request.completed", "n": n})))
        .collect();
    let (status, answer) = running
        .post_as("application/x-ndjson", "/api/v1/events", lines, headers)
        .await;
    assert_eq!(status, 202, "{answer}");
}

/// Publishes one event of an organization.
async fn publish_for(running: &Running, organization: &str) {
    let headers = [("x-prism-organization", organization)];
    let body = json!({"event": "request.completed"}).to_string();
    let (status, answer) = running
        .post_as("application/json", "/api/v1/events", body, &headers)
        .await;
    assert_eq!(status, 202, "{answer}");
}

async fn webhook_of(running: &Running, organization: &str, name: &str, url: &str) -> String {
    let headers = [("x-prism-organization", organization)];
    let body = json!({"name": name, "url": url}).to_string();
    let (status, answer) = running
        .post_as("application/json", "/api/v1/webhooks", body, &headers)
        .await;
    assert_eq!(status, 201, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

/// Waits until an answer of 429 is on record: from then on it is known what the receiver asked for.
async fn throttled(running: &Running, organization: &str, webhook: &str) {
    let path = running.at(&format!("/api/v1/attempts?webhook_id={webhook}"));
    let on_record = async || {
        let request = running.client.get(&path);
        let request = request.header("x-prism-organization", organization);
        let text = request.send().await.unwrap().text().await.unwrap();
        text.contains("throttled").then_some(())
    };
    crate::support::deadline::eventually(SOON, "an attempt that is throttled", on_record).await;
}

/// Answers well from the second request on.
fn well_after(first: fn() -> Answer) -> Receiver {
    let is_first = AtomicBool::new(true);
    Receiver::start(move |_| match is_first.swap(false, Ordering::Relaxed) {
        true => first(),
        false => Answer::ok(),
    })
}

async fn drains((_kept, _site, running): World, webhooks: usize, events: usize) {
    let receiver = Receiver::ok();
    for number in 0..webhooks {
        let url = format!("{}/{number}", receiver.url());
        running.webhook(&format!("w{number}"), &url, None).await;
    }
    publish(&running, events).await;
    receiver.wait_for(events * webhooks, 4 * SOON).await;
    let report = running.stop().await;
    assert!(report.contains(", 0 deferred,"), "{report}");
    assert_eq!(receiver.count(), events * webhooks, "each once");
}

async fn a_backlog_for_three_quick_webhooks_is_delivered_and_nothing_is_put_off(world: World) {
    drains(world, 3, 2_000).await;
}

async fn a_backlog_for_ten_quick_webhooks_is_delivered_and_nothing_is_put_off(world: World) {
    drains(world, 10, 600).await;
}

async fn a_backlog_for_a_hundred_quick_webhooks_is_delivered_and_nothing_is_put_off(world: World) {
    drains(world, 100, 60).await;
}

async fn a_burst_for_a_receiver_that_takes_its_time_is_not_put_off(world: World) {
    const EVENTS: usize = 900;
    let (_kept, _site, running) = world;
    let receiver = Receiver::start(|_| Answer::ok().delay(Duration::from_millis(300)));
    running.webhook("steady", &receiver.url(), None).await;
    publish(&running, EVENTS).await;
    receiver.wait_for(EVENTS, SOON).await;
    assert!(receiver.max_open() > 32, "{} at once", receiver.max_open());
    let report = running.stop().await;
    assert!(report.contains(", 0 deferred,"), "{report}");
}

async fn an_endpoint_that_asks_for_patience_is_left_alone_and_then_gets_everything(world: World) {
    const EVENTS: usize = 20;
    let (_kept, _site, running) = world;
    let asked = Duration::from_secs(4);
    let receiver = well_after(|| Answer::status(429).header("Retry-After", "4"));
    let id = running.webhook("throttling", &receiver.url(), None).await;
    publish(&running, 1).await;
    throttled(&running, "default", &id).await;
    publish(&running, EVENTS).await;
    let requests = receiver.wait_for(EVENTS + 2, SOON).await;
    let apart = requests[1].arrived - requests[0].arrived;
    assert!(apart >= asked, "the next request came after {apart:?}");
    let soon = requests[1].arrived + Duration::from_secs(1);
    let begun = requests[1..].iter().filter(|one| one.arrived < soon);
    assert!(begun.count() <= 5, "it is taken up slowly");
    let report = running.stop().await;
    assert!(
        report.contains(" 21 delivered, 1 to be retried"),
        "{report}"
    );
}

async fn an_endpoint_that_asks_for_patience_is_left_alone_by_who_starts_meanwhile(world: World) {
    let (_kept, site, running) = world;
    let receiver = well_after(|| Answer::status(429).header("Retry-After", "4"));
    running.webhook("throttling", &receiver.url(), None).await;
    publish(&running, 1).await;
    receiver.wait_for(1, SOON).await;
    running.stop().await;
    let running = site.start().await;
    publish(&running, 10).await;
    let requests = receiver.wait_for(11, 2 * SOON).await;
    let waited = requests[1].arrived - requests[0].arrived;
    assert!(waited >= Duration::from_secs(4), "{waited:?}");
}

async fn a_large_fan_out_of_one_organization_holds_up_no_retry_of_another(world: World) {
    const WEBHOOKS: usize = 200;
    const EVENTS: usize = 200;
    let (_kept, _site, running) = world;
    let many = Receiver::ok();
    for number in 0..WEBHOOKS {
        let url = format!("{}/{number}", many.url());
        webhook_of(&running, "a", &format!("w{number}"), &url).await;
    }
    let failing = well_after(|| Answer::status(500));
    webhook_of(&running, "b", "failing-once", &failing.url()).await;
    publish_all(&running, EVENTS, &[("x-prism-organization", "a")]).await;
    many.wait_for(1000, SOON).await;
    publish_for(&running, "b").await;
    let requests = failing.wait_for(2, SOON).await;
    let came = many.count();
    let waited = requests[1].arrived - requests[0].arrived;
    // A machine that is busy is late by itself, but does not deliver thousands of the fan-out while
    // the retry is due: that much more is delivered if it stands behind them.
    let in_time = waited < Duration::from_secs(2) || came < 4_000;
    assert!(in_time, "{waited:?} with {came} of the fan-out delivered");
    assert!(came < WEBHOOKS * EVENTS, "over before the retry was due");
}

async fn what_one_organization_puts_off_prolongs_no_wait_of_another(world: World) {
    let (_kept, _site, running) = world;
    // Both would wait in the same delay queue, the shorter behind the longer.
    let longer = well_after(|| Answer::status(429).header("Retry-After", "24"));
    let shorter = well_after(|| Answer::status(429).header("Retry-After", "17"));
    for (organization, receiver) in [("a", &longer), ("b", &shorter)] {
        let id = webhook_of(&running, organization, "throttling", &receiver.url()).await;
        publish_for(&running, organization).await;
        throttled(&running, organization, &id).await;
        publish_for(&running, organization).await;
    }
    // The one that is tried again, and the one that was put off.
    let requests = shorter.wait_for(3, SOON).await;
    for request in &requests[1..] {
        let waited = request.arrived - requests[0].arrived;
        assert!(waited >= Duration::from_secs(17), "early: {waited:?}");
        assert!(waited < Duration::from_secs(21), "late: {waited:?}");
    }
    assert_eq!(longer.count(), 1, "the longer wait is not over yet");
}

async fn a_wish_beyond_all_bounds_is_one_attempt_and_ends_when_a_person_gets_through(world: World) {
    // More seconds than any clock holds.
    const WISH: &str = "10000000000000000000";
    let (_kept, _site, running) = world;
    let receiver = well_after(|| Answer::status(429).header("Retry-After", WISH));
    let id = running.webhook("throttling", &receiver.url(), None).await;
    publish(&running, 1).await;
    throttled(&running, "default", &id).await;
    assert_eq!(receiver.count(), 1);
    let delivery = receiver.requests()[0].header("x-prism-delivery").unwrap();
    let path = format!("/api/v1/deliveries/{delivery}/retry");
    let retried = async || {
        let (status, _) = running.post(&path, &json!({})).await;
        status.is_success().then_some(())
    };
    // It is on record a moment before it can be sent again.
    crate::support::deadline::eventually(SOON, "a retry by hand", retried).await;
    receiver.wait_for(2, SOON).await;
    publish(&running, 3).await;
    receiver.wait_for(5, SOON).await;
    let report = running.stop().await;
    assert!(report.contains(" 4 delivered, 1 to be retried"), "{report}");
}

async fn hanging_webhooks_of_one_organization_delay_no_other(world: World) {
    const HANGING: usize = 32;
    let (_kept, _site, running) = world;
    let (hanging, healthy) = (Receiver::start(|_| Answer::hang()), Receiver::ok());
    for number in 0..HANGING {
        let url = format!("{}/{number}", hanging.url());
        webhook_of(&running, "a", &format!("w{number}"), &url).await;
    }
    webhook_of(&running, "b", "healthy", &healthy.url()).await;
    // Each hanging webhook gets more than it may have open.
    for number in 1..=12 {
        publish_for(&running, "a").await;
        let published = Instant::now();
        publish_for(&running, "b").await;
        healthy.wait_for(number, SOON).await;
        let took = published.elapsed();
        assert!(took < Duration::from_secs(1), "number {number}: {took:?}");
    }
    hanging.wait_for(4 * HANGING, SOON).await;
    assert_eq!(hanging.max_open(), 4 * HANGING);
    assert_eq!(healthy.count(), 12);
}

async fn a_webhook_that_hangs_holds_four_requests_and_nobody_up(world: World) {
    let (_kept, _site, running) = world;
    let (hanging, healthy) = (Receiver::start(|_| Answer::hang()), Receiver::ok());
    running.webhook("hanging", &hanging.url(), None).await;
    for number in 0..9 {
        let url = format!("{}/{number}", healthy.url());
        running.webhook(&format!("w{number}"), &url, None).await;
    }
    for number in 1..=40 {
        let published = Instant::now();
        publish(&running, 1).await;
        healthy.wait_for(9 * number, SOON).await;
        let took = published.elapsed();
        assert!(took < Duration::from_secs(1), "number {number}: {took:?}");
    }
    hanging.wait_for(4, SOON).await;
    assert_eq!((hanging.open(), hanging.count()), (4, 4));
}
