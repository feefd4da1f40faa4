//! Private servers: they keep their data through stops and kills, and leave
//! nothing behind.

use super::SOON;
use crate::support::deadline::eventually;
use crate::support::private::{PrivateRabbit, PrivateRedis};
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use redis::{AsyncCommands, RedisResult};
use std::fs;
use url::Url;

const QUEUE: &str = "kept";

#[tokio::test]
async fn a_private_rabbitmq_keeps_its_data_through_stops_and_kills() {
    // Two at once: each with a name, ports and an epmd of its own.
    let (mut rabbit, other) = tokio::join!(PrivateRabbit::start(), PrivateRabbit::start());
    assert_ne!(rabbit.url(), other.url());
    publish(rabbit.url()).await;

    rabbit.stop_app().await;
    connect(rabbit.url()).await.expect_err("stopped");
    connect(other.url()).await.expect("the other goes on");
    rabbit.start_app().await;
    assert_eq!(waiting(rabbit.url()).await, 1);

    let processes = processes_of(rabbit.url());
    assert!(
        processes.len() >= 2,
        "the node and its script: {processes:?}"
    );
    rabbit.kill9();
    let gone = async || processes_of(rabbit.url()).is_empty().then_some(());
    eventually(SOON, "killed processes are gone", gone).await;
    connect(rabbit.url()).await.expect_err("killed");
    rabbit.start_again().await;
    assert_eq!(waiting(rabbit.url()).await, 1);
    let queues = rabbit.rabbitmqctl(&["list_queues", "name", "type"]).await;
    assert_eq!(queues, "kept\tquorum\n");
    rabbit.restart().await;
    assert_eq!(waiting(rabbit.url()).await, 1);

    let urls = [rabbit.url().to_owned(), other.url().to_owned()];
    drop((rabbit, other));
    for url in urls {
        assert_eq!(processes_of(&url), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_private_redis_keeps_what_it_acknowledged_through_stops_and_kills() {
    let mut redis = PrivateRedis::start().await;
    let url = redis.url().to_owned();
    set(&url, "one").await.expect("stored");
    redis.shutdown().await;
    set(&url, "two").await.expect_err("shut down");
    redis.start_again().await;
    assert_eq!(get(&url, "one").await.expect("kept"), Some(1));
    set(&url, "two").await.expect("stored");
    redis.kill9();
    set(&url, "three").await.expect_err("killed");
    redis.start_again().await;
    assert_eq!(get(&url, "two").await.expect("kept"), Some(1));
    assert_eq!(get(&url, "three").await.expect("readable"), None);
    drop(redis);
    assert_eq!(processes_of(&url), Vec::<String>::new());
}

/// Command lines of the living processes that name the port of `url`.
fn processes_of(url: &str) -> Vec<String> {
    let port = Url::parse(url)
        .expect("a URL")
        .port()
        .expect("a port")
        .to_string();
    let processes = fs::read_dir("/proc").expect("the processes").flatten();
    processes
        .filter(|process| process.file_name().to_string_lossy().parse::<u32>().is_ok())
        .filter_map(|process| {
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            let command = fs::read(process.path().join("cmdline")).ok()?;
            let both = String::from_utf8_lossy(&environment) + String::from_utf8_lossy(&command);
            both.contains(&port)
                .then(|| String::from_utf8_lossy(&command).into_owned())
        })
        .collect()
}

async fn connect(url: &str) -> lapin::Result<Connection> {
    Connection::connect(url, ConnectionProperties::default()).await
}

/// One durable message in a quorum queue.
async fn publish(url: &str) {
    let connection = connect(url).await.expect("connected");
    let channel = connection.create_channel().await.expect("a channel");
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    confirms.await.expect("confirms");
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("quorum".into()),
    );
    let options = QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    channel
        .queue_declare(QUEUE.into(), options, arguments)
        .await
        .expect("declared");
    let properties = BasicProperties::default().with_delivery_mode(2);
    let published = channel
        .basic_publish(
            "".into(),
            QUEUE.into(),
            BasicPublishOptions::default(),
            b"x",
            properties,
        )
        .await
        .expect("published");
    assert!(published.await.expect("confirmed").is_ack());
}

/// How many messages wait; one is fetched and given back to prove it.
async fn waiting(url: &str) -> u32 {
    let connection = connect(url).await.expect("connected");
    let channel = connection.create_channel().await.expect("a channel");
    // A quorum queue elects its leader anew after a start.
    let message = eventually(SOON, "the kept message", async || {
        let got = channel.basic_get(QUEUE.into(), BasicGetOptions::default());
        got.await.ok().flatten()
    })
    .await;
    message.message_count + 1
}

async fn set(url: &str, key: &str) -> RedisResult<()> {
    let client = redis::Client::open(url)?;
    client
        .get_multiplexed_async_connection()
        .await?
        .set(key, 1)
        .await
}

async fn get(url: &str, key: &str) -> RedisResult<Option<u32>> {
    let client = redis::Client::open(url)?;
    client
        .get_multiplexed_async_connection()
        .await?
        .get(key)
        .await
}
