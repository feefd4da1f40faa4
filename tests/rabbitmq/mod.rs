//! The RabbitMQ adapter against a real broker.

// Clippy allows it in test functions alone, and not in what they share.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod consuming;
mod dead_letters;
mod one_place;
mod publishing;
mod topology;
pub mod world;
