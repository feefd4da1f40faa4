//! The command `publish`: from arguments, a file, standard input.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::deployment::Deployment;

const EVENTS: &str = "webhooks.events";

/// Two good lines, one with its id, among three that are none, and an empty one that is nobody's mistake.
const LINES: &str = concat!(
    "{\"event\":\"error.occurred\",\"n\":1}\n",
    "not json\n",
    "\n",
    "{\"n\":2}\n",
    "{\"event\":\"made.up\"}\n",
    "{\"id\":\"evt-3\",\"body\":{\"event\":\"budget.exceeded\",\"n\":3}}\r\n",
);

fn assert_told(stderr: &str) {
    for said in [
        "line 2 is not published: the body is not a JSON object",
        "line 4 is not published: the body has no string field \"event\"",
        "line 5 is not published: the event type \"made.up\" is not known here",
        "3 lines were not published",
    ] {
        assert!(stderr.contains(said), "{said:?} in {stderr}");
    }
    assert_eq!(stderr.matches("is not published").count(), 3, "{stderr}");
}

#[tokio::test]
async fn events_come_from_arguments_a_file_or_standard_input_and_a_bad_line_stops_no_other() {
    let deployment = Deployment::new("publish", &[]);
    deployment.text(&["topology", "apply"]);
    let broker = deployment.broker().await;
    let said = deployment.text(&["publish", "error.occurred", "--id", "evt-1"]);
    assert_eq!(said, "published and confirmed: event evt-1\n");
    let counted = deployment.json(&["publish", "error.occurred", "--count", "300", "--json"]);
    assert_eq!(
        (counted["published"].as_u64(), &counted["id"]),
        (Some(300), &Value::Null)
    );
    assert_eq!(broker.depth(EVENTS).await, 301);

    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("events.ndjson");
    fs::write(&path, LINES).expect("written");
    let file = path.to_str().expect("a path in UTF-8");
    let (stdout, stderr) = deployment.exits(&["publish", "--file", file, "--json"], 1);
    let summary: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!(
        (summary["published"].as_u64(), summary["refused"].as_u64()),
        (Some(2), Some(3))
    );
    assert_told(&stderr);
    assert_eq!(broker.depth(EVENTS).await, 303);

    let mut piped = Command::new(env!("CARGO_BIN_EXE_prism-webhooks"))
        .args(["publish", "--file", "-"])
        .envs(deployment.variables())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = piped.stdin.take().expect("piped");
    stdin.write_all(LINES.as_bytes()).expect("taken");
    drop(stdin);
    let output = piped.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert_told(&String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("2 events confirmed"));
    assert_eq!(broker.depth(EVENTS).await, 305);
    let (ids, _) = deployment.exits(&["publish", "--file", file, "--ids"], 1);
    assert_eq!(ids.lines().filter(|id| *id == "evt-3").count(), 1, "{ids}");
}

#[tokio::test]
async fn what_cannot_be_published_is_refused_with_the_reason() {
    let deployment = Deployment::new("unpublished", &[]);
    let said = deployment.refused(&["publish", "error.occurred"], 4);
    let exchange = format!(
        "the exchange \"{}.events\" does not exist",
        deployment.namespace()
    );
    assert!(
        said.contains(&exchange) && said.contains("topology apply"),
        "{said}"
    );
    assert!(said.contains("0 events were confirmed"), "{said}");

    deployment.text(&["topology", "apply"]);
    let broker = deployment.broker().await;
    for (arguments, code, reason) in [
        (
            &["error.occurred", "{\"event\":\"budget.exceeded\"}"][..],
            1,
            "they must be equal",
        ),
        (&["error.occurred", "hello"], 1, "not a JSON object"),
        (&["made.up"], 1, "add it to event_types"),
        (
            &["error.occurred", "--organization", "two words"],
            1,
            "\"two words\" is not usable",
        ),
        (&["--file", "/no/such/file"], 1, "/no/such/file"),
        (&["made.up", "--unchecked"], 4, "made.up"),
        (&[], 2, "<EVENT_TYPE>"),
        (&["error.occurred", "--file", "-"], 2, "cannot be used with"),
        (
            &["error.occurred", "--amqp-url", "amqp://127.0.0.1:1"],
            4,
            "cannot connect to RabbitMQ",
        ),
    ] {
        let said = deployment.refused(&[&["publish"], arguments].concat(), code);
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
    assert_eq!(broker.depth(EVENTS).await, 0);
    deployment.text(&["publish", "error.occurred", "hello", "--unchecked"]);
    assert_eq!(broker.depth(EVENTS).await, 1, "to see what becomes of it");
}
