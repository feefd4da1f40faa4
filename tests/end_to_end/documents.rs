//! The documents that others build on: the schema of a webhook, the API, and the configuration.

use std::fs;

use serde_json::Value;

use super::deployment::{Deployment, array, string};

/// Whether `value` has one of the JSON types that a schema's property allows. A property that
/// refers to another schema is taken as it is.
fn has_type(value: &Value, property: &Value) -> bool {
    let name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    match &property["type"] {
        Value::Null => property.get("$ref").is_some() || property.get("anyOf").is_some(),
        Value::String(one) => one == name,
        several => array(several.clone()).iter().any(|one| one == name),
    }
}

#[tokio::test]
async fn the_published_schema_describes_what_is_stored() {
    let deployment = Deployment::new("schema", &[]);
    let all = [
        "--secret",
        "one",
        "--description",
        "d",
        "--event",
        "error.occurred",
        "--header",
        "X-A: b",
        "--retry-max-attempts",
        "3",
        "--rate-limit",
        "10/s",
    ];
    let id = deployment.webhook("w", "https://example.com", &all);
    deployment.text(&[
        "webhooks",
        "rotate-secret",
        "w",
        "--secret",
        "two",
        "--promote",
    ]);
    deployment.text(&["webhooks", "rotate-secret", "w", "--promote-after", "1h"]);
    deployment.text(&["webhooks", "disable", "w"]);
    let mut redis = super::redis_connection().await;
    let mut get = redis::cmd("HGET");
    get.arg(format!("{}:webhooks:{{default}}", deployment.namespace()))
        .arg(&id);
    let stored: String = get.query_async(&mut redis).await.expect("an answer");
    let document: Value = serde_json::from_str(&stored).expect("JSON");

    let schema = deployment.json(&["schema", "webhook"]);
    assert_eq!(
        string(&schema["$schema"]),
        "https://json-schema.org/draft/2020-12/schema"
    );
    let properties = schema["properties"].as_object().expect("properties");
    let fields = document.as_object().expect("an object");
    for (name, value) in fields {
        let property = properties
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in the schema"));
        assert!(
            has_type(value, property),
            "{name}: {value} is not {property}"
        );
    }
    for name in properties.keys() {
        assert!(fields.contains_key(name), "{name} is not stored");
    }
    let required: Vec<String> = array(schema["required"].clone())
        .iter()
        .map(string)
        .collect();
    assert_eq!(
        required,
        ["id", "name", "url"],
        "the least that a control plane writes"
    );
    let secret = &schema["$defs"]["StoredSecret"]["properties"];
    for stored in array(document["secrets"].clone()) {
        for (name, value) in stored.as_object().expect("an object") {
            assert!(has_type(value, &secret[name]), "{name}");
        }
    }
}

#[test]
fn the_default_configuration_is_valid_and_what_holds_is_shown_without_secrets() {
    let deployment = Deployment::new("config", &[]);
    let default = deployment.text(&["config", "default"]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("prism.toml");
    fs::write(&path, default).expect("written");
    let file = path.to_str().expect("a path in UTF-8");
    let checked = deployment.text(&["config", "check", "--config", file]);
    assert!(checked.ends_with("ok\n"), "{checked}");

    let with_password = [
        "config",
        "show",
        "--redis-url",
        "redis://:hunter2@127.0.0.1:6379",
    ];
    let shown = deployment.text(&with_password);
    assert!(
        shown.contains("initial = \"1s\" # PRISM_RETRY_INITIAL"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"), "{shown}");
    let json = deployment.text(&[&with_password[..], &["--json"]].concat());
    assert!(!json.contains("hunter2"), "{json}");

    let mistakes = [
        "config",
        "check",
        "--set",
        "retry.initial=soon",
        "--set",
        "no.such=1",
    ];
    let said = deployment.refused(&mistakes, 3);
    assert!(
        said.contains("retry.initial") && said.contains("no.such"),
        "all at once: {said}"
    );
}

#[test]
fn the_document_of_the_api_is_printed() {
    let deployment = Deployment::new("openapi", &[]);
    let document = deployment.json(&["openapi"]);
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/v1/webhooks/{id}/explain"].is_object());
}
