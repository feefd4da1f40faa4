//! Secrets: rotated in steps, sealed at rest, and shown nowhere.

use crate::support::deadline::eventually;
use crate::support::receiver::{Answer, Received, Receiver};

use super::broker::Message;
use super::deployment::{Deployment, SOON, string};
use super::verification::{documented_signature, standard_signatures};

fn assert_signed(request: &Received, secrets: &[&str]) {
    let header = |name| request.header(name).expect("it is signed");
    assert_eq!(
        header("x-prism-signature"),
        documented_signature(secrets[0], &request.body)
    );
    assert_eq!(
        header("webhook-signature"),
        standard_signatures(request, secrets)
    );
}

/// A receiver changes over while events come all the time: at every step it knows what our
/// documentation says it should know by then, and it never gets a request that it cannot verify.
#[tokio::test]
async fn a_receiver_that_changes_over_as_documented_verifies_every_request() {
    let deployment = Deployment::start("rotation", &[]).await;
    let broker = deployment.broker().await;
    let receiver = Receiver::ok();
    deployment.webhook("w", &receiver.url(), &["--secret", "the-old-one"]);
    let publish = async || {
        let before = receiver.count();
        broker
            .publish(Message::event("error.occurred", "rotated"))
            .await;
        let request = receiver.wait_for(before + 1, SOON).await.remove(before);
        let own = request.header("x-prism-signature").expect("it is signed");
        let standard = request.header("webhook-signature").expect("it is signed");
        (request, own, standard)
    };
    // Publishes until requests are signed by `secrets`; all on the way must be verifiable by `known`.
    let signed_by = async |secrets: &[&str], known: &[&str]| {
        let what = format!("{secrets:?} sign");
        eventually(SOON, &what, async || {
            let (request, own, standard) = publish().await;
            let verifies = |secret: &&str| {
                own == documented_signature(secret, &request.body)
                    && standard.contains(&standard_signatures(&request, &[secret]))
            };
            assert!(known.iter().any(verifies), "{known:?}: {own} {standard}");
            (standard == standard_signatures(&request, secrets)
                && own == documented_signature(secrets[0], &request.body))
            .then_some(())
        })
        .await;
    };
    signed_by(&["the-old-one"], &["the-old-one"]).await;
    let new = ["--secret", "the-new-one", "--overlap", "2s"];
    deployment.text(&[&["webhooks", "rotate-secret", "w"], &new[..]].concat());
    signed_by(&["the-old-one", "the-new-one"], &["the-old-one"]).await;
    let shown = deployment.text(&["webhooks", "show", "w"]);
    for standing in [" current ", ", staged "] {
        assert!(shown.contains(standing), "{shown}");
    }
    let both = ["the-old-one", "the-new-one"];
    signed_by(&both, &both).await;
    deployment.text(&["webhooks", "promote-secret", "w"]);
    signed_by(&["the-new-one", "the-old-one"], &both).await;
    signed_by(&["the-new-one"], &["the-new-one"]).await;

    // The next one is promoted by itself, with nobody there to say so.
    let third = [
        "--secret",
        "third",
        "--promote-after",
        "2s",
        "--overlap",
        "1s",
    ];
    deployment.text(&[&["webhooks", "rotate-secret", "w"], &third[..]].concat());
    let both = ["the-new-one", "third"];
    signed_by(&["the-new-one", "third"], &both).await;
    signed_by(&["third", "the-new-one"], &both).await;
    signed_by(&["third"], &["third"]).await;

    let leaked = ["--promote", "--overlap", "0s", "--json"];
    let generated = deployment.json(&[&["webhooks", "rotate-secret", "w"], &leaked[..]].concat());
    let secret = string(&generated["secret"]);
    assert!(secret.starts_with("whsec_"), "shown this once");
    signed_by(&[&secret], &["third", &secret]).await;
}

