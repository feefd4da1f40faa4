//! A message that crashes workers over and over ends as evidence.

use super::account::Promise;
use super::plan::{self, GOOD};
use super::site::{LIMIT, Site};
use super::turn;
use crate::support::private::{PrivateRabbit, PrivateRedis};
use crate::support::process;
use lapin::options::{BasicGetOptions, BasicNackOptions};
use lapin::{Connection, ConnectionProperties};

/// What the contract allows: worker after worker may be restarted with a message in its hands.
const DELIVERY_LIMIT: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_handed_out_too_often_is_a_dead_letter_that_can_be_requeued() {
    let _turn = turn().await;
    let (rabbit, redis) = tokio::join!(PrivateRabbit::start(), PrivateRedis::start());
    let receiver = plan::receiver();
    let site = Site::open("poison", rabbit.url(), redis.url(), receiver, &[GOOD]);
    let published = site.publish(0..1).await;

    // To the broker a worker that dies is one that gives its messages back.
    let given_back = give_back_until_gone(rabbit.url(), "poison.webhooks.events").await;
    assert_eq!(given_back, DELIVERY_LIMIT + 1);
    site.wait_for_waiting(&["dead-letters"], 1).await;
    let letters = process::json(&site.run(&["dead-letters", "list", "--json"]));
    assert_eq!(letters[0]["reason"], "poison", "{letters}");
    assert_eq!(letters[0]["event_type"], "request.completed", "{letters}");
    let requeued = site.run(&["dead-letters", "requeue", "--all", "--json"]);
    assert_eq!(process::json(&requeued)["done"], 1);

    let worker = site.worker().await;
    site.receiver.wait_for(1, LIMIT).await;
    let promise = Promise::repeats(0);
    site.close("poison", &published, vec![worker], promise)
        .await;
}

/// Takes the one message of a queue and returns it, until the queue has it no more; how often.
async fn give_back_until_gone(url: &str, queue: &str) -> usize {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .expect("connected");
    let channel = connection.create_channel().await.expect("a channel");
    let mut count = 0;
    loop {
        let got = channel.basic_get(queue.into(), BasicGetOptions::default());
        let Some(message) = got.await.expect("an answer") else {
            return count;
        };
        let requeue = BasicNackOptions {
            requeue: true,
            ..Default::default()
        };
        message.nack(requeue).await.expect("given back");
        count += 1;
    }
}
