//! Looking through the dead letters and moving them.

mod looking;
mod moving;
mod poison;

use std::sync::Arc;

use prism_webhooks::domain::dead_letter::{Content, DeadLetter, Reason};
use prism_webhooks::domain::delivery::LastAttempt;
use prism_webhooks::engine::ports::FollowUp;
use prism_webhooks::rabbitmq::dead_letters::{DeadLetters, Filter, Found};
use prism_webhooks::rabbitmq::publisher::Publisher;

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

async fn open(world: &World) -> DeadLetters {
    DeadLetters::connect(&world.server, Arc::clone(&world.topology))
        .await
        .unwrap()
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
