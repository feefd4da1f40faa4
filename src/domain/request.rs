//! Which headers a request carries.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use jiff::Timestamp;

use super::delivery::Delivery;
use super::secret::Secret;
use super::signature;
use super::trace_context::TraceParent;
use super::webhook::Webhook;

/// The lower-case hex HMAC-SHA256 of the body behind `sha256=`.
pub const PRISM_SIGNATURE: HeaderName = HeaderName::from_static("x-prism-signature");
/// The event type.
pub const PRISM_EVENT: HeaderName = HeaderName::from_static("x-prism-event");
/// The delivery id, the same at every attempt.
pub const PRISM_DELIVERY: HeaderName = HeaderName::from_static("x-prism-delivery");
/// The number of the attempt, from 1.
pub const PRISM_ATTEMPT: HeaderName = HeaderName::from_static("x-prism-attempt");
/// The event id, the same for every receiver and at every attempt.
pub const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
/// Unix seconds of this attempt.
pub const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// The Standard Webhooks signatures.
pub const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// The W3C trace context.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PRODUCT: HeaderValue =
    HeaderValue::from_static(concat!("prism-webhooks/", env!("CARGO_PKG_VERSION")));

/// The version of the program, as it stands in the requests' `User-Agent`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The `User-Agent` of a version of the program; of one that is not known without it.
pub fn user_agent(version: Option<&str>) -> String {
    format!("prism-webhooks/{}", version.unwrap_or("…"))
}

/// The headers of the next attempt of `delivery` to `webhook`, made at `now`. `span` names the
/// request's span in the event's trace.
pub fn headers(webhook: &Webhook, delivery: &Delivery, now: Timestamp, span: u64) -> HeaderMap {
    let traceparent = delivery.event.traceparent;
    let carried = Carried {
        own: &webhook.headers,
        secrets: webhook.active_secrets(now).collect(),
        traceparent: traceparent.map(|parent| parent.child(span)),
    };
    carried.headers(delivery, now)
}

/// What makes the headers of two requests differ that have the same delivery, attempt and time.
#[derive(Debug)]
pub struct Carried<'a> {
    /// The webhook's own headers.
    pub own: &'a [(HeaderName, HeaderValue)],
    /// The secrets that sign, the current one first.
    pub secrets: Vec<&'a Secret>,
    /// The request's place in its trace.
    pub traceparent: Option<TraceParent>,
}

impl Carried<'_> {
    /// The headers of the next attempt of `delivery`, made at `now`.
    pub fn headers(self, delivery: &Delivery, now: Timestamp) -> HeaderMap {
        let event = &delivery.event;
        let seconds = now.as_second();
        let mut headers = HeaderMap::with_capacity(10 + self.own.len());
        // Their own first: none of them can be one of ours.
        headers.extend(self.own.iter().cloned());
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(USER_AGENT, PRODUCT);
        headers.insert(PRISM_EVENT, ascii(event.event_type.as_str()));
        headers.insert(PRISM_DELIVERY, ascii(delivery.id.as_str()));
        headers.insert(PRISM_ATTEMPT, HeaderValue::from(delivery.attempt));
        headers.insert(WEBHOOK_ID, ascii(event.id.as_str()));
        headers.insert(WEBHOOK_TIMESTAMP, HeaderValue::from(seconds));

        if let Some(current) = self.secrets.first() {
            headers.insert(
                PRISM_SIGNATURE,
                ascii(&signature::prism(current, &event.body)),
            );
            let standard =
                signature::standard(self.secrets, event.id.as_str(), seconds, &event.body);
            headers.insert(WEBHOOK_SIGNATURE, ascii(&standard));
        }
        if let Some(traceparent) = self.traceparent {
            headers.insert(TRACEPARENT, ascii(&traceparent.to_string()));
        }
        headers
    }
}

/// A header's name as it goes out: each word of it begins with a capital. Names have no case, but some
/// receivers look them up by it.
pub fn as_sent(name: &HeaderName) -> String {
    let capital = |word: &str| {
        let mut characters = word.chars();
        let first = characters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(characters).collect::<String>()
    };
    let words: Vec<_> = name.as_str().split('-').map(capital).collect();
    words.join("-")
}

fn ascii(text: &str) -> HeaderValue {
    #[expect(
        clippy::expect_used,
        reason = "identifiers and signatures are visible ASCII by type"
    )]
    HeaderValue::from_str(text).expect("visible ASCII is a header value")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::endpoint::EndpointRules;
    use crate::domain::event::Event;
    use crate::domain::ids::{EventId, EventType, Organization, WebhookId};
    use crate::domain::secret::Secret;
    use crate::domain::trace_context::TraceParent;
    use crate::domain::webhook::WebhookDocument;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn webhook(json: &str) -> Webhook {
        let document: WebhookDocument = serde_json::from_str(json).unwrap();
        Webhook::from_document(&document, EndpointRules::default(), Secret::new).unwrap()
    }

    fn delivery() -> Delivery {
        let event = Event {
            id: EventId::new("ev-1").unwrap(),
            event_type: EventType::new("request.completed").unwrap(),
            organization: Organization::default(),
            traceparent: TraceParent::parse(TRACE),
            body: "{}".into(),
        };
        Delivery::first(Arc::new(event), WebhookId::new("w1").unwrap())
    }

    #[test]
    fn a_signed_request_carries_every_header_of_the_contract() {
        let webhook = webhook(
            r#"{"id":"w1","name":"n","url":"https://example.com","headers":{"X-Team":"blue"},
                "secrets":[{"value":"new"},{"value":"old"}]}"#,
        );
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let headers = headers(&webhook, &delivery(), now, 0xabc);
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(text("content-type"), "application/json");
        assert!(text("user-agent").starts_with("prism-webhooks/"));
        assert_eq!(text("x-prism-event"), "request.completed");
        assert_eq!(text("x-prism-delivery"), delivery().id.as_str());
        assert_eq!(text("x-prism-attempt"), "1");
        assert_eq!(text("webhook-id"), "ev-1");
        assert_eq!(text("webhook-timestamp"), "1700000000");
        assert_eq!(text("x-team"), "blue");
        assert_eq!(
            text("traceparent"),
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000abc-01"
        );
        let new = Secret::new("new").unwrap();
        assert!(signature::verify_prism(
            &new,
            b"{}",
            &text("x-prism-signature")
        ));
        assert_eq!(text("webhook-signature").split(' ').count(), 2);
        assert_eq!(headers.len(), 11);
    }

    #[test]
    fn the_user_agent_is_made_again_from_the_version() {
        assert_eq!(PRODUCT, user_agent(Some(VERSION)));
    }

    #[test]
    fn each_word_of_a_name_begins_with_a_capital() {
        assert_eq!(as_sent(&PRISM_SIGNATURE), "X-Prism-Signature");
        assert_eq!(as_sent(&HeaderName::from_static("x--1a-")), "X--1a-");
    }

    #[test]
    fn without_a_secret_nothing_is_signed() {
        let webhook = webhook(r#"{"id":"w1","name":"n","url":"https://example.com"}"#);
        let headers = headers(&webhook, &delivery(), Timestamp::UNIX_EPOCH, 1);
        assert!(!headers.contains_key(PRISM_SIGNATURE));
        assert!(!headers.contains_key(WEBHOOK_SIGNATURE));
    }
}
