//! The Redis adapter against a real Redis.

mod attempts;
mod board;
mod bodies;
mod calendars;
mod following;
pub mod kit;
mod log;
mod outage;
mod pauses;
mod sessions;
mod subscriptions;
mod tenants;
mod webhooks;
