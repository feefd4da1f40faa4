//! What every page about one webhook begins with: its head and the tabs.

use axum::response::Html;
use maud::{Markup, html};

use super::error::PageError;
use super::layout::{page, time};
use super::visitor::Visitor;
use crate::domain::attempt::Attempt;
use crate::domain::endpoint::shown;
use crate::domain::held_back::{HeldBack, Phase};
use crate::domain::ids::WebhookId;
use crate::registry::webhooks::StoredWebhook;
use crate::store::Unavailable;
use crate::store::delivery_log::AttemptFilter;
use crate::web::state::AppState;

/// The pages about one webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// How it does.
    Overview,
    /// Its attempts.
    Log,
    /// The webhook's dead letters.
    DeadLetters,
    /// Changing it.
    Settings,
    /// Code for the webhook's receiver.
    Verify,
}

impl Tab {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Overview, "", "Overview"),
        (Self::Log, "/log", "Delivery Log"),
        (Self::DeadLetters, "/dead-letters", "Dead letters"),
        (Self::Settings, "/settings", "Settings"),
        (Self::Verify, "/verify", "Verify"),
    ];
}

/// The webhook that a page is about.
pub async fn find(app: &AppState, visitor: &Visitor, id: &str) -> Result<StoredWebhook, PageError> {
    let webhooks = &app.deployment.webhooks;
    Ok(webhooks.get(&visitor.organization, id).await?)
}

/// The newest attempt that is on record of a webhook.
pub async fn last_attempt(
    app: &AppState,
    visitor: &Visitor,
    webhook: &WebhookId,
) -> Result<Option<Attempt>, Unavailable> {
    let filter = AttemptFilter {
        organization: Some(visitor.organization.clone()),
        webhook: Some(webhook.clone()),
        ..AttemptFilter::default()
    };
    let log = &app.deployment.delivery_log;
    let newest = log.attempts(&filter, 1, None).await?;
    Ok(newest.attempts.into_iter().next().map(|one| one.attempt))
}

/// A page about a webhook.
pub fn about(
    visitor: &Visitor,
    webhook: &StoredWebhook,
    tab: Tab,
    content: &Markup,
) -> Html<String> {
    let document = &webhook.document;
    let whole = html! {
        p.crumbs { a href="/webhooks" { "Webhooks" } span aria-hidden="true" { " / " } (document.name) }
        div.head {
            div {
                h1 { (document.name) " " (state(document.enabled)) }
                p.quiet { code { (shown(&document.url)) } }
            }
            form.inline method="post" action={ "/webhooks/" (document.id) "/test" } {
                button { "Send test" }
            }
        }
        @if let Some(description) = &document.description { p { (description) } }
        @if !document.enabled {
            p.card.notice.bad {
                strong { "Disabled" }
                @if let Some(reason) = &document.disabled_reason { ": " (reason) }
                ". It gets no deliveries. " a href={ "/webhooks/" (document.id) "/settings#state" } { "Enable it" }
            }
        }
        nav.tabs aria-label="Webhook" {
            @for (own, path, name) in Tab::ALL {
                a href={ "/webhooks/" (document.id) (path) } aria-current=[(own == tab).then_some("page")] { (name) }
            }
        }
        (content)
    };
    let name = Tab::ALL.iter().find(|(own, ..)| *own == tab);
    let name = name.map_or("", |(_, _, name)| name);
    page(
        &format!("{name} · {}", document.name),
        Some(visitor),
        &whole,
    )
}

/// Says that a webhook's deliveries are held back, or still come back, and why they were put off.
pub async fn held_back_notice(
    app: &AppState,
    visitor: &Visitor,
    webhook: &StoredWebhook,
) -> Result<Markup, PageError> {
    let log = &app.deployment.delivery_log;
    let held = log
        .held_back_one(&visitor.organization, &webhook.webhook.id)
        .await?;
    Ok(html! {
        @if let Some(held) = held {
            @let over = held.phase == Phase::ComingBack;
            div.card.notice role="status" {
                p {
                    @if over { strong { "Deliveries come back" } " that were put off since " }
                    @else { strong { "Deliveries are held back" } " since " }
                    (time(held.since)) ": " (held.why.because()) ". "
                    @match held.phase {
                        Phase::ComingBack => "That is over; the last of them is due by ",
                        Phase::Tried => "It is tried with the next delivery; what was put off is due by ",
                        Phase::Held if held.is_left_alone() => "It is tried again at ",
                        Phase::Held => "What is put off so far is due by ",
                    }
                    (time(held.until)) ". Nothing is lost: they come back by themselves."
                }
            }
        }
    })
}

/// That deliveries are held back, or still come back, as a badge.
pub fn held_back_badge(held: &HeldBack) -> Markup {
    let says = match held.phase {
        Phase::ComingBack => "coming back",
        Phase::Held | Phase::Tried => "held back",
    };
    html! { span.badge.held title=(held) { (says) } }
}

/// Whether it gets deliveries, as a badge.
pub fn state(enabled: bool) -> Markup {
    html! {
        @if enabled { span.badge.good { "enabled" } } @else { span.badge.off { "disabled" } }
    }
}
