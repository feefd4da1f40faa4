//! A receiver of webhooks for a developer's machine: verifies what comes, reports it, and behaves
//! well or badly as told. Behind the `listen` command.
//!
//! | file | does |
//! |---|---|
//! | [`verification`] | says whether a request is signed as it should be |
//! | [`behaviour`] | says how a request is answered |
//! | [`server`] | accepts connections, reads requests, reports and answers them |

pub mod behaviour;
pub mod server;
pub mod verification;

pub use behaviour::{Answer, Behaviour, Manner};
pub use server::{BindError, Received, Receiver};
pub use verification::Verification;
