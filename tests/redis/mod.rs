//! The Redis adapter against a real Redis.

mod attempts;
mod bodies;
pub mod kit;
mod log;
mod outage;
mod subscriptions;
mod webhooks;
