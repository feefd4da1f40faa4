//! What answers on the port: the API, and the page beside it.
//!
//! | file | what it does |
//! |---|---|
//! | [`api`] | the JSON API, one file a resource |
//! | `page` | the Webhooks page, one file a page |
//! | [`state`] | what the handlers of both work with |
//! | `access` | tokens, and what is for this machine alone |
//! | [`sessions`] | who is signed in to the page |
//! | [`wrong_tokens`] | makes guessing slow, and tells of it |
//! | [`proxies`] | what proxies say of a client |
//! | `headers` | what a request says of itself |
//! | `cursor` | where the next part of a list begins |
//! | `streams` | how many live streams whoever asks may have open |
//! | `live` | new attempts as they are made |
//! | [`problem`] | every error, as problem details (RFC 9457), and the field that it is about |
//! | `error_status` | which HTTP status each error is answered with |
//! | `port` | the port, its connections and their limits, and how bodies come |

mod access;
pub mod api;
mod cursor;
mod error_status;
mod headers;
mod live;
mod page;
mod port;
pub mod problem;
pub mod proxies;
pub mod sessions;
pub mod state;
pub mod streams;
pub mod wrong_tokens;

use axum::{Router, middleware};

pub use port::PortLimits;
use port::drain_body;
pub use port::listener::{Listener, ServeError};
use state::AppState;

/// Everything that is answered.
fn router(state: AppState) -> Router {
    api::router(&state)
        .merge(page::router(&state))
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(middleware::from_fn(drain_body::read))
        .with_state(state)
}
