//! The sender: one HTTP request to one endpoint, within its limits, and what came of it.
//!
//! | file | does |
//! |---|---|
//! | [`sender`] | makes the request, keeps the time |
//! | [`resolver`] | resolves names, to addresses that may be posted to only |
//! | `lookups` | looks a name up once for all who want it at the time |
//! | `evidence` | whether the resolver is away, or only the servers of one name |
//! | `excerpt` | reads of the answer's body as much as is allowed, keeps as much as is recorded |
//! | `failure` | says what kind of failure an error was |
//! | `own` | tells faults of our own from the endpoint's |
//! | `places` | bounds the connections that are kept, over all endpoints |
//! | `reuse` | knows which connections have served before |
//! | [`tls`] | chooses the cryptography |
//!
//! What an endpoint can do to us is bounded: the time of the whole attempt, the bytes read of a
//! body (`read_limit`), and the answer's head (128 headers, and by hyper 408 KiB).

mod evidence;
mod excerpt;
mod failure;
mod lookups;
mod own;
mod places;
pub mod resolver;
mod reuse;
pub mod sender;
pub mod tls;
mod tls_failure;

pub use sender::{BuildError, HttpSender, SenderSettings};
pub use tls::install_crypto;
