//! The Redis adapter against a real Redis.

mod attempts;
pub mod kit;
mod log;
mod outage;
mod subscriptions;
mod webhooks;
