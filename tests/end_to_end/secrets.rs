//! Secrets: rotated with overlap, sealed at rest, and shown nowhere.

use std::time::{Duration, Instant};

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

#[tokio::test]
async fn a_rotated_secret_signs_beside_the_new_one_until_the_overlap_is_over() {
    let deployment = Deployment::start("rotation", &[]).await;
    let broker = deployment.broker().await;
    let receiver = Receiver::ok();
    deployment.webhook("w", &receiver.url(), &["--secret", "the-old-one"]);
    deployment.publish(&["error.occurred"]);
    assert_signed(&receiver.wait_for(1, SOON).await[0], &["the-old-one"]);

    let rotated = Instant::now();
    let rotate = [
        "webhooks",
        "rotate-secret",
        "w",
        "--secret",
        "the-new-one",
        "--overlap",
        "2s",
    ];
    deployment.text(&rotate);
    let publish = async || {
        let before = receiver.count();
        broker
            .publish(Message::event("error.occurred", "rotated"))
            .await;
        receiver.wait_for(before + 1, SOON).await.remove(before)
    };
    let signatures = |request: &Received| {
        request
            .header("webhook-signature")
            .map_or(0, |value| value.split(' ').count())
    };
    // A change acts within a second.
    let both = eventually(Duration::from_secs(1), "both sign", async || {
        let request = publish().await;
        (signatures(&request) == 2).then_some(request)
    })
    .await;
    assert_signed(&both, &["the-new-one", "the-old-one"]);
    let alone = eventually(SOON, "the old one ends", async || {
        let request = publish().await;
        (signatures(&request) == 1).then_some(request)
    })
    .await;
    assert_signed(&alone, &["the-new-one"]);
    let overlap = alone.arrived - rotated;
    assert!(
        overlap >= Duration::from_secs(2),
        "it ended after {overlap:?}"
    );

    let generated = deployment.json(&[
        "webhooks",
        "rotate-secret",
        "w",
        "--overlap",
        "0s",
        "--json",
    ]);
    let secret = string(&generated["secret"]);
    assert!(
        secret.starts_with("whsec_"),
        "the form of the standard, shown this once"
    );
    let signed = eventually(
        Duration::from_secs(1),
        "the generated one signs",
        async || {
            let request = publish().await;
            let signature = documented_signature(&secret, &request.body);
            (request.header("x-prism-signature") == Some(signature)).then_some(request)
        },
    )
    .await;
    assert_signed(&signed, &[&secret]);
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
    assert!(stored[0].contains("sealed:v1:"), "{stored:?}");
    assert!(!stored[0].contains("s3cr3t"), "{stored:?}");
    assert!(!stored[0].contains(key));

    let other = Deployment::new(
        "sealed-other",
        &[("PRISM_NAMESPACE", deployment.namespace().as_str())],
    );
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
    let receiver = Receiver::start(|_| Answer::status(500));
    let secrets = ["s3cr3t-one", "s3cr3t-two", "bearer-s3cr3t", key];
    let [one, two, bearer, _] = secrets;
    let header = format!("Authorization: {bearer}");
    let url = receiver.url();
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

/// What a command prints to standard output and standard error, however it ends.
fn outputs(deployment: &Deployment, arguments: &[&str]) -> [String; 2] {
    let output = deployment.run(arguments);
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned())
}
