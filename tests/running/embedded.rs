//! Embedded: everything in one process and one directory, without any server.

use std::io::Write as _;

use serde_json::json;
use tempfile::TempDir;

use crate::support::deadline::eventually;
use crate::support::process::Process;
use crate::support::receiver::{Answer, Receiver};

use super::site::{SOON, Site};

fn site() -> (TempDir, Site) {
    let directory = tempfile::tempdir().unwrap();
    let site = Site::embedded(&directory.path().join("data"));
    (directory, site)
}

#[tokio::test]
async fn an_event_over_http_arrives_signed_and_byte_for_byte() {
    let (_directory, site) = site();
    let receiver = Receiver::ok();
    let running = site.start().await;
    running
        .webhook("w", &receiver.url(), Some("a-secret"))
        .await;
    let body = "{\"event\" : \"request.completed\",  \"cost\": 1.50}";
    let (status, answer) = running
        .post_as("application/json", "/api/v1/events", body, &[])
        .await;
    assert_eq!(status, 202);
    let requests = receiver.wait_for(1, SOON).await;
    assert_eq!(&requests[0].body[..], body.as_bytes());
    assert_eq!(
        requests[0].header("webhook-id").as_deref(),
        answer["id"].as_str()
    );
    let secret = prism_webhooks::domain::secret::Secret::new("a-secret").unwrap();
    let expected = prism_webhooks::domain::signature::prism(&secret, body.as_bytes());
    assert_eq!(requests[0].header("x-prism-signature"), Some(expected));
    let report = running.stop().await;
    assert!(
        report.contains("1 events") && report.contains("1 delivered"),
        "{report}"
    );
}

#[tokio::test]
async fn what_was_accepted_is_there_after_a_restart() {
    let (_directory, site) = site();
    let running = site.start().await;
    // Nobody listens there yet.
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", place.local_addr().unwrap());
    let id = running.webhook("w", &url, None).await;
    drop(place);
    running
        .publish(&json!({"event": "request.completed"}))
        .await;
    let attempted = async || site.list(&["attempts", "list", "--json"]).first().cloned();
    let attempt = eventually(SOON, "an attempt", attempted).await;
    assert_eq!(attempt["outcome"], "connect_failed");
    running.stop().await;

    let running = site.start().await;
    let dead = async || site.list(&["dead-letters", "list", "--json"]).pop();
    let letter = eventually(SOON, "a dead letter", dead).await;
    assert_eq!(letter["webhook"], id);
    let receiver = Receiver::ok();
    site.exits(&["webhooks", "update", "w", "--url", &receiver.url()], 0);
    site.exits(&["dead-letters", "requeue", "--all"], 0);
    receiver.wait_for(1, SOON).await;
    running.stop().await;
}

#[tokio::test]
async fn every_command_works_beside_run_and_without_it() {
    let (_directory, site) = site();
    let receiver = Receiver::start(|request| match request.path().as_str() {
        "/bad" => Answer::status(500),
        _ => Answer::ok(),
    });
    let bad = format!("{}/bad", receiver.url());
    // Without it: the command has the data for as long as it takes.
    let create = [
        "webhooks",
        "create",
        "--name",
        "first",
        "--url",
        &receiver.url(),
    ];
    site.exits(&create, 0);
    site.exits(&["publish", "request.completed"], 0);
    let running = site.start().await;
    receiver.wait_for(1, SOON).await;
    // Beside it.
    let create = ["webhooks", "create", "--name", "second", "--url", &bad];
    site.exits(&create, 0);
    let (_, taken) = site.exits(&create, 5);
    assert!(taken.contains("is taken"), "{taken}");
    let webhooks = site.list(&["webhooks", "list", "--json"]);
    assert_eq!(webhooks.len(), 2);
    let file = tempfile::NamedTempFile::new().unwrap();
    for number in 0..300 {
        writeln!(
            &file,
            "{}",
            json!({"event": "batch.completed", "n": number})
        )
        .unwrap();
    }
    writeln!(&file, "nothing").unwrap();
    let path = file.path().to_str().unwrap();
    let (stdout, stderr) = site.exits(&["publish", "--file", path, "--organization", "other"], 1);
    assert!(stdout.starts_with("300 events confirmed"), "{stdout}");
    assert!(stderr.contains("line 301"), "{stderr}");
    site.exits(&["publish", "error.occurred"], 0);
    let dead = async || site.list(&["dead-letters", "list", "--json"]).pop();
    let letter = eventually(SOON, "a dead letter", dead).await;
    assert_eq!(letter["reason"], "attempts-exhausted");
    let attempts = site.list(&["attempts", "list", "--json", "--outcome", "rejected"]);
    assert_eq!(attempts.len(), 3);
    let (stdout, _) = site.exits(&["dead-letters", "purge", "--all"], 0);
    assert!(stdout.starts_with("1 purged"), "{stdout}");
    running.stop().await;
    assert_eq!(site.list(&["attempts", "list", "--json"]).len(), 5);
}

