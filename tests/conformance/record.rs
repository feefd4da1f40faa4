//! The record: attempts, deliveries, marks, failures.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use prism_webhooks::domain::attempt::Attempt;
use prism_webhooks::domain::dead_letter::Reason;
use prism_webhooks::domain::delivery::{Delivery, LastAttempt, Trigger};
use prism_webhooks::domain::delivery_state::DeliveryState;
use prism_webhooks::domain::event::Event;
use prism_webhooks::domain::ids::{DeliveryId, MessageKey, Organization, WebhookId};
use prism_webhooks::domain::trace_context::TraceParent;
use prism_webhooks::engine::ports::{DeliveryRecord, Entry, Keep, SettledMarker};
use prism_webhooks::store::delivery_log::{AttemptFilter, FAILED, Recorded};
use prism_webhooks::store::statistics::{self, Detail};

use super::adapter::{Adapter, KEPT};
use crate::redis::kit::{
    at, attempt, delivery, document, failing_since, new_webhook, organization, webhook_key,
};

fn attempted(attempt: Attempt) -> Entry {
    Entry {
        attempt: Some(attempt),
        ..Entry::default()
    }
}

fn recorded(delivery: &Delivery, state: DeliveryState, keep: Keep) -> Entry {
    Entry {
        delivery: Some(DeliveryRecord {
            delivery: delivery.clone(),
            state,
            keep,
        }),
        ..Entry::default()
    }
}

fn of_webhook(id: &str) -> AttemptFilter {
    AttemptFilter {
        organization: Some(organization()),
        webhook: Some(WebhookId::new(id).unwrap()),
        ..AttemptFilter::default()
    }
}

/// What is not registered has no record of its own.
async fn register(adapter: &impl Adapter) {
    for id in ["w1", "w2", "quiet"] {
        adapter.put_document(id, &document(id)).await;
    }
}

pub async fn an_attempt_is_read_back_exactly(adapter: &impl Adapter) {
    register(adapter).await;
    let full = Attempt {
        attempt: 3,
        trigger: Trigger::Retry,
        outcome: "rejected".to_owned(),
        status_code: Some(500),
        location: Some("https://example.com/näu".to_owned()),
        error: Some("reset".to_owned()),
        response_body: "näh\r\n\0\u{1f600}".to_owned(),
        response_truncated: true,
        started_at: "2026-01-02T03:04:05.123456789Z".parse().unwrap(),
        duration: Duration::from_micros(12_345_007),
        remote_addr: Some("[::1]:443".parse().unwrap()),
        next_attempt_at: Some("2026-01-02T03:05:05Z".parse().unwrap()),
        own_headers: Some(vec!["X-Team".to_owned(), "Authorization".to_owned()]),
        signed_by: Some(vec![
            "0123abcd".parse().unwrap(),
            "cafe0000".parse().unwrap(),
        ]),
        traceparent: TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ..attempt("e1", "w1")
    };
    let bare = Attempt {
        status_code: None,
        response_body: String::new(),
        remote_addr: None,
        duration: Duration::ZERO,
        version: None,
        own_headers: Some(Vec::new()),
        signed_by: Some(Vec::new()),
        ..attempt("e2", "w1")
    };
    let log = adapter.log();
    for attempt in [&full, &bare] {
        log.write(attempted(attempt.clone())).await;
    }
    for filter in [AttemptFilter::default(), of_webhook("w1")] {
        let (found, next) = adapter.attempts(&filter, 10, None).await;
        assert_eq!(found, [bare.clone(), full.clone()]);
        assert_eq!(next, None);
    }
    let failed = AttemptFilter {
        status_class: Some(5),
        ..AttemptFilter::default()
    };
    let all_that_failed = AttemptFilter {
        outcome: Some(FAILED.to_owned()),
        ..AttemptFilter::default()
    };
    let of_event = AttemptFilter {
        event: Some(full.event_id.clone()),
        ..AttemptFilter::default()
    };
    let either = |id: &str| AttemptFilter {
        id: Some(id.to_owned()),
        ..AttemptFilter::default()
    };
    for filter in [
        failed,
        all_that_failed,
        of_event,
        either(full.event_id.as_str()),
    ] {
        let (found, _) = adapter.attempts(&filter, 10, None).await;
        assert_eq!(found, std::slice::from_ref(&full), "{filter:?}");
    }
    let by_delivery = either(full.delivery_id.as_str());
    let (found, _) = adapter.attempts(&by_delivery, 10, None).await;
    assert!(found.contains(&full), "{found:?}");
    assert_eq!(adapter.attempts(&either("other"), 10, None).await.0, []);
    assert_eq!(adapter.attempts(&of_webhook("other"), 10, None).await.0, []);
}

