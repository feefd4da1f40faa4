//! The request of an attempt as it was sent, as far as that is on record: nothing is taken from what its
//! webhook has become since.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, USER_AGENT};

use crate::domain::attempt::Attempt;
use crate::domain::delivery::Delivery;
use crate::domain::event::Event;
use crate::domain::request::{self, Carried};
use crate::domain::secret::{Secret, SecretId};
use crate::domain::webhook::Webhook;

/// The text in the place of a value that is not shown: the webhook's own headers may be credentials.
pub const HIDDEN: &str = "(hidden)";

/// A request as it was sent.
#[derive(Debug, PartialEq, Eq)]
pub struct SentRequest {
    /// The endpoint at the time.
    pub url: String,
    /// Its headers, as far as they are known, with values of the webhook's own [`HIDDEN`].
    pub headers: Vec<(String, String)>,
    /// Whether the webhook's own headers are among them: an earlier version did not record them.
    pub own_headers_known: bool,
    /// What is known of its signatures.
    pub signed: Signed,
    /// The body, if it is kept.
    pub body: Option<Bytes>,
}

/// What is known of a request's signatures.
#[derive(Debug, PartialEq, Eq)]
pub enum Signed {
    /// It had none.
    Not,
    /// By these secrets; the signatures are among the headers.
    By(Vec<SecretId>),
    /// By these secrets; what they signed is not kept.
    BodyGone(Vec<SecretId>),
    /// By these secrets, of which the webhook has some no longer.
    SecretsGone(Vec<SecretId>),
    /// An earlier version did not record it.
    Unrecorded,
}

/// The request of `attempt`. The secrets that signed it are those of `webhook`, if it has them still;
/// `kept` is its delivery, if that has its body still.
pub fn sent(attempt: &Attempt, webhook: &Webhook, kept: Option<&Delivery>) -> SentRequest {
    let body = kept.map(|delivery| delivery.event.body.clone());
    let event = Event {
        id: attempt.event_id.clone(),
        event_type: attempt.event_type.clone(),
        organization: attempt.organization.clone(),
        traceparent: None,
        body: body.clone().unwrap_or_default(),
    };
    let delivery = Delivery {
        id: attempt.delivery_id.clone(),
        attempt: attempt.attempt,
        ..Delivery::first(Arc::new(event), attempt.webhook_id.clone())
    };
    let own = attempt.own_headers.iter().flatten();
    let own: Vec<_> = own.filter_map(|name| hidden(name)).collect();
    let (signed, secrets) = signatures(attempt, webhook, body.is_some());
    let carried = Carried {
        own: &own,
        secrets,
        traceparent: attempt.traceparent,
    };
    let headers = carried.headers(&delivery, attempt.started_at);
    let shown = headers.iter().map(|(name, value)| {
        let value = match name {
            &USER_AGENT => request::user_agent(attempt.version.as_deref()),
            _ => value.to_str().unwrap_or_default().to_owned(),
        };
        (request::as_sent(name), value)
    });
    SentRequest {
        url: attempt.url.clone(),
        headers: shown.collect(),
        own_headers_known: attempt.own_headers.is_some(),
        signed,
        body,
    }
}

fn hidden(name: &str) -> Option<(HeaderName, HeaderValue)> {
    let name = name.parse().ok()?;
    Some((name, HeaderValue::from_static(HIDDEN)))
}

