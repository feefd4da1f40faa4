//! The RabbitMQ adapter against a real broker.

mod consuming;
mod dead_letters;
mod one_place;
mod publishing;
mod topology;
pub mod world;
