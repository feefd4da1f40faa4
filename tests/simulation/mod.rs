//! The proof that no one's trouble is anyone else's: the real engine on a paused clock, with
//! receivers, organizations, traffic and workers' ends in every mixture. What is promised is
//! checked with each thing that happens, in virtual time, and in the end.
//!
//! Handling a message takes no time, unless the scenario says so: only the receivers' time and the
//! worker's own limits count.
//!
//! `PRISM_SIMULATION_SEED=n` runs one seed of the sweep alone, `PRISM_SIMULATION_SEEDS=n` so many.

mod account;
mod broker;
mod checks;
mod ending;
mod generate;
mod ports;
mod promises;
mod receivers;
mod record;
mod run;
mod scenario;
mod selftest;
mod settings;
mod story;
mod sweep;
mod world;
