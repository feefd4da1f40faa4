//! The Redis adapter against a real Redis.

mod attempts;
mod board;
mod bodies;
pub mod kit;
mod log;
mod outage;
mod pauses;
mod rates;
mod subscriptions;
mod webhooks;
