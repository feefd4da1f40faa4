//! What answers on the port: the API, and the page beside it.

mod connections;
mod listener;
mod rest;

use axum::{Router, middleware};

use crate::api::{self, Api, problem};
use crate::page;

pub use listener::{Listener, ServeError};

/// Everything that is answered.
fn router(api: Api) -> Router {
    api::router(&api)
        .merge(page::router(&api))
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(middleware::from_fn(rest::read))
        .with_state(api)
}
