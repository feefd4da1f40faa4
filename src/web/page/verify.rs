//! What a webhook's receiver needs: code that verifies, ready to copy. It is that of
//! `docs/receivers/`, which the tests deliver to.

use axum::extract::{Path, State};
use axum::response::Html;
use jiff::Timestamp;
use maud::{Markup, html};

use super::error::PageError;
use super::visitor::Visitor;
use super::webhook::{Tab, about, find};
use crate::web::state::AppState;

/// A receiver: its anchor, what it is written with, how it is started, its text.
struct SampleReceiver {
    id: &'static str,
    name: &'static str,
    start: &'static str,
    code: &'static str,
}

const RECEIVERS: [SampleReceiver; 4] = [
    SampleReceiver {
        id: "fastapi",
        name: "Python, FastAPI",
        start: "pip install fastapi uvicorn && PRISM_WEBHOOK_SECRET=… python fastapi_receiver.py",
        code: include_str!("../../../docs/receivers/fastapi_receiver.py"),
    },
    SampleReceiver {
        id: "flask",
        name: "Python, Flask",
        start: "pip install flask && PRISM_WEBHOOK_SECRET=… python flask_receiver.py",
        code: include_str!("../../../docs/receivers/flask_receiver.py"),
    },
    SampleReceiver {
        id: "node",
        name: "Node",
        start: "PRISM_WEBHOOK_SECRET=… node node_receiver.js",
        code: include_str!("../../../docs/receivers/node_receiver.js"),
    },
    SampleReceiver {
        id: "go",
        name: "Go",
        start: "PRISM_WEBHOOK_SECRET=… go run go_receiver.go",
        code: include_str!("../../../docs/receivers/go_receiver.go"),
    },
];

/// The headers that a receiver can rely on, and what they are for.
const HEADERS: [(&str, &str); 7] = [
    (
        "X-Prism-Signature",
        "sha256= and the hex HMAC-SHA256 of the raw body, keyed with the current secret",
    ),
    ("X-Prism-Event", "the event type"),
    (
        "X-Prism-Delivery",
        "the same at every attempt: the key of what was done already",
    ),
    ("X-Prism-Attempt", "the number of the attempt, from 1"),
    ("Webhook-Id", "the event's id (Standard Webhooks)"),
    (
        "Webhook-Timestamp",
        "Unix seconds of the attempt (Standard Webhooks)",
    ),
    (
        "Webhook-Signature",
        "v1, and Base64, for each active secret (Standard Webhooks)",
    ),
];

/// How the receiver verifies.
pub async fn show(
    State(app): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Html<String>, PageError> {
    let webhook = find(&app, &visitor, &id).await?;
    let document = &webhook.document;
    let own: Vec<&str> = document.headers.keys().map(String::as_str).collect();
    let content = html! {
        @if !webhook.webhook.is_signed(Timestamp::now()) {
            p.card.notice.bad {
                "Requests to this webhook are not signed: it has no secret. "
                a href={ "/webhooks/" (document.id) "/settings" } { "Set one" }
                ", or its receiver cannot tell whose requests it gets."
            }
        }
        p { "A receiver computes the signature of the body as it came and compares. The secret is what was shown or typed when it was set; it is not shown again." }
        p {
            "While it changes from one secret to another it knows both, the other one as "
            code { "PRISM_WEBHOOK_OTHER_SECRET" } ", and takes what either signed. "
            a href={ "/webhooks/" (document.id) "/settings#secrets" } { "How to change the secret" } "."
        }
        p.chips { @for one in &RECEIVERS { a href={ "#" (one.id) } { (one.name) } } }
        @for one in &RECEIVERS { (receiver(one)) }
        h2 { "What a request carries" }
        (headers(&own))
    };
    Ok(about(&visitor, &webhook, Tab::Verify, &content))
}

fn receiver(receiver: &SampleReceiver) -> Markup {
    let code = format!("{}-code", receiver.id);
    html! {
        section.card aria-labelledby=(receiver.id) {
            div.head {
                h2 id=(receiver.id) { (receiver.name) }
                button.small type="button" data-copy=(code) hidden aria-label={ "Copy the code for " (receiver.name) } { "Copy" }
            }
            pre.code id=(code) tabindex="0" aria-label={ "Code for " (receiver.name) } { (receiver.code) }
            p.small.quiet { code { (receiver.start) } }
        }
    }
}

fn headers(own: &[&str]) -> Markup {
    html! {
        div.card.scroll {
            table role="table" {
                thead role="rowgroup" { tr role="row" { @for column in ["Header", "Value"] { th role="columnheader" scope="col" { (column) } } } }
                tbody role="rowgroup" {
                    @for (name, value) in HEADERS {
                        tr role="row" { td role="cell" data-label="Header" { code { (name) } } td role="cell" data-label="Value" { (value) } }
                    }
                    @for name in own {
                        tr role="row" { td role="cell" data-label="Header" { code { (name) } } td role="cell" data-label="Value" { "this webhook's own" } }
                    }
                }
            }
        }
    }
}
