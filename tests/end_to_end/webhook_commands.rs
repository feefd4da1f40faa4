//! The command `webhooks`, as people and scripts use it.

use serde_json::{Value, json};

use crate::support::process::run;

use super::deployment::{Deployment, array, field, string};

#[test]
fn a_webhook_is_registered_looked_at_changed_and_removed() {
    let deployment = Deployment::new("webhooks", &[]);
    let create = [
        "webhooks",
        "create",
        "--json",
        "--name",
        "billing",
        "--url",
        "https://example.com/hooks",
        "--description",
        "what it is for",
        "--event",
        "budget.exceeded",
        "--event",
        "guardrail.*",
        "--header",
        "X-Team: blue",
        "--retry-max-attempts",
        "4",
        "--rate-limit",
        "10/s",
        "--generate-secret",
    ];
    let created = deployment.json(&create);
    let secret = string(&created["secret"]);
    assert!(
        secret.starts_with("whsec_") && secret.len() > 40,
        "shown once, in the standard's form"
    );
    let id = string(&created["id"]);
    let expected = json!({
        "id": id, "name": "billing", "url": "https://example.com/hooks",
        "description": "what it is for", "event_subscriptions": ["budget.exceeded", "guardrail.*"],
        "signed": true,
        "secrets": [{"id": created["secrets"][0]["id"], "state": "current", "promote_at": null, "expires_at": null}],
        "headers": ["X-Team"], "enabled": true, "disabled_reason": null,
        "disabled_at": null, "retry": {"max_attempts": 4},
        "rate_limit": "10/s", "held_back": null, "version": created["version"],
        "created_at": created["created_at"], "updated_at": created["updated_at"],
    });
    let show = |reference: &str| deployment.json(&["webhooks", "show", reference, "--json"]);
    assert_eq!(
        show("billing"),
        expected,
        "no secret, and of headers no values"
    );
    assert_eq!(show(&id), expected);
    let text = deployment.text(&["webhooks", "show", "billing"]);
    for row in [
        format!("id           {id}"),
        "name         billing".to_owned(),
        "events       budget.exceeded, guardrail.*".to_owned(),
        "signed       yes".to_owned(),
        "headers      X-Team".to_owned(),
        "retry        {\"max_attempts\":4}".to_owned(),
        "rate limit   10/s".to_owned(),
        "state        enabled".to_owned(),
    ] {
        assert!(text.lines().any(|line| line == row), "{row} in\n{text}");
    }

    let update = [
        "webhooks",
        "update",
        "billing",
        "--name",
        "invoices",
        "--all-events",
        "--no-headers",
        "--no-rate-limit",
    ];
    deployment.text(&[&update[..], &["--description", "", "--default-retry"]].concat());
    let updated = show("invoices");
    for (key, value) in [
        ("event_subscriptions", json!([])),
        ("headers", json!([])),
        ("description", Value::Null),
        ("retry", Value::Null),
        ("rate_limit", Value::Null),
        ("url", json!("https://example.com/hooks")),
        ("signed", json!(true)),
    ] {
        assert_eq!(updated[key], value, "{key}");
    }
    deployment.text(&[
        "webhooks",
        "disable",
        "invoices",
        "--reason",
        "moving house",
    ]);
    assert_eq!(show(&id)["disabled_reason"], "moving house");
    let list = deployment.text(&["webhooks", "list"]);
    assert!(list.contains("disabled: moving house"), "{list}");
    deployment.text(&["webhooks", "enable", "invoices"]);
    assert_eq!(
        (&show(&id)["enabled"], &show(&id)["disabled_at"]),
        (&json!(true), &Value::Null)
    );

    let deleted = deployment.json(&["webhooks", "delete", "invoices", "--json"]);
    assert_eq!(deleted, json!({"id": id}));
    deployment.refused(&["webhooks", "show", &id], 5);
    assert_eq!(deployment.json(&["webhooks", "list", "--json"]), json!([]));
    let empty = deployment.text(&["webhooks", "list"]);
    assert!(empty.starts_with("no webhooks yet: "), "{empty}");
}

