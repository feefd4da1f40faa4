//! The port: its connections, what their clients may take of it, and how bodies come.
//!
//! | file | what it does |
//! |---|---|
//! | [`listener`] | where the port may be, and serving until told to stop |
//! | `connections` | who has a place, and who makes room when there are too many |
//! | `limits` | what a client may take: places, and time |
//! | `transport` | how long a client may take to send and to take bytes |
//! | `timed_body` | a body as it comes, within its time |
//! | [`whole_body`] | a body read whole, up to a limit |
//! | [`drain_body`] | reads what a handler left of a body |

mod connections;
pub(super) mod drain_body;
mod limits;
pub mod listener;
mod timed_body;
mod transport;
pub(super) mod whole_body;

pub use limits::PortLimits;
