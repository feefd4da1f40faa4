//! Reading events, whatever came.

use super::*;

fn rules() -> EventRules {
    let event_types = crate::domain::ids::GATEWAY_EVENT_TYPES
        .iter()
        .map(|t| EventType::new(t).unwrap())
        .collect();
    EventRules {
        event_types,
        max_size: 1 << 20,
    }
}

fn raw(routing_key: &str, body: &[u8]) -> RawEvent {
    RawEvent {
        routing_key: routing_key.to_owned(),
        body: Bytes::copy_from_slice(body),
        ..RawEvent::default()
    }
}

fn refusal(raw: &RawEvent) -> String {
    decode(raw, &rules()).unwrap_err().to_string()
}

#[test]
fn an_event_keeps_its_bytes_and_gets_defaults() {
    let body = b" {\"event\" : \"request.completed\", \"cost\": 1.50}\n";
    let event = decode(&raw("request.completed", body), &rules()).unwrap();
    assert_eq!(&event.body[..], body);
    assert_eq!(event.organization.as_str(), "default");
    assert_eq!(event.id, EventId::derived("request.completed", body));
}

#[test]
fn an_event_written_with_escapes_is_compared_by_its_meaning() {
    let body = br#"{"event":"request\u002ecompleted"}"#;
    assert!(decode(&raw("request.completed", body), &rules()).is_ok());
}

#[test]
fn what_is_no_event_is_refused_with_a_reason() {
    let cases: [(&str, &[u8], &str); 13] = [
        (
            "request.completed",
            b"\xef\xbb\xbf{\"event\":\"request.completed\"}",
            "byte order mark",
        ),
        (
            "request.completed",
            b"\x1f\x8b\x08\0",
            "compressed with gzip",
        ),
        (
            "request.completed",
            b"hello",
            "not a JSON object: it is no value of JSON (at byte 1)",
        ),
        ("request.completed", b"", "not a JSON object"),
        (
            "request.completed",
            b"[\"request.completed\"]",
            "not a JSON object",
        ),
        (
            "request.completed",
            b"\"request.completed\"",
            "invalid type: string \"request.completed\", expected a JSON object (at byte 19)",
        ),
        ("request.completed", b"{}", "no string field \"event\""),
        (
            "request.completed",
            b"{\"event\":7}",
            "no string field \"event\"",
        ),
        (
            "request.completed",
            b"{\"event\":null}",
            "no string field \"event\"",
        ),
        (
            "request.completed",
            b"{\"event\":\"error.occurred\"}",
            "must be equal",
        ),
        ("made.up", b"{\"event\":\"made.up\"}", "not known here"),
        (
            "request.completed",
            b"{\"event\":\"request.completed\",\"a\":\"\xff\"}",
            "not UTF-8",
        ),
        (
            "request.completed",
            b"{\"event\":\"request.completed\"",
            "not a JSON object",
        ),
    ];
    for (routing_key, body, expected) in cases {
        let said = refusal(&raw(routing_key, body));
        assert!(
            said.contains(expected),
            "{said:?} should contain {expected:?}"
        );
    }
}

#[test]
fn a_body_over_the_limit_is_refused_with_both_sizes() {
    let said = refusal(&raw("request.completed", &vec![b' '; (1 << 20) + 1]));
    assert_eq!(
        said,
        "the body has 1048577 bytes; at most 1048576 are accepted"
    );
}

#[test]
fn deep_nesting_is_no_harm() {
    let depth = 400_000;
    let body = format!(
        "{{\"event\":\"request.completed\",\"a\":{}{}}}",
        "[".repeat(depth),
        "]".repeat(depth)
    );
    assert!(decode(&raw("request.completed", body.as_bytes()), &rules()).is_ok());
}

#[test]
fn the_event_of_a_disabled_webhook_is_an_event_and_not_for_that_webhook() {
    let id = WebhookId::new("w1").unwrap();
    let disabled = Disabled {
        webhook: &id,
        name: "n",
        reason: "gone",
        at: Timestamp::UNIX_EPOCH,
    };
    let delivery = DeliveryId::new("d1").unwrap();
    let told = Event::disabled(&Organization::default(), &disabled, &delivery);
    let again = Event::disabled(&Organization::default(), &disabled, &delivery);
    assert_eq!(told, again);
    assert_eq!(told.not_for(), Some(id));
    let mut rules = rules();
    rules.event_types.insert(EventType::webhook_disabled());
    let decoded = decode(&raw(WEBHOOK_DISABLED, &told.body), &rules).unwrap();
    assert_eq!(decoded.body, told.body);
    let body = br#"{"event":"request.completed","webhook_id":"w1"}"#;
    let other = decode(&raw("request.completed", body), &rules).unwrap();
    assert_eq!(other.not_for(), None);
}

#[test]
fn headers_must_be_readable() {
    let mut message = raw("request.completed", b"{\"event\":\"request.completed\"}");
    message.organization = Header::Text(vec![0xff]);
    assert!(refusal(&message).contains("\"organization\" is not UTF-8"));
    message.organization = Header::Other("an integer");
    assert!(refusal(&message).contains("is an integer; it must be a string"));
    message.organization = Header::Text(b"two words".to_vec());
    assert!(refusal(&message).contains("the organization \"two words\" is not usable"));
    message.organization = Header::Text(b"acme".to_vec());
    message.traceparent = Header::Text(vec![0xff]);
    assert_eq!(decode(&message, &rules()).unwrap().traceparent, None);
    message.message_id = Some("white space".to_owned());
    assert!(refusal(&message).contains("the event id"));
}
