//! The support does what it says: a receiver that does not hang, or a proxy
//! that does not cut, would let every test that leans on it pass.

mod crash_servers;
mod deadline;
mod namespace;
mod process;
mod proxy;
mod receiver;
mod receiver_misbehaves;

use std::time::Duration;

/// For what happens within milliseconds on an idle machine.
const SOON: Duration = Duration::from_secs(20);
/// How long nothing must have happened for us to believe that nothing will.
const QUIET: Duration = Duration::from_millis(150);
