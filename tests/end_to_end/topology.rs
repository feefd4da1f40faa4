//! Exchanges and queues: created, compared, and told apart from what is declared otherwise.

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

use super::deployment::{Deployment, SOON, array};

const OBJECTS: [&str; 9] = [
    "queue {}.webhooks.dead-letters",
    "queue {}.webhooks.deliveries",
    "queue {}.webhooks.parts",
    "queue {}.webhooks.delay.1s",
    "queue {}.webhooks.delay.2s",
    "queue {}.webhooks.delay.3s",
    "queue {}.webhooks.delay.4s",
    "exchange {}.events",
    "queue {}.webhooks.events",
];

#[tokio::test]
async fn every_missing_object_is_reported_and_applying_creates_them_all() {
    let deployment = Deployment::new("topology", &[]);
    let namespace = deployment.namespace().as_str();
    let (stdout, stderr) = deployment.exits(&["topology", "check"], 1);
    let expected: Vec<String> = OBJECTS
        .iter()
        .map(|object| {
            let object = object.replace("{}", namespace);
            format!("the {object} is missing; create it with `prism-webhooks topology apply`")
        })
        .collect();
    assert_eq!(stdout.lines().collect::<Vec<_>>(), expected);
    assert_eq!(stderr, "prism-webhooks: 9 of 9 objects are not as wanted\n");
    let missing = deployment.refused(&["dead-letters", "list"], 4);
    assert!(
        missing.contains("webhooks.dead-letters is missing; create it"),
        "{missing}"
    );
    let settings = [
        ("PRISM_NAMESPACE", namespace),
        ("PRISM_WORKER_DECLARE_TOPOLOGY", "false"),
    ];
    let undeclared = Deployment::new("undeclared", &settings);
    let worker = undeclared.refused(&["worker"], 4);
    assert!(
        worker.contains("webhooks.dead-letters is missing; create it"),
        "{worker}"
    );

    deployment.text(&["topology", "apply"]);
    deployment.text(&["topology", "apply"]);
    let checked = deployment.text(&["topology", "check"]);
    assert!(
        checked.starts_with("9 exchanges and queues are as wanted"),
        "{checked}"
    );
    deployment.publish(&["error.occurred"]);
    let shown = array(deployment.json(&["topology", "show", "--json"]));
    let events = shown
        .iter()
        .find(|one| one["name"] == format!("{namespace}.webhooks.events"));
    let events = events.expect("it is shown");
    assert_eq!(events["contents"]["messages"], 1, "{events:#}");
    let bound: Vec<_> = array(events["bindings"].clone());
    assert_eq!(
        bound.len(),
        6,
        "the five of the gateway, and webhook.disabled"
    );
    assert_eq!(events["arguments"]["x-delivery-limit"], 100);
    let offline = deployment.text(&[
        "topology",
        "show",
        "--offline",
        "--amqp-url",
        "amqp://127.0.0.1:1",
    ]);
    assert_eq!(offline.lines().count(), 1 + OBJECTS.len());
}

#[tokio::test]
async fn an_object_declared_otherwise_keeps_the_worker_from_starting_and_says_how_to_mend_it() {
    let deployment = Deployment::new("otherwise", &[]);
    let broker = deployment.broker().await;
    let queue = format!("{}.webhooks.delay.2s", deployment.namespace());
    deployment.text(&["topology", "apply"]);
    let delete = lapin::options::QueueDeleteOptions::default();
    broker
        .channel()
        .queue_delete(queue.as_str().into(), delete)
        .await
        .expect("deleted");
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(7_000));
    let durable = QueueDeclareOptions::durable();
    let declared = broker
        .channel()
        .queue_declare(queue.as_str().into(), durable, arguments);
    declared.await.expect("declared");

    let mut worker = deployment.process(&["worker"]);
    let status = worker.wait_exit(SOON).await;
    assert_eq!(status.code(), Some(4), "{}", worker.stderr());
    let stderr = worker.stderr();
    let said = stderr
        .lines()
        .find(|line| line.starts_with("prism-webhooks: "))
        .expect("an error");
    for part in [
        format!("the queue {queue} is declared otherwise: "),
        " is none, wanted is ".to_owned(),
        "with 0 messages and 0 consumers".to_owned(),
        format!("`rabbitmqctl delete_queue {queue}`"),
        "`prism-webhooks topology apply`".to_owned(),
    ] {
        assert!(said.contains(&part), "{part:?} in {said}");
    }
    let (checked, _) = deployment.exits(&["topology", "check"], 1);
    assert_eq!(
        checked.lines().count(),
        1,
        "the others are as wanted: {checked}"
    );
    assert!(said.contains(checked.trim()), "{checked}");
}
