//! The identifiers, and which texts may be one.
//!
//! An identifier ends up in Redis keys, AMQP headers and HTTP headers, so the alphabet is the
//! intersection of what those carry unharmed. Cloning one costs a reference count.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The event types that the gateway publishes. Operators can configure more.
pub const GATEWAY_EVENT_TYPES: [&str; 5] = [
    "request.completed",
    "guardrail.triggered",
    "budget.exceeded",
    "error.occurred",
    "batch.completed",
];

/// The event that tells the gateway and the organization's other webhooks that one was disabled.
pub const WEBHOOK_DISABLED: &str = "webhook.disabled";

/// A text that cannot be the identifier it was given for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} is not usable: {rule}")]
pub struct InvalidId {
    what: &'static str,
    text: String,
    rule: &'static str,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal, $valid:expr, $pattern:expr, $rule:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The regular expression that the identifier's texts match, as others may check them.
            pub const PATTERN: &str = $pattern;

            /// Takes `text` if it keeps the rules for this identifier.
            pub fn new(text: &str) -> Result<Self, InvalidId> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.into()))
                } else {
                    let text: String = text.chars().take(200).collect();
                    Err(InvalidId { what: $what, text, rule: $rule })
                }
            }

            /// The identifier's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(&text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }
    };
}

identifier!(
    /// The id of an event: the publisher's `message_id`, or one derived from the event.
    EventId,
    "the event id",
    |text| (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()),
    "^[!-~]{1,255}$",
    "use 1 to 255 visible ASCII characters, without spaces"
);

identifier!(
    /// The name of an event type, which is also its routing key: `request.completed`.
    EventType,
    "the event type",
    |text| {
        text.len() <= EventType::LONGEST
            && text.split('.').all(|word| {
                !word.is_empty()
                    && word
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
            })
    },
    "^[a-z0-9_-]+([.][a-z0-9_-]+)*$",
    "use lower-case words of letters, digits, '_' and '-', joined by dots, at most 128 characters"
);

identifier!(
    /// The tenant that an event or a webhook belongs to.
    Organization,
    "the organization",
    is_key_part,
    KEY_PART,
    KEY_PART_RULE
);

identifier!(
    /// The id of a registered webhook.
    WebhookId,
    "the webhook id",
    is_key_part,
    KEY_PART,
    KEY_PART_RULE
);

identifier!(
    /// The id of one event's delivery to one webhook: the same at every attempt.
    DeliveryId,
    "the delivery id",
    is_key_part,
    KEY_PART,
    KEY_PART_RULE
);

identifier!(
    /// The key that tells a message of the events queue from others; a redelivery keeps it: see
    /// [`identity`](super::identity).
    MessageKey,
    "the message's key",
    is_key_part,
    KEY_PART,
    KEY_PART_RULE
);

const KEY_PART: &str = "^[A-Za-z0-9._:@-]{1,128}$";

const KEY_PART_RULE: &str = "use 1 to 128 ASCII letters, digits, '.', '_', '-', ':' or '@'";

/// Braces are left out on purpose: Redis keys carry the organization as a hash tag.
fn is_key_part(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-:@".contains(&b))
}

/// The name space of derived ids. Changing it would change the ids that repeats carry.
const DERIVED: Uuid = Uuid::from_u128(0x0b9f_6c1e_53a7_4d0e_9a3b_7d5a_4c2f_8e61);

impl EventId {
    /// The id of an event that came without one. The same routing key and body give the same id,
    /// so a redelivery is recognised as the event that it repeats.
    pub fn derived(routing_key: &str, body: &[u8]) -> Self {
        let mut name = Vec::with_capacity(routing_key.len() + 1 + body.len());
        name.extend_from_slice(routing_key.as_bytes());
        name.push(0);
        name.extend_from_slice(body);
        Self(Uuid::new_v5(&DERIVED, &name).to_string().into())
    }
}

impl MessageKey {
    /// The key of the message whose parts have this digest. Half of it is enough: 128 bits.
    pub(super) fn of_digest(digest: &[u8; 32]) -> Self {
        Self(hex::encode(&digest[..16]).into())
    }
}

