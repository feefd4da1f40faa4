//! The list of an organization's webhooks.

use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use super::layout::{Trouble, page, time};
use super::session::Visitor;
use crate::api::Api;
use crate::domain::attempt::Attempt;
use crate::domain::ids::WebhookId;
use crate::domain::outcome::Outcome;
use crate::domain::webhook::WebhookDocument;
use crate::records::AttemptFilter;
use crate::registry::webhooks::Listed;

/// How many of a webhook's last attempts its success rate is made from.
const LAST: usize = 100;

/// What is shown of one webhook's last attempts.
struct Lately {
    last: Option<Attempt>,
    delivered: usize,
    of: usize,
}

pub async fn list(State(api): State<Api>, visitor: Visitor) -> Result<Html<String>, Trouble> {
    let listed = api.deployment.webhooks.list(&visitor.organization).await?;
    let mut rows = Vec::with_capacity(listed.len());
    for one in &listed {
        rows.push(match one {
            Listed::Valid(stored) => {
                let lately = lately(&api, &visitor, &stored.webhook.id).await?;
                valid(&stored.document, &lately)
            }
            Listed::Invalid { id, reason } => invalid(id, &reason.to_string()),
        });
    }
    let content = html! {
        div.head {
            h1 { "Webhooks" }
            a.button.first href="/webhooks/new" { "+ Create Webhook" }
        }
        p.quiet { "Every event of the gateway is posted, signed, to the webhooks that subscribe to it." }
        @if rows.is_empty() { (empty()) } @else {
            div.card.scroll tabindex="0" role="region" aria-label="Webhooks" {
                table {
                    thead { tr {
                        @for column in ["Name", "URL", "Event subscriptions", "State", "Success rate", "Last attempt"] {
                            th scope="col" { (column) }
                        }
                    } }
                    tbody { @for row in &rows { (row) } }
                }
            }
        }
    };
    Ok(page("Webhooks", Some(&visitor), &content))
}

async fn lately(api: &Api, visitor: &Visitor, id: &WebhookId) -> Result<Lately, Trouble> {
    let filter = AttemptFilter {
        organization: Some(visitor.organization.clone()),
        webhook: Some(id.clone()),
        ..AttemptFilter::default()
    };
    let page = api.deployment.records.attempts(&filter, LAST, None).await?;
    let attempts = page.attempts.iter().map(|one| &one.attempt);
    let delivered = attempts.filter(|attempt| attempt.outcome == Outcome::Delivered.name());
    Ok(Lately {
        delivered: delivered.count(),
        of: page.attempts.len(),
        last: page.attempts.into_iter().next().map(|one| one.attempt),
    })
}

fn valid(webhook: &WebhookDocument, lately: &Lately) -> Markup {
    html! {
        tr {
            td { a href={ "/webhooks/" (webhook.id) } { (webhook.name) } }
            td.wide { code { (webhook.url) } }
            td {
                @if webhook.event_subscriptions.is_empty() { "all" }
                @else { (webhook.event_subscriptions.join(", ")) }
            }
            td {
                @if webhook.enabled { span.badge.good { "enabled" } }
                @else {
                    span.badge.off { "disabled" }
                    @if let Some(reason) = &webhook.disabled_reason { div.small.quiet { (reason) } }
                }
            }
            td.number {
                @if let Some(percent) = (lately.delivered * 100).checked_div(lately.of) {
                    (percent) " %" span.small.quiet { " of the last " (lately.of) }
                } @else { span.quiet { "no attempts yet" } }
            }
            td.number {
                @if let Some(last) = &lately.last {
                    (time(last.started_at)) div.small { (last.outcome) }
                }
            }
        }
    }
}

fn invalid(id: &str, reason: &str) -> Markup {
    html! {
        tr {
            td { (id) }
            td colspan="5" { span.badge.bad { "invalid" } " " (reason) }
        }
    }
}

fn empty() -> Markup {
    html! {
        div.card {
            p { "No webhooks yet. Create one, and then publish an event to see it arrive:" }
            pre { "prism-webhooks publish request.completed" }
        }
    }
}