/// What is known of the signatures, and the secrets that make them again.
fn signatures<'a>(
    attempt: &Attempt,
    webhook: &'a Webhook,
    body_kept: bool,
) -> (Signed, Vec<&'a Secret>) {
    let Some(ids) = attempt.signed_by.clone() else {
        return (Signed::Unrecorded, Vec::new());
    };
    let secret = |id: &SecretId| {
        let mut secrets = webhook.secrets.iter().map(|(secret, _)| secret);
        secrets.find(|secret| secret.id() == *id)
    };
    let secrets: Option<Vec<&Secret>> = ids.iter().map(secret).collect();
    match (ids.is_empty(), body_kept, secrets) {
        (true, ..) => (Signed::Not, Vec::new()),
        (_, false, _) => (Signed::BodyGone(ids), Vec::new()),
        (_, true, None) => (Signed::SecretsGone(ids), Vec::new()),
        (_, true, Some(secrets)) => (Signed::By(ids), secrets),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::domain::endpoint::EndpointRules;
    use crate::domain::outcome::{Outcome, Reply, Response};
    use crate::domain::trace_context::TraceParent;
    use crate::domain::webhook::WebhookDocument;

    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn webhook(rest: &str) -> Webhook {
        let json = format!(r#"{{"id":"w1","name":"n","url":"https://example.com"{rest}}}"#);
        let document: WebhookDocument = serde_json::from_str(&json).unwrap();
        Webhook::from_document(&document, EndpointRules::default(), Secret::new).unwrap()
    }

    /// A delivery, and what an attempt to this webhook sent and recorded.
    fn made(webhook: &Webhook) -> (Delivery, Vec<(String, String)>, Attempt) {
        let event = Event {
            id: "e1".parse().unwrap(),
            event_type: "request.completed".parse().unwrap(),
            organization: crate::domain::ids::Organization::default(),
            traceparent: TraceParent::parse(TRACE),
            body: "{}".into(),
        };
        let delivery = Delivery::first(Arc::new(event), webhook.id.clone());
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let headers = request::headers(webhook, &delivery, now, 0xabc);
        let own: Vec<&HeaderName> = webhook.headers.iter().map(|(name, _)| name).collect();
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            let value = match name {
                name if own.contains(&name) => HIDDEN,
                _ => value.to_str().unwrap(),
            };
            (request::as_sent(name), value.to_owned())
        };
        let reply = Reply {
            result: Ok(Response {
                status: 200,
                ..Response::default()
            }),
            duration: Duration::ZERO,
            remote_addr: None,
        };
        let began = (now, 0xabc);
        let attempt = Attempt::made(&delivery, webhook, began, Outcome::Delivered, reply, "w");
        let sent = headers.iter().map(text).collect();
        (delivery, sent, attempt)
    }

    fn names(sent: &SentRequest) -> Vec<&str> {
        sent.headers.iter().map(|(name, _)| &**name).collect()
    }

    #[test]
    fn what_was_sent_is_shown_to_the_letter_whatever_the_webhook_has_become() {
        let then =
            webhook(r#","headers":{"X-Team":"blue"},"secrets":[{"value":"new"},{"value":"old"}]"#);
        let (delivery, expected, attempt) = made(&then);
        let now = webhook(
            r#","headers":{"Authorization":"x"},"secrets":[{"value":"newer"},{"value":"old"},{"value":"new"}]"#,
        );
        for webhook in [then, now] {
            let shown = sent(&attempt, &webhook, Some(&delivery));
            assert_eq!(shown.headers, expected);
            let by = ["new", "old"].map(|text| Secret::new(text).unwrap().id());
            assert_eq!(shown.signed, Signed::By(by.to_vec()));
        }
    }

    #[test]
    fn what_was_sent_without_a_secret_stays_unsigned_when_there_is_one() {
        let (delivery, expected, attempt) = made(&webhook(""));
        let now = webhook(r#","secrets":[{"value":"new"}]"#);
        let shown = sent(&attempt, &now, Some(&delivery));
        assert_eq!(shown.headers, expected);
        assert_eq!(shown.signed, Signed::Not);
    }

    #[test]
    fn signatures_are_not_shown_that_cannot_be_made_again_but_what_made_them_is() {
        let then = webhook(r#","secrets":[{"value":"new"}]"#);
        let (delivery, _, attempt) = made(&then);
        let id = vec![Secret::new("new").unwrap().id()];
        let bodiless = sent(&attempt, &then, None);
        assert_eq!(bodiless.signed, Signed::BodyGone(id.clone()));
        let replaced = sent(&attempt, &webhook(""), Some(&delivery));
        assert_eq!(replaced.signed, Signed::SecretsGone(id));
        for shown in [bodiless, replaced] {
            assert!(!names(&shown).contains(&"X-Prism-Signature"), "{shown:?}");
            assert!(!names(&shown).contains(&"Webhook-Signature"), "{shown:?}");
        }
    }

    #[test]
    fn of_what_an_earlier_version_sent_it_is_said_that_it_is_not_known() {
        let webhook = webhook(r#","headers":{"X-Team":"blue"},"secrets":[{"value":"new"}]"#);
        let (delivery, _, attempt) = made(&webhook);
        let earlier = Attempt {
            version: None,
            own_headers: None,
            signed_by: None,
            traceparent: None,
            ..attempt
        };
        let shown = sent(&earlier, &webhook, Some(&delivery));
        assert_eq!(
            (shown.own_headers_known, &shown.signed),
            (false, &Signed::Unrecorded)
        );
        let product = ("User-Agent".to_owned(), "prism-webhooks/…".to_owned());
        assert!(shown.headers.contains(&product), "{shown:?}");
        for unknown in ["X-Team", "X-Prism-Signature", "Traceparent"] {
            assert!(!names(&shown).contains(&unknown), "{shown:?}");
        }
    }
}