impl DeliveryId {
    /// The id of the delivery to `webhook` of the event that came with a message: derived, so that a
    /// worker that takes over after a crash repeats the request under the same id.
    pub fn derived(message: &MessageKey, webhook: &WebhookId) -> Self {
        Self::of_parts(&[message.as_str(), webhook.as_str()])
    }

    /// The same, of one hand-out of the message alone.
    pub fn apart(message: &MessageKey, webhook: &WebhookId, hand_out: u64) -> Self {
        Self::of_parts(&[
            message.as_str(),
            webhook.as_str(),
            &format!("{hand_out:016x}"),
        ])
    }

    fn of_parts(parts: &[&str]) -> Self {
        let name = parts.join("\0");
        Self(Uuid::new_v5(&DERIVED, name.as_bytes()).to_string().into())
    }
}

impl EventType {
    /// The most characters of one, which its [pattern](Self::PATTERN) does not say.
    pub const LONGEST: usize = 128;

    /// Returns the event types that the gateway publishes.
    pub fn of_gateway() -> [Self; 5] {
        GATEWAY_EVENT_TYPES.map(|name| Self(name.into()))
    }

    /// The type of what a person sends who tests an endpoint.
    pub fn test() -> Self {
        Self("test".into())
    }

    /// The type of our own event: [`WEBHOOK_DISABLED`].
    pub fn webhook_disabled() -> Self {
        Self(WEBHOOK_DISABLED.into())
    }
}

impl Default for Organization {
    /// The organization of events that name none.
    fn default() -> Self {
        Self("default".into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    #[test]
    fn derived_ids_repeat_and_differ() {
        let event = EventId::derived("a.b", b"{}");
        assert_eq!(event, EventId::derived("a.b", b"{}"));
        assert_ne!(event, EventId::derived("a.", b"b{}"));
        let one = WebhookId::new("one").unwrap();
        let two = WebhookId::new("two").unwrap();
        let (message, other) = (
            MessageKey::of_digest(&[1; 32]),
            MessageKey::of_digest(&[2; 32]),
        );
        let delivery = DeliveryId::derived(&message, &one);
        assert_eq!(delivery, DeliveryId::derived(&message, &one));
        assert_ne!(delivery, DeliveryId::derived(&message, &two));
        assert_ne!(delivery, DeliveryId::derived(&other, &one));
        assert_ne!(delivery, DeliveryId::apart(&message, &one, 1));
    }

    #[test]
    fn identifiers_refuse_what_keys_and_headers_cannot_carry() {
        for text in ["", "a b", "a{b}", "ä", &"x".repeat(129)] {
            assert!(Organization::new(text).is_err(), "{text:?}");
        }
        for text in ["", ".", "a..b", "Request.completed", "a.*", "a b"] {
            assert!(EventType::new(text).is_err(), "{text:?}");
        }
        assert!(EventId::new("ev 1").is_err());
        assert!(EventType::new("request.completed").is_ok());
    }

    proptest! {
        #[test]
        fn the_patterns_say_what_is_taken(
            text in "[a-cA-C0-2._:@*{}\n \u{e4}-]{0,5}|[!-~]{253,258}|[a-c.]{126,131}",
        ) {
            let matches = |pattern| Regex::new(pattern).unwrap().is_match(&text);
            prop_assert_eq!(matches(EventId::PATTERN), EventId::new(&text).is_ok());
            prop_assert_eq!(matches(Organization::PATTERN), Organization::new(&text).is_ok());
            prop_assert_eq!(matches(WebhookId::PATTERN), WebhookId::new(&text).is_ok());
            prop_assert_eq!(matches(DeliveryId::PATTERN), DeliveryId::new(&text).is_ok());
            let event_type = matches(EventType::PATTERN) && text.len() <= EventType::LONGEST;
            prop_assert_eq!(event_type, EventType::new(&text).is_ok());
        }
    }
}
