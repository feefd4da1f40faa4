//! Servers, receivers and unique names for the tests.
//!
//! What a test needs from outside, each in a room of its own. Nothing here
//! sleeps blindly: waiting is for a signal, or polls up to a deadline, and what
//! was started or declared goes when its value is dropped, panic or not.

mod background;
pub mod deadline;
pub mod namespace;
pub mod private;
pub mod process;
pub mod proxy;
pub mod receiver;
pub mod servers;

mod selftest;
