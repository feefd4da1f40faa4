//! Looking through the dead letters and moving them.

mod index;
mod looking;
mod moving;
mod passes;
mod poison;

use lapin::options::{BasicConsumeOptions, BasicPublishOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Consumer};
use prism_webhooks::domain::dead_letter::{Content, DeadLetter, Reason};
use prism_webhooks::domain::delivery::LastAttempt;
use prism_webhooks::engine::ports::FollowUp;
use prism_webhooks::rabbitmq::dead_letter_queue::DeadLetterQueue;
use prism_webhooks::rabbitmq::publisher::Publisher;
use prism_webhooks::store::dead_letters::{
    Action, DeadLetters as _, Filter, Found, Options, Progress,
};

use crate::redis::kit::Space;

use super::world::{World, delivery, hand_over};

async fn give_up(publisher: &Publisher, id: &str, webhook: &str, reason: Reason) {
    let mut delivery = delivery(id, webhook);
    delivery.attempt = 10;
    delivery.sequence = 12;
    delivery.last = Some(LastAttempt {
        outcome: "http-error".to_owned(),
        status: Some(500),
    });
    let letter = DeadLetter {
        reason,
        detail: format!("{id} was given up"),
        content: Content::Delivery(delivery),
    };
    hand_over(publisher, FollowUp::DeadLetter(letter)).await;
}

/// The dead letters of a world, which nobody has entered in the index yet.
struct Letters {
    queue: DeadLetterQueue,
    space: Space,
}

fn open(world: &World) -> Letters {
    let space = Space::new();
    let queue = world.dead_letters(&space);
    Letters { queue, space }
}

impl Letters {
    /// The same for another process.
    fn of_others(&self, world: &World) -> DeadLetterQueue {
        world.dead_letters(&self.space)
    }

    async fn list(&self, filter: &Filter, limit: usize) -> Found {
        self.queue.list(filter, None, limit).await.unwrap()
    }

    async fn process(
        &self,
        action: Action,
        filter: &Filter,
        options: &Options,
        mut report: impl FnMut(&Progress) + Send,
    ) -> Progress {
        let processing = self.queue.process(action, filter, options, &mut report);
        processing.await.unwrap()
    }
}

fn of(webhook: &str) -> Filter {
    Filter {
        webhook: Some(webhook.to_owned()),
        ..Filter::default()
    }
}

fn ids(found: &Found) -> Vec<&str> {
    found
        .letters
        .iter()
        .map(|letter| letter.event.as_deref().unwrap())
        .collect()
}

/// Gives up so many deliveries of one webhook.
async fn give_up_many(publisher: &Publisher, many: usize) {
    for id in 0..many {
        let id = format!("e{id}");
        give_up(publisher, &id, "w", Reason::AttemptsExhausted).await;
    }
}

/// A publisher that enters dead letters in the index, and so many letters.
async fn with_letters(world: &World, letters: &Letters, many: usize) -> Publisher {
    let publisher = world.publisher().with_index(letters.space.letters());
    give_up_many(&publisher, many).await;
    publisher
}

/// Publishes what no worker wrote straight to the dead-letter queue.
async fn put_in(world: &World, id: &str) {
    put_in_with(world, id, FieldTable::default()).await;
}

async fn put_in_with(world: &World, id: &str, headers: FieldTable) {
    let connection = world.connection().await;
    let channel = connection.create_channel().await.unwrap();
    let queue = world.topology.dead_letters_queue();
    let properties = BasicProperties::default()
        .with_message_id(id.into())
        .with_headers(headers);
    let options = BasicPublishOptions::default();
    channel
        .basic_publish("".into(), queue.into(), options, b"{}", properties)
        .await
        .unwrap();
    channel.close(200, "OK".into()).await.unwrap();
}

/// Takes everything out of the dead-letter queue and keeps it in hand.
async fn take_all(world: &World) -> (lapin::Connection, Consumer) {
    let connection = world.connection().await;
    let channel = connection.create_channel().await.unwrap();
    let queue = world.topology.dead_letters_queue();
    let consumer = channel
        .basic_consume(
            queue.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    world.queue_has(queue, 0).await;
    (connection, consumer)
}
