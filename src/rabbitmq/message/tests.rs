use proptest::prelude::*;

use super::*;
use crate::domain::dead_letter::Reason;
use crate::domain::delivery::Trigger;
use crate::domain::ids::{Organization, WebhookId};

fn topology() -> Topology {
    Topology::new("ns", [], Duration::from_secs(4))
}

fn arrives(outgoing: Outgoing) -> Received {
    Received {
        exchange: outgoing.exchange,
        routing_key: outgoing.routing_key,
        properties: outgoing.properties,
        body: outgoing.body,
    }
}

fn now() -> Timestamp {
    "2026-02-03T04:05:06.789Z".parse().unwrap()
}

prop_compose! {
    fn events()(
        id in "[!-~]{1,255}",
        event_type in "[a-z]{1,9}\\.[a-z_-]{1,9}",
        organization in "[A-Za-z0-9._:@-]{1,128}",
        trace in prop::option::of((1..u128::MAX, 1..u64::MAX, any::<u8>())),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) -> Event {
        Event {
            id: EventId::new(&id).unwrap(),
            event_type: EventType::new(&event_type).unwrap(),
            organization: Organization::new(&organization).unwrap(),
            traceparent: trace.map(|(trace, span, flags)| {
                TraceParent::parse(&format!("00-{trace:032x}-{span:016x}-{flags:02x}")).unwrap()
            }),
            body: body.into(),
        }
    }
}

fn last_attempts() -> impl Strategy<Value = LastAttempt> {
    ("[a-z-]{1,20}", prop::option::of(100..600_u16))
        .prop_map(|(outcome, status)| LastAttempt { outcome, status })
}

prop_compose! {
    fn deliveries()(
        event in events(),
        webhook in "[A-Za-z0-9._:@-]{1,128}",
        attempt in 1..u32::MAX,
        sequence in 1..u32::MAX,
        first_attempt_nanos in prop::option::of(0..4_000_000_000_000_000_000_i128),
        trigger in prop::sample::select(
            [Trigger::Event, Trigger::Retry, Trigger::Manual, Trigger::Test].to_vec()
        ),
        last in prop::option::of(last_attempts()),
        wait_millis in prop::option::of(0..1_000_000_000_u64),
    ) -> Delivery {
        let webhook = WebhookId::new(&webhook).unwrap();
        Delivery {
            id: Delivery::first(Arc::new(event.clone()), webhook.clone()).id,
            event: Arc::new(event),
            webhook,
            attempt,
            sequence,
            first_attempt_at: first_attempt_nanos
                .map(|nanos| Timestamp::from_nanosecond(nanos).unwrap()),
            trigger,
            last,
            remaining_wait: wait_millis.map(Duration::from_millis),
        }
    }
}

fn raw_headers() -> impl Strategy<Value = Header> {
    prop_oneof![
        Just(Header::Absent),
        prop::collection::vec(any::<u8>(), 0..80).prop_map(Header::Text),
    ]
}

prop_compose! {
    fn raw_events()(
        routing_key in "\\PC{0,60}",
        message_id in prop::option::of("\\PC{0,60}"),
        organization in raw_headers(),
        traceparent in raw_headers(),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) -> RawEvent {
        RawEvent { routing_key, message_id, organization, traceparent, body: body.into(), ..RawEvent::default() }
    }
}

/// Any value that a publisher may put into a header.
fn values() -> impl Strategy<Value = AMQPValue> {
    prop_oneof![
        Just(AMQPValue::Void),
        any::<bool>().prop_map(AMQPValue::Boolean),
        any::<i64>().prop_map(AMQPValue::LongLongInt),
        any::<f64>().prop_map(AMQPValue::Double),
        any::<u64>().prop_map(AMQPValue::Timestamp),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|b| AMQPValue::LongString(b.into())),
        "[0-9a-z.-]{0,40}".prop_map(|text| AMQPValue::LongString(text.into())),
        Just(AMQPValue::FieldTable(FieldTable::default())),
    ]
}

