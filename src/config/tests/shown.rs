//! What is printed: the default file, what holds, and never a secret.

use super::*;

#[test]
fn the_default_file_is_exactly_the_defaults() {
    let loaded = load(&default_file(), &[], &[]).expect("the default file is right");
    assert_eq!(loaded.config, Config::default());
    // Equal values could come from a file that says nothing: every key with a default is said.
    for entry in &loaded.entries {
        let said = matches!(entry.source, Source::File { .. });
        assert_eq!(said, entry.default.is_some(), "{}", entry.path);
    }
}

#[test]
fn every_key_is_documented_and_named_in_the_default_file() {
    let text = default_file();
    let reader = described();
    for entry in &reader.entries {
        let (_, name) = entry.table_and_name();
        assert!(!entry.doc.is_empty(), "{} has no documentation", entry.path);
        assert!(
            text.contains(&format!("\n# {}\n", entry.variable())),
            "{}",
            entry.path
        );
        assert!(
            text.lines().any(|line| line
                .trim_start_matches("# ")
                .starts_with(&format!("{name} = "))),
            "{name}"
        );
        assert!(
            entry.default.is_some() || !entry.example.is_empty(),
            "{} has neither default nor example",
            entry.path
        );
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 140),
        "a line too long to read"
    );
    let variables: BTreeSet<_> = reader.entries.iter().map(Entry::variable).collect();
    assert_eq!(
        variables.len(),
        reader.entries.len(),
        "two keys share a variable"
    );
}

#[test]
fn every_default_is_allowed_by_its_own_kind() {
    for entry in described()
        .entries
        .iter()
        .filter_map(|entry| entry.default.as_ref().map(|value| (entry, value)))
    {
        let (entry, value) = entry;
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Array(items) => items
                .iter()
                .filter_map(toml::Value::as_str)
                .collect::<Vec<_>>()
                .join(","),
            other => other.to_string(),
        };
        let loaded = Config::load(None, env(&[(&entry.variable(), &text)]), &[]);
        assert_eq!(loaded.expect(entry.path).config, Config::default());
    }
}

#[test]
fn no_secret_is_printed_right_or_wrong_from_wherever() {
    let key = "c0ffee".repeat(11)[..64].to_owned();
    let amqp = format!("amqp://guest:{PASSWORD}@127.0.0.1/%2f");
    let redis = format!("redis://:{PASSWORD}@127.0.0.1/0");
    let text = format!("secret_key = '{key}'\namqp.url = '{amqp}'\n");
    let loaded = load(&text, &[("PRISM_REDIS_URL", &redis)], &[]).expect("all of it is right");
    assert_eq!(
        loaded.config.amqp_url().map(Redacted::expose),
        Ok(amqp.as_str())
    );
    assert_eq!(
        loaded.config.redis_url().map(Redacted::expose),
        Ok(redis.as_str())
    );
    assert_eq!(
        hex::encode(
            loaded
                .config
                .secret_key
                .first()
                .expect("it is set")
                .expose()
        ),
        key
    );

    let (toml, json) = (loaded.to_toml(), loaded.to_json().to_string());
    for shown in [
        &toml,
        &json,
        &format!("{loaded:?}"),
        &format!("{:#?}", loaded.config),
    ] {
        assert!(
            !shown.contains(PASSWORD) && !shown.contains("c0ffee"),
            "{shown}"
        );
    }
    assert!(
        toml.contains(":***\"] # ") && toml.contains("url = \"amqp://guest:***@127.0.0.1/%2f\""),
        "{toml}"
    );
    assert!(json.contains("redis://:***@127.0.0.1/0"), "{json}");

    let wrong = [
        ("PRISM_SECRET_KEY", "hunter2"),
        ("PRISM_SECRETKEY", "hunter2"),
        ("PRISM_AMQP_URL", "http://guest:hunter2@127.0.0.1"),
        ("PRISM_REDIS_URL", "redis:/guest:hunter2@127.0.0.1"),
    ];
    let text = "secretkey = 'hunter2'\nsecret_key = ['hunter2']\n[amqp]\npassword = 'hunter2'\nurl = { password = 'hunter2' }";
    let flags = ["secret_key:hunter2", "secret_key=hunter2", "secret=hunter2"].map(Flag::set);
    let error = load(text, &wrong, &flags).expect_err("all of it is wrong");
    assert_eq!(error.mistakes.len(), 11, "{error}");
    let json = serde_json::to_string(&error.mistakes).expect("mistakes are JSON");
    for shown in [error.to_string(), format!("{error:?}"), json] {
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
}

#[test]
fn what_is_shown_can_be_loaded_and_says_who_said_so() {
    let loaded = load(
        "retry.initial = '90s'",
        &[("PRISM_WORKER_NAME", "w1")],
        &[Flag::set("delivery_log.batch=9")],
    )
    .expect("right");
    let toml = loaded.to_toml();
    assert!(
        toml.contains("name = \"w1\" # PRISM_WORKER_NAME\n"),
        "{toml}"
    );
    assert!(toml.contains("batch = 9 # --set\n"), "{toml}");
    assert!(toml.contains("namespace = \"prism\" # default\n"), "{toml}");
    assert!(toml.contains("secret_key = [] # default\n"), "{toml}");
    assert!(toml.contains("# url is not set\n"), "{toml}");
    assert!(
        toml.lines()
            .any(|line| line.starts_with("initial = \"1m30s\" # ") && line.ends_with(":1")),
        "{toml}"
    );
    assert_eq!(
        load(&toml, &[], &[]).expect("it is TOML again").config,
        loaded.config
    );
    let json = loaded.to_json();
    assert_eq!(
        json["delivery_log.batch"],
        serde_json::json!({ "value": 9, "kind": "flag", "source": "--set" })
    );
    assert_eq!(
        json["amqp.url"],
        serde_json::json!({ "value": null, "kind": "default", "source": "default" })
    );
    assert_eq!(json["event_types"]["value"][0], "request.completed");
}
