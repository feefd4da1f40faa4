//! What is refused, what is warned about, and how that is told.

use super::*;

#[test]
fn all_mistakes_are_reported_at_once_with_key_place_value_and_reason() {
    let text = "\
namespace = 'No Good'
[retry]
initial = '10x'
max_attempts = 0
intial = '1s'
[logging]
level = 'inof'
";
    let given = file(text);
    let variables = env(&[
        ("PRISM_SEND_TIMEOUT", "1h"),
        ("PRISM_ALLOW_NETWORKS", "10.0.0.1/8,x"),
        ("PRISM_NAMESPASE", "x"),
    ]);
    let flags = [
        Flag::set("worker.prefetch=70000"),
        Flag::set("nonsense"),
        Flag::set("retry.jitter=1"),
    ];
    let error =
        Config::load(Some(given.path()), variables, &flags).expect_err("all of it is wrong");
    let text = error.to_string();
    let path = given.path().display();
    for expected in [
        format!("{path}:1: namespace = \"No Good\": must be 1 to 64 of a-z"),
        format!(
            "{path}:3: retry.initial = \"10x\": must be a duration from 1s to 7d; \"x\" is not a unit"
        ),
        format!("{path}:4: retry.max_attempts = 0: must be a whole number from 1 to 100"),
        format!("{path}:5: retry.intial: there is no such key; did you mean retry.initial?"),
        format!("{path}:7: logging.level = \"inof\": must be off, error"),
        "PRISM_SEND_TIMEOUT: send.timeout = \"1h\": must be a duration from 10ms to 5m".into(),
        "PRISM_ALLOW_NETWORKS: allow_networks = \"10.0.0.1/8,x\": must be a list of networks"
            .into(),
        "PRISM_NAMESPASE: there is no such variable; did you mean PRISM_NAMESPACE?".into(),
        "--set: worker.prefetch = \"70000\": must be a whole number from 1 to 65535".into(),
        "--set: must be KEY=VALUE".into(),
        "--set: retry.jitter: there is no such key".into(),
    ] {
        assert!(text.contains(&expected), "{expected}\nis not in\n{text}");
    }
    assert_eq!(error.mistakes.len(), 11, "{text}");
    assert!(text.starts_with("the configuration has 11 mistakes:"));
}

#[test]
fn a_wrong_value_is_reported_though_another_overrides_it() {
    let text = mistake(
        "retry.max_attempts = 'many'",
        &[("PRISM_RETRY_MAX_ATTEMPTS", "5")],
    );
    assert!(text.contains(":1: retry.max_attempts = \"many\""), "{text}");
}

#[test]
fn unknown_keys_and_tables_are_refused_with_what_was_likely_meant() {
    for (text, expected) in [
        (
            "max_attempts = 3",
            ":1: max_attempts: there is no such key; did you mean retry.max_attempts?",
        ),
        (
            "[worker]\nmax-in-flight = 3",
            ":2: worker.max-in-flight: there is no such key; did you mean worker.max_in_flight?",
        ),
        (
            "[worker]\nmax_inflight = 3",
            "did you mean worker.max_in_flight?",
        ),
        (
            "[retries]\ninitial = '1s'",
            ":1: retries: there is no such table; did you mean [retry]?",
        ),
        (
            "[retry.policy]\na = 1",
            ":1: retry.policy: there is no such table",
        ),
        (
            "zebra = 3",
            "there is no such key; `config default` lists them all",
        ),
        ("retry = '10s'", ":1: retry: is a table: write [retry]"),
        ("[namespace]\na = 1", ":1: namespace = {…}: must be 1 to 64"),
        ("[[retry]]\ninitial = '1s'", "retry: is a table"),
        (
            "namespace = 1979-05-27",
            ":1: namespace = 1979-05-27: must be",
        ),
        (
            "worker.prefetch = 99999999999999999999",
            "worker.prefetch = \"99999999999999999999\": must be a whole number",
        ),
    ] {
        let found = mistake(text, &[]);
        assert!(found.contains(expected), "{expected}\nis not in\n{found}");
    }
}

#[test]
fn unknown_variables_are_refused_but_for_those_of_tests_and_orchestrators() {
    let fine = [
        ("PRISM_TEST_AMQP_URL", "x"),
        ("PRISM_WEBHOOKS_SERVICE_HOST", "10.0.0.1"),
        ("PRISMA", "x"),
        ("HOME", "x"),
        ("PRISM_EMPTY", ""),
    ];
    assert!(Config::load(None, env(&fine), &[]).is_ok());
    let text = mistake("", &[("PRISM_RETRY_MAXATTEMPTS", "3")]);
    assert_eq!(
        text,
        "PRISM_RETRY_MAXATTEMPTS: there is no such variable; did you mean PRISM_RETRY_MAX_ATTEMPTS?"
    );
    let text = mistake("", &[("PRISM_ZEBRA", "3")]);
    assert!(text.contains("`config default` lists them all"), "{text}");
}

