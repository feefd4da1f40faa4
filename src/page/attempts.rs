//! One attempt as a row of the Delivery Log.

use maud::{Markup, html};

use super::layout::time;
use crate::domain::attempt::Attempt;
use crate::domain::outcome::Outcome;

/// The log's columns.
pub const COLUMNS: [&str; 8] = [
    "Time",
    "Event type",
    "Outcome",
    "HTTP status",
    "Response body",
    "Duration",
    "Attempt",
    "What next",
];

/// A row. What a receiver answered is shown as text, whatever it is.
pub fn row(attempt: &Attempt) -> Markup {
    let delivered = attempt.outcome == Outcome::Delivered.name();
    let kind = if delivered { "good" } else { "bad" };
    html! {
        tr {
            td.number { (time(attempt.started_at)) }
            td { (attempt.event_type) }
            td { span class={ "badge " (kind) } { (attempt.outcome) } }
            td.number { @match attempt.status_code { Some(status) => (status), None => "none" } }
            td.wide {
                @if let Some(error) = &attempt.error { div.small { (error) } }
                @if !attempt.response_body.is_empty() {
                    code { (attempt.response_body) @if attempt.response_truncated { "…" } }
                }
            }
            td.number { (format!("{:.0} ms", attempt.duration_ms())) }
            td.number { (attempt.attempt) }
            td { (next(attempt, delivered)) }
        }
    }
}

fn next(attempt: &Attempt, delivered: bool) -> Markup {
    html! {
        @if let Some(at) = attempt.next_attempt_at { "tried again " (time(at)) }
        @else if delivered { span.quiet { "nothing: it arrived" } }
        @else { "given up" }
        @if !delivered {
            form method="post"
                action={ "/webhooks/" (attempt.webhook_id) "/deliveries/" (attempt.delivery_id) "/retry" } {
                button aria-label={ "Retry delivery " (attempt.delivery_id) } { "Retry" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_receiver_answers_is_text() {
        let attempt: Attempt = serde_json::from_value(serde_json::json!({
            "delivery_id": "d", "event_id": "e", "event_type": "request.completed",
            "organization": "default", "webhook_id": "w", "url": "https://example.com/",
            "attempt": 1, "trigger": "event", "outcome": "rejected", "status_code": 500,
            "error": "<i>", "response_body": "<script>alert(1)</script>",
            "response_truncated": false, "started_at": "2026-01-01T00:00:00Z",
            "duration_ms": 1.5, "remote_addr": null, "next_attempt_at": null, "worker": "x"
        }))
        .unwrap();
        let row = row(&attempt).into_string();
        assert!(
            row.contains("&lt;script&gt;") && row.contains("&lt;i&gt;"),
            "{row}"
        );
        assert!(!row.contains("<script>"), "{row}");
        assert!(row.contains("/webhooks/w/deliveries/d/retry"), "{row}");
    }
}