#[test]
fn names_are_unique_within_an_organization() {
    let deployment = Deployment::new("names", &[]);
    let of = |organization| ["--organization", organization];
    let first = deployment.webhook("w", "https://example.com", &of("acme"));
    deployment.webhook("w", "https://example.com", &of("other"));
    deployment.webhook("v", "https://example.com", &of("acme"));
    let create = [
        "webhooks",
        "create",
        "--url",
        "https://example.com",
        "--organization",
        "acme",
    ];
    for name in ["w", " w "] {
        let said = deployment.refused(&[&create[..], &["--name", name]].concat(), 5);
        assert!(
            said.contains(&format!("the name \"w\" is taken by webhook {first}")),
            "{said}"
        );
    }
    let rename = [
        "webhooks",
        "update",
        "v",
        "--name",
        "w",
        "--organization",
        "acme",
    ];
    assert!(deployment.refused(&rename, 5).contains("is taken by"));
    let list = ["webhooks", "list", "--json", "--organization", "acme"];
    assert_eq!(field(&array(deployment.json(&list)), "name"), ["w", "v"]);
}

#[test]
fn exit_codes_are_those_that_the_help_documents() {
    let deployment = Deployment::new("exit-codes", &[("PRISM_ALLOW_HTTP", "false")]);
    let help = deployment.text(&["--help"]);
    for said in [
        "0 done",
        "1 it ran, and the answer is no",
        "2 wrong usage",
        "3 unusable settings",
        "4 RabbitMQ, Redis or the data cannot be reached",
        "5 what was named does not exist",
    ] {
        // The help is wrapped to the width of the terminal.
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(said), "{said:?} in {help}");
    }
    let create = ["webhooks", "create", "--name", "w", "--url"];
    let with = |url, more: &[&'static str]| [&create[..], &[url], more].concat();
    for (arguments, code, said) in [
        (
            with("http://example.com", &[]),
            1,
            "only https is allowed here",
        ),
        (with("example.com", &[]), 1, "write it in full"),
        (
            with("https://user:hunter2@example.com", &[]),
            1,
            "must not carry a user name or password",
        ),
        (
            with("https://example.com", &["--secret", "whsec_hunter2!"]),
            1,
            "must go on in Base64",
        ),
        (
            with("https://example.com", &["--retry-factor", "0.5"]),
            1,
            "factor is 0.5; use 1 to 10",
        ),
        (
            with("https://example.com", &["--event", "Request.*"]),
            2,
            "Request",
        ),
        (
            with("https://example.com", &["--header", "no colon"]),
            2,
            "Name: value",
        ),
        (
            with("https://example.com", &["--rate-limit", "ten a second"]),
            2,
            "10/s",
        ),
        (vec!["webhooks", "create", "--name", "w"], 2, "--url"),
        (vec!["webhooks", "no-such"], 2, "no-such"),
        (
            vec!["webhooks", "list", "--set", "retry.initial=soon"],
            3,
            "retry.initial",
        ),
        (vec!["webhooks", "list", "--set", "no.such=1"], 3, "no.such"),
        (
            vec!["webhooks", "list", "--redis-url", "redis://127.0.0.1:1"],
            4,
            "127.0.0.1:1 cannot be reached",
        ),
        (
            vec!["topology", "check", "--amqp-url", "amqp://127.0.0.1:1"],
            4,
            "cannot connect to RabbitMQ",
        ),
        (
            vec!["webhooks", "delete", "nobody"],
            5,
            "no webhook with the id or name \"nobody\"",
        ),
        (
            vec!["webhooks", "rotate-secret", "nobody"],
            5,
            "no webhook with the id or name \"nobody\"",
        ),
    ] {
        let stderr = deployment.refused(&arguments, code);
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("hunter2"), "{arguments:?}: {stderr}");
    }
    // One of the two servers is no deployment on servers, and not an embedded one either.
    let unset = run(
        &["webhooks", "list"],
        &[("PRISM_AMQP_URL", "amqp://127.0.0.1:1")],
    );
    assert_eq!(unset.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&unset.stderr).contains("PRISM_REDIS_URL is not set"));
}
