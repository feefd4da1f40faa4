//! The engine's ports on RabbitMQ.
//!
//! | file | what it does |
//! |---|---|
//! | [`topology`] | what is declared: every name, argument and binding |
//! | [`declare`] | carries that to a broker, compares, describes |
//! | [`connection`] | how a connection is made, and told dead |
//! | [`message`] | what stands in which property and header |
//! | [`consumer`] | the source: supervises a connection, starts, stops, closes |
//! | `queue_consumer` | one queue on one channel: reading |
//! | `acker` | and acknowledging |
//! | `life` | what lives and dies with a connection |
//! | [`ack_tracker`] | which acknowledgements to send |
//! | [`confirm`] | publishing one message, confirmed |
//! | `readiness` | whether messages can be published now |
//! | [`publisher`] | the hand-over, which does not give up |
//! | `waits` | which delay queue keeps what is put off |
//! | `intake` | taking events in, for whoever asks from outside |
//! | [`dead_letter_queue`] | the dead letters, for whoever asks from outside: lists by their index |
//! | [`dead_letters`] | going once through their queue: requeue, purge, pass |
//! | `dead_letter_message` | what a dead letter says and becomes |

pub mod ack_tracker;
mod acker;
pub mod confirm;
pub mod connection;
pub mod consumer;
mod dead_letter_message;
pub mod dead_letter_queue;
pub mod dead_letters;
pub mod declare;
mod intake;
mod life;
pub mod message;
pub mod publisher;
mod queue_consumer;
mod readiness;
pub mod topology;
mod waits;
