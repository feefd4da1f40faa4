//! What changed between two states of a webhook.

use crate::domain::webhook::WebhookDocument;

/// The names of the fields in which two documents differ, in the order of the document. When
/// something changed and when it was disabled is left out: an entry has its own time. What is
/// sealed is to be opened before, or it differs whenever it was sealed anew.
pub fn changed_fields(old: &WebhookDocument, new: &WebhookDocument) -> Vec<&'static str> {
    // Whole, so that a field that is added has to be thought of here.
    let WebhookDocument {
        id: _,
        name,
        url,
        description,
        event_subscriptions,
        secrets,
        headers,
        enabled,
        disabled_reason,
        disabled_at: _,
        retry,
        rate_limit,
        created_at: _,
        updated_at: _,
    } = new;
    let all = [
        ("name", *name != old.name),
        ("url", *url != old.url),
        ("description", *description != old.description),
        (
            "event_subscriptions",
            *event_subscriptions != old.event_subscriptions,
        ),
        ("secrets", *secrets != old.secrets),
        ("headers", *headers != old.headers),
        ("enabled", *enabled != old.enabled),
        ("disabled_reason", *disabled_reason != old.disabled_reason),
        ("retry", *retry != old.retry),
        ("rate_limit", *rate_limit != old.rate_limit),
    ];
    let changed = all.into_iter().filter(|(_, differs)| *differs);
    changed.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document(changes: &Value) -> WebhookDocument {
        let mut json = json!({
            "id": "w", "name": "n", "url": "https://example.com/?a", "headers": {"a": "b"},
            "secrets": [{"value": "s"}], "rate_limit": "10/s",
        });
        for (name, value) in changes.as_object().unwrap() {
            json[name] = value.clone();
        }
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_change_is_told_by_the_names_of_its_fields() {
        let old = document(&json!({}));
        for (change, expected) in [
            (json!({}), &[][..]),
            (json!({"name": "m"}), &["name"]),
            (json!({"url": "https://example.com/?b"}), &["url"]),
            (json!({"description": "d"}), &["description"]),
            (
                json!({"event_subscriptions": ["*"]}),
                &["event_subscriptions"],
            ),
            (json!({"secrets": []}), &["secrets"]),
            (json!({"headers": {"a": "c"}}), &["headers"]),
            (
                json!({"headers": {"c": "b"}, "name": "m"}),
                &["name", "headers"],
            ),
            (json!({"retry": {"max_attempts": 3}}), &["retry"]),
            (json!({"rate_limit": null}), &["rate_limit"]),
            (
                json!({"enabled": false, "disabled_reason": "r", "disabled_at": "2026-01-01T00:00:00Z"}),
                &["enabled", "disabled_reason"],
            ),
            (json!({"updated_at": "2026-01-01T00:00:00Z"}), &[]),
        ] {
            assert_eq!(
                changed_fields(&old, &document(&change)),
                expected,
                "{change}"
            );
        }
    }
}
