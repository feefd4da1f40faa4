//! Unique names, and their removal.

use super::SOON;
use crate::support::deadline::eventually_ok;
use crate::support::namespace::Namespace;
use crate::support::servers::{amqp_url, redis_url};
use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

#[test]
fn two_namespaces_of_one_hint_differ() {
    let (one, other) = (Namespace::unique("twin"), Namespace::unique("twin"));
    assert_ne!(one.as_str(), other.as_str());
    assert!(one.to_string().starts_with("test-twin-"));
}

#[tokio::test]
async fn removes_what_was_made_even_when_the_test_panics() {
    let namespace = Namespace::unique("removal");
    let name = namespace.to_string();
    let exchange = format!("{name}.events");
    let queues = [
        namespace.queue("probe"),
        format!("{name}.webhooks.events"),
        format!("{name}.webhooks.parts"),
        format!("{name}.webhooks.dead-letters"),
        format!("{name}.webhooks.delay.1s"),
        format!("{name}.webhooks.delay.196608s"),
    ];
    let connection = connect().await;
    let channel = connection.create_channel().await.expect("a channel");
    declare_exchange(&channel, &exchange, false)
        .await
        .expect("declared");
    for queue in &queues {
        declare_queue(&channel, queue, false)
            .await
            .expect("declared");
    }
    let mut redis = redis_connection().await;
    let other_key = format!("{name}x:kept");
    let _: () = redis
        .set(format!("{name}:webhooks:attempts"), 1)
        .await
        .expect("set");
    let _: () = redis.set_ex(&other_key, 1, 60).await.expect("set");

    let ended = tokio::task::spawn_blocking(move || {
        let _namespace = namespace;
        panic!("as a failing test does");
    })
    .await;
    assert!(ended.is_err_and(|error| error.is_panic()));

    for queue in &queues {
        // Asking for what is gone closes the channel: a new one each time.
        let channel = connection.create_channel().await.expect("a channel");
        assert!(
            declare_queue(&channel, queue, true).await.is_err(),
            "{queue} is left"
        );
    }
    let channel = connection.create_channel().await.expect("a channel");
    assert!(
        declare_exchange(&channel, &exchange, true).await.is_err(),
        "{exchange} is left"
    );
    // UNLINK acts at once; the key of another namespace stays.
    let left: Vec<String> = redis.keys(format!("{name}*")).await.expect("keys");
    assert_eq!(left, [other_key.as_str()]);
    let _: () = redis.del(other_key).await.expect("deleted");
}

async fn connect() -> Connection {
    eventually_ok(SOON, "the shared RabbitMQ lets us in", async || {
        Connection::connect(amqp_url(), ConnectionProperties::default()).await
    })
    .await
}

async fn redis_connection() -> MultiplexedConnection {
    let client = redis::Client::open(redis_url()).expect("a Redis URL");
    eventually_ok(SOON, "the shared Redis lets us in", async || {
        client.get_multiplexed_async_connection().await
    })
    .await
}

async fn declare_queue(channel: &Channel, queue: &str, passive: bool) -> lapin::Result<()> {
    let options = QueueDeclareOptions {
        passive,
        durable: true,
        ..Default::default()
    };
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    channel
        .queue_declare(queue.into(), options, arguments)
        .await
        .map(|_| ())
}

async fn declare_exchange(channel: &Channel, exchange: &str, passive: bool) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions {
        passive,
        durable: true,
        ..Default::default()
    };
    channel
        .exchange_declare(
            exchange.into(),
            ExchangeKind::Topic,
            options,
            FieldTable::default(),
        )
        .await
}
