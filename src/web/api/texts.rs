//! Texts with rules of their own, as the document describes them: with the patterns of whoever reads
//! them.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::webhooks::tag;
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
    TagText: tag::PATTERN;
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

/// A signing secret: any text without white space at its ends, or the Standard Webhooks form
/// `whsec_<base64>`.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = r"^\S([\s\S]*\S)?$", min_length = 1, max_length = 512)]
#[expect(dead_code, reason = "documentation: the domain reads the text")]
pub(super) struct SecretText(String);

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::domain::matching::EventSubscription;
    use crate::domain::rate_limit::RateLimit;
    use crate::domain::secret;

    fn said<T: PartialSchema>(keyword: &str) -> Value {
        serde_json::to_value(T::schema()).unwrap()[keyword].clone()
    }

    #[test]
    fn what_is_written_out_here_is_what_the_domain_says() {
        let subscription = said::<EventSubscriptionText>("pattern");
        assert_eq!(subscription, EventSubscription::PATTERN);
        let longest = said::<EventSubscriptionText>("maxLength");
        assert_eq!(longest, EventType::LONGEST);
        assert_eq!(said::<RateLimitText>("pattern"), RateLimit::PATTERN);
        assert_eq!(said::<SecretText>("maxLength"), secret::LONGEST);
    }
}
