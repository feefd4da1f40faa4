//! The one integration test binary.
//!
//! Tests that kill or stop servers of their own have `crash` in their path:
//! `tests/run fast` leaves them out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on stops where it is and says why"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "real servers and receivers take real time"
)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the harness keeps it, and shows it of a test that fails"
)]

mod browser;
mod conformance;
mod crash;
mod embedded;
mod end_to_end;
mod engine;
mod http;
mod rabbitmq;
mod redis;
mod running;
mod simulation;
mod support;
mod tls;
