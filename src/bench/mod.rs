//! What `bench` measures: the program at work as its users have it, beside a loop that does nothing
//! but carry.
//!
//! | file | does |
//! |---|---|
//! | [`plan`] | says which scenarios there are and how large each is |
//! | [`scenarios`] | carry them out, one file each, and say what came of them |
//! | [`figures`] | medians, spreads, percentiles, and their form as JSON |
//! | [`servers`] | the RabbitMQ and Redis measured on, and every namespace made there |
//! | [`site`] | one namespace: its queues, its webhooks, its removal |
//! | [`load`] | the events, all at once or at a rate |
//! | [`child`] | a process that is started, listened to, and never left behind |
//! | [`workers`] | the workers that are measured |
//! | [`receivers`] | the process that receives, seen from here |
//! | [`receiving`] | the process that receives, from within |
//! | [`bare`] | the bare loop, a process of its own as well |
//! | [`usage`] | CPU and memory of processes, from the kernel's accounting |
//! | [`clock`] | the clock that all these processes share |

pub mod bare;
pub mod child;
pub mod clock;
pub mod error;
pub mod figures;
pub mod load;
pub mod plan;
pub mod receivers;
pub mod receiving;
pub mod scenarios;
pub mod servers;
pub mod site;
pub mod usage;
pub mod workers;
