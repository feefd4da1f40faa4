//! `run` and `demo`: everything in one process, as real processes, in either mode.

mod demo;
mod embedded;
mod events;
mod page;
mod servers;
pub mod site;
