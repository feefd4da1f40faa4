//! Texts with rules of their own, as the document describes them: with the patterns of whoever reads
//! them.

use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::webhooks::tag;
use crate::domain::custom_headers;
use crate::domain::ids::{DeliveryId, EventId, EventType, Organization, WebhookId};
use crate::store::dead_letters::Position;
use crate::web::cursor::Cursor;

/// Describes texts, each by a pattern and by how long it may be if that does not say it.
macro_rules! texts {
    ($($name:ident: $pattern:expr $(, $longest:expr)?;)*) => {$(
        pub(super) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String);
                text.pattern(Some($pattern))$(.max_length(Some($longest)))?.into()
            }
        }

        impl ToSchema for $name {}
    )*};
}

texts! {
    OrganizationText: Organization::PATTERN;
    WebhookIdText: WebhookId::PATTERN;
    DeliveryIdText: DeliveryId::PATTERN;
    EventIdText: EventId::PATTERN;
    EventTypeText: EventType::PATTERN, EventType::LONGEST;
    CursorText: Cursor::PATTERN;
    PositionText: Position::PATTERN;
}

/// What `If-Match` takes: an `ETag` as it was given, or `*`.
pub(super) struct TagText;

impl PartialSchema for TagText {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let any = text().enum_values(Some(["*"]));
        let tag = text().pattern(Some(tag::PATTERN));
        AnyOfBuilder::new().item(any).item(tag).into()
    }
}

impl ToSchema for TagText {}

/// A webhook's own request headers, by their names.
pub(super) struct OwnHeaders;

impl PartialSchema for OwnHeaders {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let reserved = [("not", json!({"pattern": reserved_names()}))];
        let name = text().pattern(Some(custom_headers::NAME_PATTERN));
        let name = name.extensions(Some(Extensions::from_iter(reserved)));
        let value = text().pattern(Some(custom_headers::VALUE_PATTERN));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property_names(Some(name))
            .additional_properties(Some(value))
            .max_properties(Some(custom_headers::MAX_HEADERS))
            .into()
    }
}

impl ToSchema for OwnHeaders {}

/// The regular expression that names of headers match which a webhook may not have, in any case.
fn reserved_names() -> String {
    let whole = custom_headers::RESERVED.map(|name| format!("{}$", in_any_case(name)));
    let beginnings = custom_headers::RESERVED_PREFIXES.map(in_any_case);
    format!("^({}|{})", whole.join("|"), beginnings.join("|"))
}

fn in_any_case(name: &str) -> String {
    let letter = |letter: char| match letter.is_ascii_lowercase() {
        true => format!("[{}{letter}]", letter.to_ascii_uppercase()),
        false => letter.to_string(),
    };
    name.chars().map(letter).collect()
}

/// An event type, everything below one (`guardrail.*`), or everything (`*`).
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^([*]|[a-z0-9_-]+([.][a-z0-9_-]+)*([.][*])?)$", max_length = 128, example = "request.completed")]
#[expect(dead_code, reason = "documentation: the domain reads the text")]
pub(super) struct EventSubscriptionText(String);

/// A rate limit.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^[1-9][0-9]{0,3}/(s|min|h)$", example = "10/s")]
#[expect(dead_code, reason = "documentation: the domain reads the text")]
pub(super) struct RateLimitText(String);

/// A signing secret: any text without white space or anything else that is not seen at its ends, or the
/// Standard Webhooks form `whsec_<base64>`.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = r"^[^\s\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]([\s\S]*[^\s\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff])?$", min_length = 1, max_length = 512)]
#[expect(dead_code, reason = "documentation: the domain reads the text")]
pub(super) struct SecretText(String);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use regex::Regex;
    use serde_json::Value;

    use super::*;
    use crate::domain::matching::EventSubscription;
    use crate::domain::rate_limit::RateLimit;
    use crate::domain::secret;

    fn said<T: PartialSchema>(keyword: &str) -> Value {
        serde_json::to_value(T::schema()).unwrap()[keyword].clone()
    }

    #[test]
    fn the_headers_that_the_document_allows_are_those_that_are_taken() {
        let said = serde_json::to_value(OwnHeaders::schema()).unwrap();
        let pattern = |said: &Value| Regex::new(said.as_str().unwrap()).unwrap();
        let names = &said["propertyNames"];
        let (name, reserved) = (
            pattern(&names["pattern"]),
            pattern(&names["not"]["pattern"]),
        );
        let value = pattern(&said["additionalProperties"]["pattern"]);
        let taken = |name: &str, value: &str| {
            custom_headers::check(&BTreeMap::from([(name.to_owned(), value.to_owned())])).is_ok()
        };
        for text in [
            "X-Team",
            "a",
            "te",
            "TE",
            "tea",
            "Host",
            "hosts",
            "Content-MD5",
            "content",
            "x-prism-a",
            "X-Prism",
            "Webhook-Id",
            "http2-settings",
            "HTTP2-SETTINGS",
            "a b",
            "",
            "a:",
            "\u{e9}",
            "a_b",
        ] {
            let allowed = name.is_match(text) && !reserved.is_match(text);
            assert_eq!(allowed, taken(text, "x"), "{text:?}");
        }
        for code in 0..0x110 {
            let text = char::from_u32(code).unwrap().to_string();
            assert_eq!(value.is_match(&text), taken("a", &text), "{text:?}");
            assert_eq!(name.is_match(&text), taken(&text, "x"), "{text:?}");
        }
        assert_eq!(said["maxProperties"], custom_headers::MAX_HEADERS);
    }

    #[test]
    fn what_is_written_out_here_is_what_the_domain_says() {
        let subscription = said::<EventSubscriptionText>("pattern");
        assert_eq!(subscription, EventSubscription::PATTERN);
        let longest = said::<EventSubscriptionText>("maxLength");
        assert_eq!(longest, EventType::LONGEST);
        assert_eq!(said::<RateLimitText>("pattern"), RateLimit::PATTERN);
        assert_eq!(said::<SecretText>("maxLength"), secret::LONGEST);
        assert_eq!(said::<SecretText>("pattern"), secret::PATTERN);
    }
}