pub async fn attempts_are_capped_and_paged(adapter: &impl Adapter) {
    register(adapter).await;
    let log = adapter.log();
    log.write(attempted(attempt("quiet", "quiet"))).await;
    for round in 0..20 {
        let entries = (0..100).map(|n| attempt(&format!("e{}", 100 * round + n), "w1"));
        join_all(entries.map(|attempt| log.write(attempted(attempt)))).await;
    }
    adapter.flush().await;
    let count = async |filter: &AttemptFilter| {
        let (mut count, mut before) = (0, None);
        loop {
            let (found, next) = adapter.attempts(filter, 70, before).await;
            assert!(found.len() <= 70);
            count += found.len() as u64;
            before = next;
            if before.is_none() {
                return count;
            }
        }
    };
    let about = |kept: u64| kept..=kept + 256;
    let (all, each) = KEPT;
    let found = count(&AttemptFilter::default()).await;
    assert!(about(all).contains(&found), "{found}");
    let found = count(&of_webhook("w1")).await;
    assert!(about(each).contains(&found), "{found}");
    // Another's noise has not cost the quiet one its own.
    assert_eq!(count(&of_webhook("quiet")).await, 1);
}

pub async fn a_delivery_that_failed_is_read_back_with_its_body(adapter: &impl Adapter) {
    let log = adapter.log();
    let last = LastAttempt {
        outcome: "rejected".to_owned(),
        status: Some(500),
    };
    let first = delivery("e1", "w1");
    let event = Event {
        traceparent: TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ..(*first.event).clone()
    };
    assert!(event.traceparent.is_some());
    let second = Delivery {
        event: Arc::new(event),
        ..first.retried(at(0), last, None)
    };
    for state in [
        DeliveryState::Waiting(at(30)),
        DeliveryState::Dead(Reason::AttemptsExhausted),
        DeliveryState::Delivered,
    ] {
        log.write(recorded(&second, state, Keep::Whole)).await;
        let found = adapter.delivery(&second.id).await;
        let expected = Recorded::Whole(Box::new(second.clone()), state);
        assert_eq!(found, Some(expected));
    }
    let nothing = adapter.delivery(&DeliveryId::new("none").unwrap()).await;
    assert_eq!(nothing, None);
}

pub async fn the_settled_sequence_is_the_highest_and_never_shortens_a_whole_record(
    adapter: &impl Adapter,
) {
    let log = adapter.log();
    let first = delivery("e1", "w1");
    let sequence = async || log.settled_sequence(&organization(), &first.id).await;
    assert_eq!(sequence().await, 0);
    log.write(recorded(&first, DeliveryState::Delivered, Keep::Sequence))
        .await;
    assert_eq!(sequence().await, 1);
    assert_eq!(
        adapter.delivery(&first.id).await,
        Some(Recorded::Sequence(1))
    );
    let numbered = |sequence| Delivery {
        sequence,
        ..first.clone()
    };
    let third = numbered(3);
    let waiting = DeliveryState::Waiting(at(9));
    log.write(recorded(&third, waiting, Keep::Whole)).await;
    assert_eq!(sequence().await, 3);
    let fourth = numbered(4);
    log.write(recorded(&fourth, DeliveryState::Delivered, Keep::Sequence))
        .await;
    assert_eq!(sequence().await, 4);
    // One that lost its message long ago comes late.
    log.write(recorded(&first, DeliveryState::Delivered, Keep::Whole))
        .await;
    assert_eq!(sequence().await, 4);
    let expected = Recorded::Whole(Box::new(fourth), waiting);
    assert_eq!(adapter.delivery(&first.id).await, Some(expected));
}

pub async fn marks_are_added_up_and_outlast_their_removal(adapter: &impl Adapter) {
    let log = adapter.log();
    let event = MessageKey::new("e1").unwrap();
    let id = |text: &str| WebhookId::new(text).unwrap();
    assert!(log.settled(&organization(), &event).await.is_empty());
    for webhooks in [vec![id("a")], vec![id("b"), id("c")], vec![id("a")]] {
        let mark = SettledMarker {
            organization: organization(),
            message: event.clone(),
            webhooks,
        };
        let entry = Entry {
            mark: Some(mark),
            ..Entry::default()
        };
        log.write(entry).await;
    }
    let all = HashSet::from([id("a"), id("b"), id("c")]);
    assert_eq!(log.settled(&organization(), &event).await, all);
    let other = MessageKey::new("e2").unwrap();
    assert!(log.settled(&organization(), &other).await.is_empty());
    let entry = Entry {
        unmark: Some((organization(), event.clone())),
        ..Entry::default()
    };
    log.write(entry).await;
    // That the message is settled may not be on the disk yet.
    assert_eq!(log.settled(&organization(), &event).await, all);
}

pub async fn a_run_of_failures_begins_after_the_last_success(adapter: &impl Adapter) {
    register(adapter).await;
    let log = adapter.log();
    let key = webhook_key("w1");
    assert_eq!(failing_since(&*log, &key, at(0)).await, at(0));
    assert_eq!(failing_since(&*log, &key, at(100)).await, at(0));
    log.succeeded(&key, at(200));
    adapter.flush().await;
    assert_eq!(failing_since(&*log, &key, at(300)).await, at(300));
    assert_eq!(failing_since(&*log, &key, at(400)).await, at(300));
    // Noted once a minute at most, so within one the run goes on.
    log.succeeded(&key, at(210));
    adapter.flush().await;
    assert_eq!(failing_since(&*log, &key, at(500)).await, at(300));
    let other = webhook_key("w2");
    assert_eq!(failing_since(&*log, &other, at(600)).await, at(600));
}