#[tokio::test]
async fn a_secret_comes_from_a_file_or_standard_input_and_white_space_at_its_ends_is_refused() {
    let deployment = Deployment::new("secret-file", &[]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("secret");
    let file = path.to_str().expect("a path in UTF-8");
    let create = [
        "webhooks",
        "create",
        "--url",
        "https://example.com",
        "--name",
    ];
    std::fs::write(&path, "from-a-file\n").expect("written");
    deployment.text(&[&create[..], &["w", "--secret-file", file]].concat());
    let exported = deployment.text(&["webhooks", "export"]);
    assert!(exported.contains(r#""value":"from-a-file""#), "{exported}");
    std::fs::write(&path, "another\r\n").expect("written");
    let rotate = ["webhooks", "rotate-secret", "w", "--secret-file", file];
    deployment.text(&rotate);
    let exported = deployment.text(&["webhooks", "export"]);
    assert!(exported.contains(r#""value":"another""#), "{exported}");
    assert!(exported.contains(r#""staged":true"#), "{exported}");

    for text in [" s3cr3t", "s3cr3t\t", "s3cr3t\n"] {
        let refused = [&create[..], &["v", "--secret", text]].concat();
        let said = deployment.refused(&refused, 1);
        assert!(said.contains("no white space at its ends"), "{said}");
        assert!(!said.contains("s3cr3t"), "{said}");
    }
    let help = deployment.text(&["webhooks", "create", "--help"]);
    assert!(help.contains("process list"), "{help}");
    for wrong in [
        &["--secret", "a", "--secret-file", file][..],
        &["--generate-secret", "--secret-file", file],
    ] {
        deployment.refused(&[&create[..], &["v"], wrong].concat(), 2);
    }
}

#[tokio::test]
async fn sealed_secrets_sign_and_no_plain_text_is_in_redis() {
    let key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let deployment = Deployment::start("sealed", &[("PRISM_SECRET_KEY", key)]).await;
    let receiver = Receiver::ok();
    deployment.webhook("w", &receiver.url(), &["--secret", "s3cr3t-sealed"]);
    deployment.publish(&["error.occurred"]);
    assert_signed(&receiver.wait_for(1, SOON).await[0], &["s3cr3t-sealed"]);
    let mut redis = super::redis_connection().await;
    let mut get = redis::cmd("HVALS");
    get.arg(format!("{}:webhooks:{{default}}", deployment.namespace()));
    let stored: Vec<String> = get.query_async(&mut redis).await.expect("an answer");
    assert!(stored[0].contains("sealed:v2:"), "{stored:?}");
    assert!(!stored[0].contains("s3cr3t"), "{stored:?}");
    assert!(!stored[0].contains(key));

    let other = beside(&deployment, &[]);
    let said = other.refused(&["webhooks", "show", "w"], 1);
    assert!(
        said.contains("set PRISM_SECRET_KEY to the key that it was sealed with"),
        "{said}"
    );
}

#[tokio::test]
async fn no_secret_is_in_any_output_or_log_whatever_the_level() {
    let key = "0f0e0d0c0b0a09080706050403020100f0e0d0c0b0a090807060504030201000";
    let settings = [("PRISM_SECRET_KEY", key), ("PRISM_LOGGING_LEVEL", "trace")];
    let mut deployment = Deployment::start("secrecy", &settings).await;
    let broker = deployment.broker().await;
    let receiver = Receiver::start(repeating);
    let query = "s3cr3t-query";
    let secrets = ["s3cr3t-one", "s3cr3t-two", "bearer-s3cr3t", query, key];
    let [one, two, bearer, ..] = secrets;
    let header = format!("Authorization: {bearer}");
    let url = format!("{}?token={query}", receiver.url());
    let mut said: Vec<String> = Vec::new();
    for (name, json) in [("json", &["--json"][..]), ("text", &[])] {
        let create = ["create", "--name", name, "--url", &url, "--secret", one];
        let more = ["--header", &header, "--retry-max-attempts", "1"];
        for command in [
            &[&create[..], &more].concat()[..],
            &["rotate-secret", name, "--secret", two],
            &["update", name, "--header", &header],
            &["show", name],
            &["list"],
        ] {
            said.extend(outputs(
                &deployment,
                &[&["webhooks"], command, json].concat(),
            ));
        }
    }
    let refused = ["webhooks", "create", "--url", &url, "--secret"];
    for arguments in [
        &[&refused[..], &[one, "--name", "text"]].concat()[..],
        &[&refused[..], &["whsec_s3cr3t-one!", "--name", "new"]].concat(),
        &[&refused[..], &[one]].concat(),
        &["webhooks", "test", "text"],
        &["deliveries", "explain", "text", "error.occurred"],
        &["secret-keys", "check"],
        &["secret-keys", "reencrypt", "--json"],
        &["publish", "error.occurred"],
        &["config", "show"],
        &["config", "check"],
    ] {
        said.extend(outputs(&deployment, arguments));
    }
    deployment.dead_letters_when(&broker, 2).await;
    for arguments in [
        &["attempts", "list"][..],
        &["attempts", "list", "--json"],
        &["dead-letters", "list", "--json"],
        &["topology", "show"],
    ] {
        said.extend(outputs(&deployment, arguments));
    }
    assert_eq!(
        receiver.requests()[0].header("authorization").as_deref(),
        Some(bearer)
    );
    deployment.stop_worker().await;
    let worker = deployment.worker();
    let log = worker.stderr();
    assert!(log.contains("TRACE"), "the level is in force");
    said.extend([log, worker.stdout()]);
    for text in &said {
        for secret in secrets {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret}");
        }
    }
}

#[tokio::test]
async fn nothing_secret_of_a_webhook_and_no_query_of_an_attempt_is_in_redis() {
    let key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let deployment = Deployment::start("at-rest", &[("PRISM_SECRET_KEY", key)]).await;
    let broker = deployment.broker().await;
    let receiver = Receiver::start(repeating);
    let url = format!("{}?token=s3cr3t-query", receiver.url());
    let header = "Authorization: Bearer s3cr3t-header";
    let retries = ["--retry-max-attempts", "1", "--secret", "s3cr3t-signing"];
    deployment.webhook("w", &url, &[&["--header", header][..], &retries].concat());
    deployment.publish(&["error.occurred"]);
    let letters = deployment.dead_letters_when(&broker, 1).await;
    let request = &receiver.requests()[0];
    assert!(request.path().ends_with("?token=s3cr3t-query"));
    assert_eq!(
        request.header("authorization").as_deref(),
        Some("Bearer s3cr3t-header")
    );
    let attempts = deployment.attempts_when(1, &[]).await;
    assert!(
        string(&attempts[0]["url"]).ends_with("?***"),
        "{attempts:?}"
    );
    let body = string(&attempts[0]["response_body"]);
    assert!(body.starts_with("no page for /?***, "), "{body}");
    assert!(!format!("{letters:?}").contains("s3cr3t"), "{letters:?}");
    let mut redis = super::redis_connection().await;
    let mut keys = redis::cmd("KEYS");
    keys.arg(format!("{}:*", deployment.namespace()));
    let keys: Vec<String> = keys.query_async(&mut redis).await.expect("an answer");
    assert!(keys.len() >= 4, "{keys:?}");
    for key in keys {
        let mut dump = redis::cmd("DUMP");
        dump.arg(&key);
        let dump: Option<Vec<u8>> = dump.query_async(&mut redis).await.expect("an answer");
        let dump = String::from_utf8_lossy(&dump.unwrap_or_default()).into_owned();
        assert!(!dump.contains("s3cr3t"), "{key}: {dump}");
    }
}

#[tokio::test]
async fn whoever_lacks_a_key_that_webhooks_need_does_not_start_and_says_which() {
    let (old, new) = ("11".repeat(32), "22".repeat(32));
    let settings = [("PRISM_SECRET_KEY", old.as_str())];
    let deployment = Deployment::new("keys", &settings);
    let broker = deployment.broker().await;
    deployment.text(&["topology", "apply"]);
    let receiver = Receiver::ok();
    deployment.webhook("w", &receiver.url(), &["--secret", "s3cr3t"]);
    let (old_id, _) = deployment.exits(&["secret-keys", "check", "--json"], 0);
    let old_id: serde_json::Value = serde_json::from_str(&old_id).expect("JSON");
    let old_id = string(&old_id["keys"][0]);
    deployment.publish(&["error.occurred"]);
    for lacking in ["", new.as_str()] {
        let other = beside(&deployment, &[("PRISM_SECRET_KEY", lacking)]);
        for command in ["worker", "run", "api"] {
            let (_, said) = other.exits(&[command], 3);
            assert!(
                said.contains(&format!("sealed with key {old_id}")),
                "{said}"
            );
            assert!(said.contains("PRISM_SECRET_KEY"), "{said}");
        }
        let (found, _) = other.exits(&["secret-keys", "check"], 1);
        assert!(
            found.contains("webhook ") && found.contains(&old_id),
            "{found}"
        );
    }
    // Both, the new one first: it delivers, and what is sealed anew needs the old one no more.
    let both = format!("{new},{old}");
    let mut changed = beside(&deployment, &[("PRISM_SECRET_KEY", &both)]);
    changed.start_worker().await;
    assert_signed(&receiver.wait_for(1, SOON).await[0], &["s3cr3t"]);
    let anew = changed.text(&["secret-keys", "reencrypt"]);
    assert!(
        anew.starts_with("1 webhooks: 0 as they should be, 1 encrypted anew"),
        "{anew}"
    );
    let again = changed.text(&["secret-keys", "reencrypt"]);
    assert!(
        again.contains("1 as they should be") && again.contains("the others can go"),
        "{again}"
    );
    let mut after = beside(&deployment, &[("PRISM_SECRET_KEY", &new)]);
    after.start_worker().await;
    deployment.publish(&["error.occurred"]);
    receiver.wait_for(2, SOON).await;
    deployment.refused(&["worker"], 3);
    assert!(deployment.dead_letters(&[]).is_empty());
    drop(broker);
    let none = beside(&deployment, &[]);
    let said = none.refused(&["secret-keys", "reencrypt"], 3);
    assert!(said.contains("PRISM_SECRET_KEY is not set"), "{said}");
}

#[tokio::test]
async fn what_is_sealed_with_a_key_that_a_worker_lacks_waits_for_one_that_has_it() {
    let (old, new) = ("11".repeat(32), "22".repeat(32));
    let mut deployment = Deployment::start("late-key", &[("PRISM_SECRET_KEY", &old)]).await;
    let receiver = Receiver::ok();
    let both = format!("{new},{old}");
    let mut newer = beside(&deployment, &[("PRISM_SECRET_KEY", &both)]);
    newer.webhook("w", &receiver.url(), &["--secret", "s3cr3t"]);
    deployment.publish(&["error.occurred"]);
    eventually(SOON, "the worker says so", async || {
        let said = deployment.worker().stderr();
        said.contains("no_secret_key").then_some(())
    })
    .await;
    assert_eq!(receiver.count(), 0);
    deployment.stop_worker().await;
    newer.start_worker().await;
    let request = receiver.wait_for(1, SOON).await.remove(0);
    assert_signed(&request, &["s3cr3t"]);
    assert_eq!(request.header("x-prism-attempt").as_deref(), Some("1"));
    assert!(newer.dead_letters(&[]).is_empty());
}

/// The page of an error as some servers write it: with all of the request.
fn repeating(request: &Received) -> Answer {
    let asked = format!("no page for {}, {:?}", request.path(), request.headers());
    Answer::status(500).body(asked)
}

/// The same deployment, as a process with other settings sees it.
fn beside(deployment: &Deployment, settings: &[(&str, &str)]) -> Deployment {
    let own = [
        ("PRISM_NAMESPACE", deployment.namespace().as_str()),
        ("PRISM_LISTEN", "127.0.0.1:0"),
    ];
    Deployment::new("beside", &[&own, settings].concat())
}

/// What a command prints to standard output and standard error, however it ends.
fn outputs(deployment: &Deployment, arguments: &[&str]) -> [String; 2] {
    let output = deployment.run(arguments);
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned())
}
