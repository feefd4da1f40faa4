//! The frame of every page, and what pages have in common: times, tabs, what was just done.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::order;
use super::visitor::Visitor;
use axum::response::Html;

/// Where in the page a visitor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// Among the webhooks.
    Webhooks,
    /// Among the dead letters of all of them.
    DeadLetters,
    /// In the audit log.
    Audit,
}

/// The beginning of a `pre` or `textarea` with the text of others: browsers drop one line break
/// there, and it must not be one of theirs.
pub const DROPPED: &str = "\n";

/// A page for a visitor; none on the way in.
pub fn page(title: &str, visitor: Option<&Visitor>, content: &Markup) -> Html<String> {
    page_at(Area::Webhooks, title, visitor, content)
}

/// A page that is not among the webhooks.
pub fn page_at(
    area: Area,
    title: &str,
    visitor: Option<&Visitor>,
    content: &Markup,
) -> Html<String> {
    framed(area, title, visitor, None, content)
}

/// A page that a browser without scripts is to load again after so many seconds. Others look for
/// themselves what has changed, and leave their readers where they are.
pub fn passing_page(
    title: &str,
    visitor: &Visitor,
    again_after: Option<u32>,
    content: &Markup,
) -> Html<String> {
    framed(
        Area::DeadLetters,
        title,
        Some(visitor),
        again_after,
        content,
    )
}

fn framed(
    area: Area,
    title: &str,
    visitor: Option<&Visitor>,
    again_after: Option<u32>,
    content: &Markup,
) -> Html<String> {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(seconds) = again_after { noscript { meta http-equiv="refresh" content=(seconds); } }
                title { (title) " · Prism webhooks" }
                link rel="icon" href=(assets::ICON) type="image/svg+xml";
                link rel="stylesheet" href=(assets::STYLE);
                script src=(assets::SCRIPT) defer {}
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header.top { (top(area, visitor)) }
                main #content tabindex="-1" { (content) }
            }
        }
    };
    Html(order::kept(markup.into_string()))
}

fn top(area: Area, visitor: Option<&Visitor>) -> Markup {
    let links = [
        (Area::Webhooks, "/webhooks", "Webhooks"),
        (Area::DeadLetters, "/dead-letters", "Dead letters"),
        (Area::Audit, "/audit", "Audit log"),
    ];
    html! {
        span.brand { img src=(assets::ICON) alt="" width="22" height="22"; "Prism Gateway" }
        @if let Some(visitor) = visitor {
            nav aria-label="Gateway" {
                @for (own, href, name) in links {
                    a href=(href) aria-current=[(own == area).then_some("true")] { (name) }
                }
            }
            div.end {
                @if visitor.bound {
                    span.quiet { "Organization " strong { (visitor.organization) } }
                } @else {
                    form.inline method="post" action="/organization" {
                        label for="organization" { "Organization" }
                        input #organization type="text" name="organization" value=(visitor.organization)
                            size="12" autocomplete="off" spellcheck="false";
                        button.small { "Switch" }
                    }
                }
                @if visitor.session.is_some() {
                    form.inline method="post" action="/sign-out" { button.small { "Sign out" } }
                }
            }
        }
    }
}

/// A moment: in UTC, and by the script in the reader's zone.
pub fn time(at: Timestamp) -> Markup {
    let exact = format!("{at:.3}");
    let short = at.strftime("%Y-%m-%d %H:%M:%S UTC");
    html! { time datetime=(exact) title=(exact) { (short) } }
}

/// A duration as people read it.
pub fn millis(ms: f64) -> String {
    if ms < 10.0 {
        format!("{ms:.1} ms")
    } else if ms < 10_000.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.1} s", ms / 1e3)
    }
}

/// Says what was just done, by the word in the address that a form leads to.
pub fn flash(word: &str) -> Markup {
    let text = match word {
        "created" => "The webhook is registered. Send a test to see whether its endpoint answers.",
        "saved" => "Saved. Deliveries go by it within a second.",
        "enabled" => "Enabled. It gets deliveries again; what became dead letters can be requeued.",
        "disabled" => "Disabled. It gets no deliveries until it is enabled again.",
        "deleted" => "The webhook and its Delivery Log are gone.",
        "promoted" => {
            "Promoted. The new secret makes X-Prism-Signature within a second; the old one signs beside it until it ends."
        }
        "dropped" => "Dropped. What was staged signs no more; the current secret goes on.",
        "retried" => "The delivery starts again from attempt 1. Its result appears in the log.",
        "stopping" => "The job stops. What it has done stays done.",
        _ => return html! {},
    };
    html! { p.card.notice.good role="status" { (text) } }
}
