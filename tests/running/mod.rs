//! `run`, `demo` and `bench`: everything in one process, as real processes, in either mode.

mod api;
mod bench;
mod by_hand;
mod demo;
mod embedded;
mod events;
mod full_store;
mod handles;
mod held_back;
mod isolation;
mod long_log;
mod page;
mod rates;
mod servers;
pub mod site;
mod waiting;
