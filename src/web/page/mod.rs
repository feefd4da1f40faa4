//! The Webhooks page: server-rendered, works without JavaScript for everything but live updates.
//!
//! | file | what it does |
//! |---|---|
//! | `session` | who may look, for which organization, and that a form is our own |
//! | `visitor` | whoever looks at a page |
//! | `posted` | what a form sends, read whole |
//! | `protection` | what browsers are told to allow |
//! | `layout`, `error` | the frame of every page; how errors look |
//! | `webhooks` | the list |
//! | `form` | the form of a webhook, and creating one |
//! | `webhook` | what every page about one webhook begins with |
//! | `overview`, `chart` | how it does, in pictures |
//! | `log`, `attempts`, `attempt` | the Delivery Log, live; one attempt as a row; one opened |
//! | `dead_letters`, `jobs` | what was given up; requeues and purges under way |
//! | `audit` | who changed what |
//! | `settings` | changing a webhook |
//! | `secret` | secrets: shown once, rotated, promoted, dropped |
//! | `verify` | what a receiver needs |
//! | `test` | a test event, and what came back |
//! | `assets` | style, script and icon, in the binary |

mod assets;
mod attempt;
mod attempts;
mod audit;
mod chart;
mod dead_letters;
mod error;
mod form;
mod jobs;
mod layout;
mod log;
mod moment;
mod order;
mod overview;
mod posted;
mod protection;
mod secret;
mod session;
mod settings;
mod test;
mod verify;
mod visitor;
mod webhook;
mod webhooks;

use axum::Router;
use axum::middleware;
use axum::response::Redirect;
use axum::routing::{get, post};

use crate::web::state::AppState;

/// The page's routes, behind its own doorkeeper.
pub(crate) fn router(app: &AppState) -> Router<AppState> {
    let guarded = Router::new()
        .route("/", get(async || Redirect::to("/webhooks")))
        .route("/webhooks", get(webhooks::list).post(form::create::create))
        .route("/webhooks/new", get(form::create::empty))
        .route("/webhooks/{id}", get(overview::show))
        .route("/webhooks/{id}/log", get(log::show))
        .route("/webhooks/{id}/stream", get(log::stream))
        .route("/webhooks/{id}/attempts/{entry}", get(attempt::show))
        .route("/webhooks/{id}/deliveries/{delivery}", get(attempt::last))
        .route(
            "/webhooks/{id}/deliveries/{delivery}/retry",
            post(attempt::retry),
        )
        .route("/webhooks/{id}/test", post(test::send))
        .route("/webhooks/{id}/dead-letters", get(dead_letters::of_webhook))
        .route(
            "/webhooks/{id}/settings",
            get(settings::show).post(settings::save),
        )
        .route("/webhooks/{id}/verify", get(verify::show))
        .route("/webhooks/{id}/enable", post(settings::enable))
        .route("/webhooks/{id}/disable", post(settings::disable))
        .route("/webhooks/{id}/rotate-secret", post(secret::rotate))
        .route("/webhooks/{id}/promote-secret", post(secret::promote))
        .route(
            "/webhooks/{id}/drop-staged-secret",
            post(secret::drop_staged),
        )
        .route(
            "/webhooks/{id}/delete",
            get(settings::confirm).post(settings::delete),
        )
        .route(
            "/dead-letters",
            get(dead_letters::all).post(dead_letters::act::act),
        )
        .route("/dead-letters/jobs/{id}", get(jobs::show))
        .route("/dead-letters/jobs/{id}/stop", post(jobs::stop))
        .route("/audit", get(audit::show))
        .route("/organization", post(session::choose_organization))
        .route("/sign-out", post(session::sign_out))
        .layer(middleware::from_fn(posted::read))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            session::authenticate,
        ));
    let open = Router::new()
        .route("/sign-in", get(session::form).post(session::sign_in))
        .layer(middleware::from_fn(posted::read))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            session::check_form,
        ));
    guarded
        .merge(open)
        .fallback(error::no_such_page)
        .layer(middleware::from_fn(error::restyle_errors))
        .layer(middleware::from_fn(protection::protect))
        .route("/assets/style.css", get(assets::style))
        .route("/assets/script.js", get(assets::script))
        .route(assets::ICON, get(assets::icon))
}
