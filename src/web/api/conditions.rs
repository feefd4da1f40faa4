//! What the document says of fields that need or exclude each other. The macro that makes the schemas
//! knows one field at a time.

use serde_json::{Value, json};
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{OpenApi, RefOr};

/// Adds them to the schemas that have any.
pub(super) fn add(document: &mut OpenApi) {
    let conditions = [
        ("StartJob", "anyOf", says_which_letters()),
        ("CreateWebhook", "not", secret_given_and_generated()),
    ];
    let components = document.components.get_or_insert_default();
    for (name, keyword, condition) in conditions {
        if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(name) {
            let extensions = object.extensions.get_or_insert_default();
            extensions.merge(Extensions::from_iter([(keyword, condition)]));
        }
    }
}

/// A job through the dead letters says which: by a field that is not null, or all of them.
fn says_which_letters() -> Value {
    let by = |field: &str, what: Value| json!({"required": [field], "properties": {field: what}});
    let mut any = vec![by("all", json!({"const": true}))];
    for text in ["webhook_id", "event_type", "reason", "since", "until"] {
        any.push(by(text, json!({"type": "string"})));
    }
    any.push(by("ids", json!({"type": "array"})));
    json!(any)
}

/// A secret is given or generated, not both.
fn secret_given_and_generated() -> Value {
    json!({
        "required": ["secret", "generate_secret"],
        "properties": {"secret": {"type": "string"}, "generate_secret": {"const": true}},
    })
}

#[cfg(test)]
mod tests {
    use crate::web::api::document;

    #[test]
    fn the_document_has_them() {
        let said = serde_json::to_value(document()).unwrap();
        let schemas = &said["components"]["schemas"];
        assert_eq!(schemas["StartJob"]["anyOf"][0]["required"][0], "all");
        assert_eq!(schemas["CreateWebhook"]["not"]["required"][0], "secret");
    }
}
