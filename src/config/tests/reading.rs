//! What is read from where, and what wins.

use super::*;

#[test]
fn with_nothing_given_the_defaults_hold() {
    let loaded = Config::load(None, [], &[]).expect("the defaults are right");
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.config.retry.initial, Duration::from_secs(10));
    assert_eq!(loaded.config.delay.longest, Duration::from_secs(3 * 86_400));
    assert_eq!(loaded.source("retry.initial"), Some(&Source::Default));
    assert_eq!(
        loaded
            .warnings
            .iter()
            .flat_map(|w| w.keys.clone())
            .collect::<Vec<_>>(),
        ["secret_key"]
    );
}

#[test]
fn flags_win_over_variables_over_the_file_over_defaults() {
    let text = "namespace = 'file'\n[retry]\ninitial = '11s'\nmax_attempts = 5\nfactor = 2\n";
    let variables = [
        ("PRISM_NAMESPACE", "env"),
        ("PRISM_RETRY_INITIAL", "12s"),
        ("PRISM_RETRY_FACTOR", ""),
    ];
    let flags = [Flag::new("--namespace", "namespace", "flag")];
    let loaded = load(text, &variables, &flags).expect("all of it is right");
    let Config {
        namespace, retry, ..
    } = &loaded.config;
    assert_eq!(namespace, "flag");
    assert_eq!(retry.initial, Duration::from_secs(12));
    assert_eq!(retry.max_attempts, 5);
    assert_eq!(retry.factor, 2.0, "an empty variable counts as not set");
    assert_eq!(retry.max_delay, Config::default().retry.max_delay);
    assert_eq!(
        loaded.source("namespace"),
        Some(&Source::Flag("--namespace".into()))
    );
    assert_eq!(
        loaded.source("retry.initial"),
        Some(&Source::Environment("PRISM_RETRY_INITIAL".into()))
    );
    assert!(matches!(
        loaded.source("retry.max_attempts"),
        Some(Source::File { line: 4, .. })
    ));
    assert_eq!(loaded.source("retry.max_delay"), Some(&Source::Default));
}

#[test]
fn the_last_of_two_equal_flags_wins() {
    let loaded = load(
        "",
        &[],
        &[Flag::set("send.timeout=6s"), Flag::set("send.timeout = 7s")],
    )
    .expect("both are right");
    assert_eq!(loaded.config.send.timeout, Duration::from_secs(7));
}

#[test]
fn values_may_be_typed_or_text_in_the_file() {
    let typed = "allow_http = true\nallow_networks = ['10.0.0.0/8', '::1']\nmax_event_size = 0x1000\nworker.prefetch = 2_000\n";
    let text = "allow_http = 'true'\nallow_networks = '10.0.0.0/8,::1'\nmax_event_size = '4KiB'\n[worker]\nprefetch = '2000'\n";
    let (typed, text) = (
        load(typed, &[], &[]).expect("typed"),
        load(text, &[], &[]).expect("text"),
    );
    assert_eq!(typed.config, text.config);
    assert_eq!(typed.config.worker.prefetch, 2000);
    assert_eq!(typed.config.max_event_size, 4096);
}

#[test]
fn the_file_is_the_one_named_and_must_be_there() {
    let (by_flag, by_variable) = (
        file("namespace = 'by-flag'"),
        file("namespace = 'by-variable'"),
    );
    let variable = env(&[("PRISM_CONFIG", by_variable.path().to_str().expect("UTF-8"))]);
    let loaded = Config::load(None, variable.clone(), &[]).expect("the variable's file");
    assert_eq!(loaded.config.namespace, "by-variable");
    let loaded = Config::load(Some(by_flag.path()), variable, &[]).expect("the flag's file");
    assert_eq!(loaded.config.namespace, "by-flag");

    let error = Config::load(
        None,
        env(&[
            ("PRISM_CONFIG", "/nowhere/p.toml"),
            ("PRISM_ALLOW_HTTP", "maybe"),
        ]),
        &[],
    );
    let text = error.expect_err("there is no such file").to_string();
    assert!(
        text.contains("PRISM_CONFIG: the configuration file /nowhere/p.toml cannot be read"),
        "{text}"
    );
    assert!(
        text.contains("PRISM_ALLOW_HTTP: allow_http = \"maybe\": must be true or false"),
        "{text}"
    );
}

#[test]
fn a_url_that_is_needed_and_not_set_is_asked_for_by_name() {
    let config = Config::default();
    let (amqp, redis) = (
        config.amqp_url().expect_err("not set"),
        config.redis_url().expect_err("not set"),
    );
    assert!(amqp.to_string().starts_with(
        "PRISM_AMQP_URL is not set; set it to e.g. amqp://guest:guest@127.0.0.1:5672/%2f"
    ));
    assert!(
        redis
            .to_string()
            .starts_with("PRISM_REDIS_URL is not set; set it to e.g. redis://127.0.0.1:6379")
    );
}