#[tokio::test]
async fn an_input_that_cannot_be_read_is_a_failure_and_not_the_end_of_it() {
    let (directory, site) = site();
    let unreadable = directory.path().to_str().unwrap();
    let create = ["webhooks", "create", "--name", "w", "--url"];
    let secret = ["http://127.0.0.1:1/", "--secret-file", unreadable];
    let fails = || {
        for command in [
            &["publish", "--file", unreadable][..],
            &[&create[..], &secret].concat(),
        ] {
            let (said, problem) = site.exits(command, 1);
            assert_eq!(said, "", "{command:?}");
            assert!(problem.contains("Is a directory"), "{problem}");
        }
    };
    fails();
    let running = site.start().await;
    fails();
    assert!(running.get("/webhooks").await.items().is_empty());
    running.stop().await;
}

#[tokio::test]
async fn attempts_are_followed_as_they_are_made() {
    let (_directory, site) = site();
    let receiver = Receiver::ok();
    let running = site.start().await;
    running.webhook("w", &receiver.url(), None).await;
    let mut tail = Process::start(&["attempts", "tail", "--json"], &site.variables());
    // When the tail begins is not told, so events are published until it shows one.
    let published = eventually(SOON, "an attempt is shown", async || {
        let id = running
            .publish(&json!({"event": "request.completed"}))
            .await;
        let shown = tail.stdout();
        shown.lines().next().map(|line| (id, line.to_owned()))
    });
    let (_, line) = published.await;
    let attempt: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(attempt["outcome"], "delivered");
    running.stop().await;
    let status = tail.wait_exit(SOON).await;
    assert_eq!(status.code(), Some(4), "{}", tail.stderr());
    assert!(tail.stderr().contains("stopping"), "{}", tail.stderr());
}

#[tokio::test]
async fn a_second_process_on_the_directory_is_refused_with_a_reason() {
    let (_directory, site) = site();
    let running = site.start().await;
    let (_, stderr) = site.exits(&["run"], 4);
    assert!(
        stderr.contains("in use") || stderr.contains("another process"),
        "{stderr}"
    );
    running.stop().await;
}

#[tokio::test]
async fn what_embedded_mode_has_not_is_said_with_what_to_set() {
    let (_directory, site) = site();
    for command in [["worker", ""].as_slice(), &["topology", "check"]] {
        let command: Vec<&str> = command.iter().copied().filter(|c| !c.is_empty()).collect();
        let (_, stderr) = site.exits(&command, 3);
        assert!(stderr.contains("PRISM_AMQP_URL"), "{stderr}");
    }
    let (_, stderr) = site.exits(&["attempts", "list"], 3);
    assert!(stderr.contains("PRISM_DATA_DIR"), "{stderr}");
}

#[tokio::test]
async fn other_machines_are_let_in_with_a_token_alone() {
    let (directory, _) = site();
    let data = directory.path().join("data");
    let data = ("PRISM_DATA_DIR", data.to_str().unwrap());
    let open = Site::new(&[data, ("PRISM_LISTEN", "0.0.0.0:0")]);
    let (_, stderr) = open.exits(&["run"], 3);
    assert!(stderr.contains("PRISM_API_TOKEN"), "{stderr}");

    let token = "0123456789abcdef0123456789abcdef";
    let site = Site::new(&[data, ("PRISM_API_TOKEN", token)]);
    let running = site.start().await;
    let event = json!({"event": "request.completed"});
    let (status, problem) = running.post("/api/v1/events", &event).await;
    assert_eq!((status.as_u16(), &problem["status"]), (401, &json!(401)));
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let (status, _) = running
        .post_as(
            "application/json",
            "/api/v1/events",
            event.to_string(),
            &headers,
        )
        .await;
    assert_eq!(status, 202);
    assert!(!running.process.stderr().contains(token));
    running.stop().await;
}

#[tokio::test]
async fn webhooks_move_to_rabbitmq_and_redis_with_their_secrets() {
    use crate::support::namespace::Namespace;
    use crate::support::servers::{amqp_url, redis_url};

    let (_directory, site) = site();
    let receiver = Receiver::ok();
    let url = receiver.url();
    let create = ["webhooks", "create", "--name", "w", "--url", &url];
    site.exits(&[&create[..], &["--secret", "a-secret"]].concat(), 0);
    let (exported, _) = site.exits(&["webhooks", "export"], 0);

    let namespace = Namespace::unique("moved");
    let key = "0123456789abcdef".repeat(4);
    let servers = Site::new(&[
        ("PRISM_NAMESPACE", namespace.as_str()),
        ("PRISM_AMQP_URL", amqp_url()),
        ("PRISM_REDIS_URL", redis_url()),
        ("PRISM_SECRET_KEY", &key),
    ]);
    let (imported, _) = servers.exits_with(&["webhooks", "import"], &exported, 0);
    assert_eq!(imported, "1 webhook imported\n");
    let (_, in_the_way) = servers.exits_with(&["webhooks", "import"], &exported, 1);
    assert!(
        in_the_way.contains("line 1 is not imported"),
        "{in_the_way}"
    );
    let running = servers.start().await;
    let event = json!({"event": "request.completed"});
    running.publish(&event).await;
    let requests = receiver.wait_for(1, SOON).await;
    let secret = prism_webhooks::domain::secret::Secret::new("a-secret").unwrap();
    let expected = prism_webhooks::domain::signature::prism(&secret, &requests[0].body);
    assert_eq!(requests[0].header("x-prism-signature"), Some(expected));
    running.stop().await;
}
