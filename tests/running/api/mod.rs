//! The API over real HTTP, each behaviour in either mode.

mod attempts;
mod audit;
pub mod client;
mod dead_letters;
mod deliveries;
mod document;
mod tenants;
mod webhooks;
