//! Messages: taken, settled, delayed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prism_webhooks::domain::delivery::{Delivery, LastAttempt};
use prism_webhooks::domain::event::{Event, Header, RawEvent};
use prism_webhooks::domain::trace_context::TraceParent;
use prism_webhooks::engine::ports::{FollowUp, Handover, Incoming, Message, Source};

use super::adapter::Adapter;
use crate::rabbitmq::world::{delivery, mark, next_delivery, next_event, raw_event, soon};
use crate::redis::kit::at;

fn id(incoming: &Incoming) -> String {
    match &incoming.message {
        Message::Event(raw) => raw.message_id.clone().unwrap(),
        Message::Delivery(delivery) => delivery.event.id.to_string(),
        Message::Unreadable(..) => panic!("{incoming:?}"),
    }
}

pub(super) async fn hand_over(handover: &Arc<dyn Handover>, follow_up: FollowUp) {
    soon(handover.hand_over(follow_up)).await.unwrap();
}

pub(super) async fn next_delivered(source: &mut Source) -> (Delivery, Incoming) {
    let incoming = next_delivery(source).await;
    match &incoming.message {
        Message::Delivery(delivery) => (delivery.clone(), incoming),
        other => panic!("{other:?}"),
    }
}

pub async fn what_is_published_is_handed_out_as_it_was_and_gone_once_settled(
    adapter: &impl Adapter,
) {
    let strange = RawEvent {
        organization: Header::Text(vec![0xff, 0xfe]),
        traceparent: Header::Text(b"00-x".to_vec()),
        body: Bytes::from_static(b"\0\xff no JSON at all"),
        ..raw_event("strange")
    };
    let events = [raw_event("e0"), raw_event("e1"), strange];
    for event in &events {
        adapter.publish(event.clone()).await;
    }
    let (mut source, handle) = adapter.work().await;
    for event in &events {
        let incoming = next_event(&mut source).await;
        assert!(!incoming.redelivered);
        match &incoming.message {
            Message::Event(raw) => {
                let stamp = raw.stamp.clone();
                assert!(stamp.is_some(), "it is told from every other");
                let expected = RawEvent {
                    stamp,
                    ..event.clone()
                };
                assert_eq!(raw, &expected);
            }
            other => panic!("{other:?}"),
        }
        incoming.receipt.ack(Some(mark("e")), None);
    }
    adapter.close(handle).await;
    assert!(source.lost_acks.try_recv().is_err());
    // Whoever comes after finds only what is new.
    adapter.publish(raw_event("later")).await;
    let (mut source, handle) = adapter.work().await;
    let incoming = next_event(&mut source).await;
    assert_eq!(id(&incoming), "later");
    incoming.receipt.ack(None, None);
    adapter.close(handle).await;
}

pub async fn a_delivery_is_handed_out_as_it_was_handed_over(adapter: &impl Adapter) {
    let first = delivery("e1", "w1");
    let event = Event {
        traceparent: TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ..(*first.event).clone()
    };
    let last = LastAttempt {
        outcome: "rejected".to_owned(),
        status: Some(503),
    };
    let wait = Some(Duration::from_millis(1500));
    let retried = Delivery {
        event: Arc::new(event),
        ..first.retried(at(7), last, wait)
    };
    let (mut source, handle) = adapter.work().await;
    for delivery in [first, retried] {
        hand_over(&adapter.handover(), FollowUp::Enqueue(delivery.clone())).await;
        let (read, incoming) = next_delivered(&mut source).await;
        assert_eq!(read, delivery);
        assert!(!incoming.redelivered);
        incoming.receipt.ack(None, None);
    }
    adapter.close(handle).await;
}

pub async fn a_part_is_handed_out_apart_until_it_is_settled(adapter: &impl Adapter) {
    let handover = adapter.handover();
    hand_over(&handover, FollowUp::Part(delivery("part", "w"))).await;
    hand_over(&handover, FollowUp::Enqueue(delivery("d", "w"))).await;
    drop(handover);
    let next_part = async |source: &mut Source| soon(source.parts.recv()).await.unwrap();
    let (mut source, handle) = adapter.work().await;
    let part = next_part(&mut source).await;
    assert_eq!((id(&part).as_str(), part.redelivered), ("part", false));
    let other = next_delivery(&mut source).await;
    assert_eq!(id(&other), "d");
    other.receipt.ack(None, None);
    drop(part);
    let part = next_part(&mut source).await;
    assert_eq!((id(&part).as_str(), part.redelivered), ("part", true));
    adapter.crash(source, handle).await;
    drop(part);

    let (mut source, handle) = adapter.work().await;
    let part = next_part(&mut source).await;
    assert_eq!((id(&part).as_str(), part.redelivered), ("part", true));
    part.receipt.ack(None, None);
    adapter.close(handle).await;
    drop(source);
    let (mut source, handle) = adapter.work().await;
    hand_over(&adapter.handover(), FollowUp::Part(delivery("last", "w"))).await;
    let part = next_part(&mut source).await;
    assert_eq!(id(&part), "last", "the first is gone");
    part.receipt.ack(None, None);
    adapter.close(handle).await;
}

pub async fn a_dropped_receipt_returns_the_message_and_says_so(adapter: &impl Adapter) {
    adapter.publish(raw_event("e0")).await;
    let (mut source, handle) = adapter.work().await;
    let incoming = next_event(&mut source).await;
    assert!(!incoming.redelivered);
    drop(incoming);
    let incoming = next_event(&mut source).await;
    assert_eq!((id(&incoming).as_str(), incoming.redelivered), ("e0", true));
    incoming.receipt.ack(None, None);
    adapter.close(handle).await;
}

