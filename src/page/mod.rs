//! The Webhooks page: server-rendered, works without JavaScript for everything but live updates.
//!
//! | file | what it does |
//! |---|---|
//! | `session` | who may look, for which organization, and that a form is our own |
//! | `layout` | the frame of every page, and how errors look |
//! | `webhooks` | the list |
//! | `form` | creating a webhook |
//! | `log` | the Delivery Log, live, and retrying by hand |
//! | `attempts` | one attempt as a row |
//! | `assets` | style and script, in the binary |

mod assets;
mod attempts;
mod form;
mod layout;
mod log;
mod session;
mod webhooks;

use axum::Router;
use axum::middleware;
use axum::response::Redirect;
use axum::routing::{get, post};

use crate::api::Api;

/// The page's routes, behind its own doorkeeper.
pub(crate) fn router(api: &Api) -> Router<Api> {
    let guarded = Router::new()
        .route("/", get(async || Redirect::to("/webhooks")))
        .route("/webhooks", get(webhooks::list).post(form::create))
        .route("/webhooks/new", get(form::empty))
        .route("/webhooks/{id}", get(log::show))
        .route("/webhooks/{id}/stream", get(log::stream))
        .route(
            "/webhooks/{id}/deliveries/{delivery}/retry",
            post(log::retry),
        )
        .route("/organization", post(session::choose_organization))
        .route("/sign-out", post(session::sign_out))
        .layer(middleware::from_fn_with_state(api.clone(), session::admit));
    let open = Router::new()
        .route("/sign-in", get(session::form).post(session::sign_in))
        .layer(middleware::from_fn_with_state(
            api.clone(),
            session::check_form,
        ));
    guarded
        .merge(open)
        .layer(middleware::from_fn(layout::protect))
        .route(assets::STYLE, get(assets::style))
        .route(assets::SCRIPT, get(assets::script))
}