pub async fn enabling_a_webhook_forgets_its_failures(adapter: &impl Adapter) {
    let (log, webhooks, acme) = (adapter.log(), adapter.webhooks(), organization());
    let created = webhooks
        .create(&acme, new_webhook("n"), at(0))
        .await
        .unwrap();
    let key = webhook_key(&created.document.id);
    failing_since(&*log, &key, at(0)).await;
    webhooks
        .disable(&acme, "n", "days of failures", at(10))
        .await
        .unwrap();
    failing_since(&*log, &key, at(11)).await;
    webhooks.enable(&acme, "n", at(20)).await.unwrap();
    assert_eq!(failing_since(&*log, &key, at(30)).await, at(30));
}

pub async fn attempts_are_counted_by_the_quarter_of_an_hour(adapter: &impl Adapter) {
    register(adapter).await;
    // Another worker adds to the same counts.
    let (log, other) = (adapter.log(), adapter.log());
    let now = statistics::start(statistics::number(Timestamp::now()));
    let before = now - SignedDuration::from_mins(15);
    let ago = now - SignedDuration::from_hours(24 * 30);
    let made = |outcome: &str, started_at, trigger, millis| Attempt {
        outcome: outcome.to_owned(),
        started_at,
        trigger,
        duration: Duration::from_millis(millis),
        ..attempt("e", "w1")
    };
    for (log, one) in [
        (&log, made("delivered", now, Trigger::Event, 5)),
        (&other, made("delivered", now, Trigger::Event, 5)),
        (&other, made("rejected", now, Trigger::Retry, 80)),
        (&log, made("timeout", before, Trigger::Event, 10_000)),
        (&log, made("delivered", now, Trigger::Test, 5)),
        (&log, made("delivered", ago, Trigger::Event, 5)),
    ] {
        log.write(attempted(one)).await;
        adapter.flush().await;
    }
    let webhook = WebhookId::new("w1").unwrap();
    let day = (
        now - SignedDuration::from_hours(24),
        now + SignedDuration::from_mins(15),
    );
    let found = adapter.statistics(&webhook, day, Detail::Durations).await;
    let from: Vec<Timestamp> = found.iter().map(|bucket| bucket.from).collect();
    assert_eq!(from, [before, now]);
    let (earlier, later) = (&found[0].counts, &found[1].counts);
    assert_eq!((earlier.attempts(), earlier.failed()), (1, 1));
    assert_eq!((later.attempts(), later.delivered()), (3, 2));
    let half = later.percentile(0.5).unwrap();
    assert!((4..7).contains(&half.as_millis()), "{half:?}");

    let outcomes = adapter.statistics(&webhook, day, Detail::Outcomes).await;
    assert_eq!(outcomes[1].counts.outcomes, later.outcomes);
    assert!(outcomes[1].counts.durations.is_empty());
    let until_now = adapter
        .statistics(&webhook, (day.0, now), Detail::Outcomes)
        .await;
    assert_eq!(until_now.len(), 1, "the end does not belong to a period");
    let nobody = WebhookId::new("w2").unwrap();
    let none = adapter.statistics(&nobody, day, Detail::Outcomes).await;
    assert_eq!(none, []);
}

pub async fn an_attempt_is_found_by_its_entry(adapter: &impl Adapter) {
    register(adapter).await;
    let log = adapter.log();
    for event in ["e1", "e2"] {
        log.write(attempted(attempt(event, "w1"))).await;
    }
    let all = adapter.entries(&of_webhook("w1")).await;
    assert_eq!(all.len(), 2);
    let webhook = WebhookId::new("w1").unwrap();
    for one in &all {
        let found = adapter.entry(&webhook, one.entry).await;
        assert_eq!(found.as_ref(), Some(one));
    }
    let elsewhere = WebhookId::new("w2").unwrap();
    assert_eq!(adapter.entry(&elsewhere, all[0].entry).await, None);
}

pub async fn of_those_who_retry_a_delivery_at_once_one_may(adapter: &impl Adapter) {
    let log = adapter.delivery_log();
    let (acme, id) = (organization(), DeliveryId::new("d1").unwrap());
    let asking = (0..5).map(|_| log.claim_retry(&acme, &id, 3));
    let claimed = futures::future::try_join_all(asking).await.unwrap();
    assert_eq!(claimed.iter().filter(|one| **one).count(), 1);
    // The next one, once the attempt of this is on record; another organization's; another delivery.
    assert!(log.claim_retry(&acme, &id, 4).await.unwrap());
    let other = Organization::new("other").unwrap();
    assert!(log.claim_retry(&other, &id, 3).await.unwrap());
    let two = DeliveryId::new("d2").unwrap();
    assert!(log.claim_retry(&acme, &two, 3).await.unwrap());
    // One that came to nothing stands in nobody's way.
    log.release_retry(&acme, &id, 3).await.unwrap();
    assert!(log.claim_retry(&acme, &id, 3).await.unwrap());
}