pub async fn what_a_crash_left_unsettled_comes_back_flagged_and_nothing_else_does(
    adapter: &impl Adapter,
) {
    for event in 0..6 {
        adapter.publish(raw_event(&format!("e{event}"))).await;
    }
    hand_over(&adapter.handover(), FollowUp::Enqueue(delivery("d", "w"))).await;
    let (mut source, handle) = adapter.work().await;
    let mut held = Vec::new();
    for event in 0..6 {
        let incoming = next_event(&mut source).await;
        match event % 2 {
            0 => incoming.receipt.ack(None, None),
            _ => held.push(incoming),
        }
    }
    held.push(next_delivery(&mut source).await);
    drop((held, source));
    adapter.close(handle).await;

    // In order so far: what was acknowledged is gone. Now without order.
    let (mut source, handle) = adapter.work().await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next_event(&mut source).await);
    }
    held.push(next_delivery(&mut source).await);
    adapter.crash(source, handle).await;
    drop(held);

    let (mut source, handle) = adapter.work().await;
    let mut found = Vec::new();
    for _ in 0..3 {
        let incoming = next_event(&mut source).await;
        assert!(incoming.redelivered);
        found.push(id(&incoming));
        incoming.receipt.ack(None, None);
    }
    found.sort();
    assert_eq!(found, ["e1", "e3", "e5"]);
    let incoming = next_delivery(&mut source).await;
    assert!(incoming.redelivered);
    assert_eq!(id(&incoming), "d");
    incoming.receipt.ack(None, None);
    adapter.close(handle).await;
}

pub async fn a_source_that_stops_taking_can_still_settle(adapter: &impl Adapter) {
    adapter.publish(raw_event("e0")).await;
    let (mut source, handle) = adapter.work().await;
    let incoming = next_event(&mut source).await;
    stop::<_>(adapter, &handle);
    // The channels end.
    assert!(soon(source.events.recv()).await.is_none());
    incoming.receipt.ack(None, None);
    adapter.close(handle).await;
    adapter.publish(raw_event("e1")).await;
    let (mut source, handle) = adapter.work().await;
    assert_eq!(id(&next_event(&mut source).await), "e1");
    drop(source);
    adapter.close(handle).await;
}

fn stop<A: Adapter>(_: &A, handle: &A::Handle) {
    A::stop_taking(handle);
}

pub async fn a_delay_is_never_early_and_the_shorter_comes_first(adapter: &impl Adapter) {
    let (mut source, handle) = adapter.work().await;
    let handover = adapter.handover();
    let start = Instant::now();
    for seconds in [2, 1] {
        let delayed = delivery(&format!("e{seconds}"), "w");
        hand_over(
            &handover,
            FollowUp::Delay(delayed, Duration::from_secs(seconds)),
        )
        .await;
    }
    for seconds in [1, 2] {
        let incoming = next_delivery(&mut source).await;
        let took = start.elapsed();
        assert_eq!(id(&incoming), format!("e{seconds}"));
        let wanted = Duration::from_secs(seconds);
        assert!(took >= wanted, "{took:?} for {wanted:?}");
        incoming.receipt.ack(None, None);
    }
    adapter.close(handle).await;
}

pub async fn what_is_put_off_is_never_early_and_waits_for_whoever_takes_it(adapter: &impl Adapter) {
    let handover = adapter.handover();
    let start = Instant::now();
    let delays = [1_100, 1_400, 1_900].map(Duration::from_millis);
    for delay in delays {
        let deferred = delivery(&format!("e{}", delay.as_millis()), "w");
        hand_over(&handover, FollowUp::Defer(deferred, delay)).await;
    }
    let (mut source, handle) = adapter.work().await;
    let mut came = Vec::new();
    while came.len() < 2 {
        came.extend(put_off_to_the_end(&handover, &mut source).await);
        let due = delays.iter().filter(|delay| start.elapsed() >= **delay);
        assert!(came.len() <= due.count(), "{came:?} {:?}", start.elapsed());
    }
    came.sort();
    assert_eq!(came, ["e1100", "e1400"]);
    // Nobody takes the last when it is due, nor for as long again.
    drop(source);
    adapter.close(handle).await;
    tokio::time::sleep_until((start + 2 * delays[2]).into()).await;
    let (mut source, handle) = adapter.work().await;
    let last = loop {
        if let Some(last) = put_off_to_the_end(&handover, &mut source).await {
            break last;
        }
    };
    assert_eq!(last, "e1900");
    adapter.close(handle).await;
}

/// Takes the next delivery, and gives its id if it is due; puts it off for what is left otherwise.
async fn put_off_to_the_end(handover: &Arc<dyn Handover>, source: &mut Source) -> Option<String> {
    let (delivery, incoming) = next_delivered(source).await;
    if let Some(rest) = delivery.remaining_wait {
        let follow_up = FollowUp::DeferInLine(delivery.deferred(None), rest);
        hand_over(handover, follow_up).await;
    }
    let is_due = delivery.remaining_wait.is_none().then(|| id(&incoming));
    incoming.receipt.ack(None, None);
    is_due
}

pub async fn an_event_of_our_own_comes_like_any_other(adapter: &impl Adapter) {
    let event = (*delivery("own", "w").event).clone();
    let (mut source, handle) = adapter.work().await;
    hand_over(&adapter.handover(), FollowUp::Publish(event.clone())).await;
    let incoming = next_event(&mut source).await;
    match &incoming.message {
        Message::Event(raw) => {
            assert_eq!(raw.routing_key, event.event_type.as_str());
            assert_eq!(raw.organization, Header::Text(b"acme".to_vec()));
            assert_eq!(raw.body, event.body);
        }
        other => panic!("{other:?}"),
    }
    incoming.receipt.ack(None, None);
    adapter.close(handle).await;
}