#[test]
fn a_file_that_is_no_toml_is_reported_by_line_without_quoting_it() {
    let text = "allow_http = 'maybe'\nsecret_key = hunter2\n[retry\ninitial = '9h'\n";
    let error = load(text, &[("PRISM_ZEBRA", "1")], &[]).expect_err("it is no TOML");
    let text = error.to_string();
    assert!(
        text.contains(":2: not TOML: ") && text.contains(":3: not TOML: "),
        "{text}"
    );
    assert!(
        text.contains("PRISM_ZEBRA") && !text.contains(PASSWORD),
        "{text}"
    );
    assert_eq!(
        error.mistakes.len(),
        3,
        "what a broken file holds is not guessed at: {text}"
    );
}

#[test]
fn keys_that_do_not_go_together_are_refused_naming_both() {
    for (text, expected) in [
        (
            "retry.initial = '7h'",
            "retry.initial = \"7h\": must be at most retry.max_delay (\"6h\", default)",
        ),
        (
            "delay.longest = '10s'",
            "delay.longest = \"10s\": must be at least retry.max_delay (\"6h\", default)",
        ),
        (
            "retry.max_delay = '4d'",
            "retry.max_delay = \"4d\": must be at most delay.longest (\"3d\", default)",
        ),
        (
            "send.timeout = '1s'",
            "send.timeout = \"1s\": must be at least send.connect_timeout (\"5s\", default)",
        ),
        (
            "send.keep_limit = '128KiB'",
            "send.keep_limit = \"128KiB\": must be at most send.read_limit (\"64KiB\", default)",
        ),
        (
            "worker.webhook_max_in_flight = 300",
            "must be at most worker.max_in_flight (256, default)",
        ),
        (
            "worker.prefetch = 100",
            "worker.prefetch = 100: must be at least worker.max_in_flight (256, default)",
        ),
        (
            "delivery_log.deliveries_kept = '3d'",
            "delivery_log.deliveries_kept = \"3d\": must be longer than delay.longest (\"3d\", default)",
        ),
        (
            "delay.longest = '7d'",
            "delay.longest = \"7d\": must be shorter than delivery_log.deliveries_kept (\"7d\", default)",
        ),
    ] {
        let found = mistake(text, &[]);
        assert!(found.contains(expected), "{expected}\nis not in\n{found}");
    }
    let found = mistake(
        "worker.prefetch = 300",
        &[("PRISM_WORKER_MAX_IN_FLIGHT", "400")],
    );
    assert!(found.starts_with("PRISM_WORKER_MAX_IN_FLIGHT: worker.max_in_flight = 400: must be at most worker.prefetch (300, "));
}

#[test]
fn a_key_that_is_wrong_in_itself_is_compared_with_nothing() {
    let found = mistakes(
        "send.timeout = '1s'\nsend.connect_timeout = 'x'\nretry.initial = '7h'",
        &[],
    );
    let keys: Vec<_> = found.iter().map(|mistake| mistake.key.as_str()).collect();
    assert_eq!(keys, ["send.connect_timeout", "retry.initial"]);
}

#[test]
fn dangerous_pairs_are_allowed_with_a_warning() {
    let key = format!("secret_key = '{}'\n", "ab".repeat(32));
    let warned = |text: &str| -> Vec<Vec<&'static str>> {
        let loaded = load(&format!("{key}{text}"), &[], &[]).expect("it is allowed");
        loaded
            .warnings
            .into_iter()
            .map(|warning| warning.keys)
            .collect()
    };
    assert!(warned("").is_empty(), "the defaults are safe");
    assert_eq!(
        warned("send.timeout = '26s'"),
        [["worker.grace", "send.timeout"]]
    );
    assert_eq!(
        warned("max_event_size = '3MiB'"),
        [["max_event_size", "worker.prefetch"]]
    );
    assert_eq!(warned("allow_networks = '0.0.0.0/0'"), [["allow_networks"]]);
    assert_eq!(
        warned("allow_networks = '169.254.0.0/16'"),
        [["allow_networks"]]
    );
    assert!(warned("allow_networks = '10.0.0.0/8'").is_empty());
    let but = "allow_networks = '169.254.0.0/16'\ndeny_networks = '169.254.169.254'";
    assert!(warned(but).is_empty());
    assert_eq!(
        warned("disable.after = '15h'"),
        [["retry.max_attempts", "disable.after"]]
    );
    assert!(warned("disable.after = '16h'").is_empty());
}
