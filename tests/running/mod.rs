//! `run` and `demo`: everything in one process, as real processes, in either mode.

mod api;
mod by_hand;
mod demo;
mod embedded;
mod events;
mod handles;
mod long_log;
mod page;
mod servers;
pub mod site;
