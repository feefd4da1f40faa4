//! Declaring, comparing, describing.

use std::sync::Arc;

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use prism_webhooks::rabbitmq::consumer::{self, ConsumerSettings, StartError};
use prism_webhooks::rabbitmq::declare::{self, TopologyError};

use super::world::World;
use crate::support::servers::amqp_url;

#[tokio::test]
async fn applying_twice_is_quiet_and_the_check_finds_nothing() {
    let world = World::declared().await;
    world.apply().await;
    let connection = world.connection().await;
    let check = declare::check(&world.topology, &connection).await.unwrap();
    assert!(check.problems.is_empty(), "{:?}", check.problems);
    assert_eq!(check.objects, world.topology.objects().len());
    assert_eq!(check.unseen_bindings, 2);
}

#[tokio::test]
async fn a_mismatch_names_the_object_what_is_there_and_what_was_wanted() {
    let world = World::empty();
    let connection = world.connection().await;
    let channel = connection.create_channel().await.unwrap();
    let name = world
        .topology
        .delay_queue(std::time::Duration::from_secs(1));
    let mut arguments = world
        .topology
        .objects()
        .iter()
        .find(|object| object.name == name)
        .unwrap()
        .arguments
        .clone();
    let mut table = FieldTable::default();
    for (argument, value) in std::mem::take(&mut arguments) {
        let value = match value {
            prism_webhooks::rabbitmq::topology::Argument::Number(number) => {
                AMQPValue::LongLongInt(if argument == "x-message-ttl" {
                    7_000
                } else {
                    number
                })
            }
            prism_webhooks::rabbitmq::topology::Argument::Text(text) => {
                AMQPValue::LongString(text.into())
            }
        };
        table.insert(argument.into(), value);
    }
    channel
        .queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), table)
        .await
        .unwrap();

    let error = declare::apply(&world.topology, &connection)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&name), "{text}");
    assert!(
        text.contains("x-message-ttl is 7000, wanted is 1000"),
        "{text}"
    );
    assert!(
        text.contains(&format!("rabbitmqctl delete_queue {name}`")),
        "{text}"
    );

    let check = declare::check(&world.topology, &connection).await.unwrap();
    let (mismatches, missing): (Vec<_>, Vec<_>) = check
        .problems
        .iter()
        .partition(|problem| matches!(problem, TopologyError::Mismatch { .. }));
    assert_eq!(mismatches.len(), 1, "{:?}", check.problems);
    // Those declared before the mismatch are there: dead letters, deliveries, parts.
    assert_eq!(missing.len(), check.objects - 4, "{missing:?}");
}

#[tokio::test]
async fn another_type_of_exchange_or_queue_is_a_mismatch() {
    let world = World::empty();
    let connection = world.connection().await;
    let channel = connection.create_channel().await.unwrap();
    channel
        .exchange_declare(
            world.topology.exchange().into(),
            lapin::ExchangeKind::Direct,
            ExchangeDeclareOptions {
                durable: true,
                ..Default::default()
            },
            FieldTable::default(),
        )
        .await
        .unwrap();
    channel
        .queue_declare(
            world.topology.deliveries_queue().into(),
            QueueDeclareOptions::durable(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    let check = declare::check(&world.topology, &connection).await.unwrap();
    let texts: Vec<String> = check
        .problems
        .iter()
        .filter(|problem| matches!(problem, TopologyError::Mismatch { .. }))
        .map(ToString::to_string)
        .collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("wanted is"), "{texts:?}");
    assert!(
        texts[1].contains("type is direct, wanted is topic"),
        "{texts:?}"
    );
}

#[tokio::test]
async fn a_check_reports_every_missing_object_and_creates_none() {
    let world = World::empty();
    let connection = world.connection().await;
    for _ in 0..2 {
        let check = declare::check(&world.topology, &connection).await.unwrap();
        assert_eq!(check.problems.len(), check.objects);
        assert!(
            check
                .problems
                .iter()
                .all(|problem| matches!(problem, TopologyError::Missing { .. })),
            "{:?}",
            check.problems
        );
    }
    let shown = declare::show(&world.topology, Some(&connection))
        .await
        .unwrap();
    assert!(shown.iter().all(|shown| shown.contents.is_none()));
}

#[tokio::test]
async fn showing_counts_what_is_in_the_queues() {
    let world = World::declared().await;
    let publisher = world.publisher();
    super::world::publish_events(&publisher, 3).await;
    let connection = world.connection().await;
    let shown = declare::show(&world.topology, Some(&connection))
        .await
        .unwrap();
    let events = shown
        .iter()
        .find(|shown| shown.object.name == world.topology.events_queue())
        .unwrap();
    assert_eq!(events.contents.unwrap().messages, 3);
    let json = serde_json::to_value(events).unwrap();
    assert_eq!(json["kind"], "queue");
    assert_eq!(json["arguments"]["x-queue-type"], "quorum");
    assert_eq!(json["contents"]["messages"], 3);
}

#[tokio::test]
async fn a_source_that_may_not_declare_names_the_missing_queue() {
    let world = World::declared().await;
    let connection = world.connection().await;
    let channel = connection.create_channel().await.unwrap();
    let queue = world.topology.deliveries_queue();
    channel
        .queue_delete(queue.into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    let started = consumer::start(ConsumerSettings {
        server: world.server.clone(),
        topology: Arc::clone(&world.topology),
        prefetch_events: 10,
        prefetch_deliveries: 10,
        declare: false,
        faults: Arc::default(),
    });
    let error = started.await.unwrap_err();
    assert!(
        matches!(&error, StartError::Topology(TopologyError::Missing { name, .. }) if name == queue),
        "{error:?}"
    );
    assert!(error.to_string().contains("topology apply"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_an_error_at_once_that_does_not_show_it() {
    let world = World::empty();
    let mut url = url::Url::parse(amqp_url()).unwrap();
    url.set_password(Some("not-the-password")).unwrap();
    let server = prism_webhooks::rabbitmq::connection::Server::new(url.as_str(), "test").unwrap();
    let started = consumer::start(ConsumerSettings {
        server,
        topology: Arc::clone(&world.topology),
        prefetch_events: 10,
        prefetch_deliveries: 10,
        declare: false,
        faults: Arc::default(),
    });
    let error = super::world::soon(started).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("refused to log in user \"guest\""),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("not-the-password"));
}