proptest! {
    #[test]
    fn a_delivery_comes_back_as_it_went(delivery in deliveries()) {
        let step = Duration::from_secs(3);
        for follow_up in
            [FollowUp::Enqueue(delivery.clone()), FollowUp::Delay(delivery.clone(), step)]
        {
            match decode_delivery(arrives(encode(&follow_up, &topology(), now()))) {
                Message::Delivery(read) => prop_assert_eq!(&read, &delivery),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn headers_fit_into_a_small_frame(delivery in deliveries(), detail in "\\PC{0,9000}") {
        let letter = DeadLetter {
            reason: Reason::AttemptsExhausted,
            detail,
            content: Content::Delivery(delivery),
        };
        let outgoing = encode(&FollowUp::DeadLetter(letter), &topology(), now());
        let size: usize = outgoing.properties.headers().as_ref().unwrap().inner().iter()
            .map(|(name, value)| name.as_str().len() + value.as_long_string().map_or(8, |t| t.len()) + 6)
            .sum();
        prop_assert!(size < 7_000, "{}", size);
    }

    #[test]
    fn a_message_that_was_not_understood_is_kept_and_comes_back_by_a_requeue(raw_event in raw_events()) {
        let letter = DeadLetter {
            reason: Reason::InvalidEvent,
            detail: "no".to_owned(),
            content: Content::Message(raw_event.clone()),
        };
        let received = arrives(encode(&FollowUp::DeadLetter(letter), &topology(), now()));
        match decode_event(received) {
            Message::Event(read) => prop_assert_eq!(read, raw_event),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn reading_is_total(
        delivery in deliveries(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(values())), 0..6),
    ) {
        let mut received = arrives(encode(&FollowUp::Enqueue(delivery), &topology(), now()));
        let mut headers = received.properties.headers().clone().unwrap();
        for (index, value) in changes {
            let mut inner = headers.inner().clone();
            let name = inner.keys().nth(index.index(inner.len())).unwrap().clone();
            match value {
                Some(value) => inner.insert(name, value),
                None => inner.remove(&name),
            };
            if inner.is_empty() {
                break;
            }
            headers = inner.into();
        }
        received.properties = received.properties.with_headers(headers);
        match decode_delivery(received) {
            Message::Delivery(_) => {}
            Message::Unreadable(_, problem) => prop_assert!(problem.contains("header"), "{}", problem),
            Message::Event(_) => prop_assert!(false, "no event was sent"),
        }
    }
}

#[test]
fn a_message_without_any_header_is_unreadable_and_says_why() {
    let received = Received {
        exchange: "".into(),
        routing_key: "ns.webhooks.deliveries".into(),
        properties: BasicProperties::default(),
        body: Bytes::from_static(b"{}"),
    };
    match decode_delivery(received) {
        Message::Unreadable(raw, problem) => {
            assert_eq!(raw.routing_key, "ns.webhooks.deliveries");
            assert_eq!(problem, "the header \"event\" is missing");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_event_is_published_under_its_type() {
    let event = Event {
        id: EventId::new("e1").unwrap(),
        event_type: EventType::new("webhook.disabled").unwrap(),
        organization: Organization::new("acme").unwrap(),
        traceparent: None,
        body: Bytes::from_static(b"{}"),
    };
    let outgoing = encode(&FollowUp::Publish(event), &topology(), now());
    assert_eq!(outgoing.exchange.as_str(), "ns.events");
    assert_eq!(outgoing.routing_key.as_str(), "webhook.disabled");
    assert_eq!(*outgoing.properties.delivery_mode(), Some(PERSISTENT));
    match decode_event(arrives(outgoing)) {
        Message::Event(raw) => {
            assert_eq!(raw.routing_key, "webhook.disabled");
            assert_eq!(raw.message_id.as_deref(), Some("e1"));
            assert_eq!(raw.organization, Header::Text(b"acme".to_vec()));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_publishers_own_event_type_header_does_not_replace_the_routing_key() {
    let mut headers = FieldTable::default();
    put(&mut headers, header::EVENT_TYPE, "something.else");
    let received = Received {
        exchange: "ns.events".into(),
        routing_key: "request.completed".into(),
        properties: BasicProperties::default().with_headers(headers),
        body: Bytes::new(),
    };
    assert_eq!(raw(received).routing_key, "request.completed");
}

#[test]
fn a_header_that_is_no_text_stays_recognisable() {
    let raw_event = RawEvent {
        organization: Header::Other("a number"),
        ..RawEvent::default()
    };
    let draft = encode_raw(&raw_event);
    assert!(matches!(
        raw(arrives(draft.for_queue("q"))).organization,
        Header::Other(_)
    ));
}

#[test]
fn a_wait_is_rounded_up() {
    let event = Event {
        id: EventId::new("e1").unwrap(),
        event_type: EventType::new("a.b").unwrap(),
        organization: Organization::default(),
        traceparent: None,
        body: Bytes::new(),
    };
    let mut delivery = Delivery::first(Arc::new(event), WebhookId::new("w").unwrap());
    delivery.remaining_wait = Some(Duration::from_micros(1_500));
    match decode_delivery(arrives(encode(
        &FollowUp::Enqueue(delivery),
        &topology(),
        now(),
    ))) {
        Message::Delivery(read) => assert_eq!(read.remaining_wait, Some(Duration::from_millis(2))),
        other => panic!("{other:?}"),
    }
}
