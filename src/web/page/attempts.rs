//! One attempt as a row of the Delivery Log.

use jiff::Timestamp;
use maud::{Markup, html};

use super::layout::{millis, time};
use crate::domain::attempt::Attempt;
use crate::domain::delivery::Trigger;
use crate::store::delivery_log::RecordedAttempt;
use crate::web::cursor::Cursors;

/// The log's columns.
pub const COLUMNS: [&str; 8] = [
    "Timestamp",
    "Event type",
    "Outcome",
    "HTTP status code",
    "Response body",
    "Duration",
    "Attempt",
    "What happens next",
];

/// How much of an answer a row shows, in characters.
const EXCERPT: usize = 160;

/// A row. What a receiver answered is shown as text, whatever it is. `followed` says that a later
/// attempt of the same delivery is known.
pub fn row(one: &RecordedAttempt, cursors: &Cursors, now: Timestamp, followed: bool) -> Markup {
    let attempt = &one.attempt;
    let entry = cursors.seal(one.entry);
    let place = format!("/webhooks/{}/attempts/{entry}", attempt.webhook_id);
    html! {
        tr role="row" data-delivery=(attempt.delivery_id) {
            td.number role="cell" data-label=(COLUMNS[0]) { a href=(place) { (time(attempt.started_at)) } }
            td.type role="cell" data-label=(COLUMNS[1]) { code { (attempt.event_type) } }
            td role="cell" data-label=(COLUMNS[2]) { (outcome(attempt)) }
            td.number role="cell" data-label=(COLUMNS[3]) { (status(attempt)) }
            td.wide role="cell" data-label=(COLUMNS[4]) { (answer(attempt)) }
            td.number role="cell" data-label=(COLUMNS[5]) { (millis(attempt.duration_ms())) }
            td.number role="cell" data-label=(COLUMNS[6]) {
                (attempt.attempt)
                @match attempt.trigger {
                    Trigger::Manual => span.small.quiet { " by hand" },
                    Trigger::Test => span.small.quiet { " test" },
                    Trigger::Event | Trigger::Retry => {},
                }
            }
            td role="cell" data-label=(COLUMNS[7]) { (next(attempt, now, followed)) }
        }
    }
}

/// Shows the attempt's outcome as a badge.
pub fn outcome(attempt: &Attempt) -> Markup {
    let kind = if attempt.is_delivered() {
        "good"
    } else {
        "bad"
    };
    html! { span class={ "badge " (kind) } { (attempt.outcome.replace('_', " ")) } }
}

/// The status, or that there was none.
pub fn status(attempt: &Attempt) -> Markup {
    html! {
        @match attempt.status_code { Some(status) => (status), None => span.quiet { "none" } }
    }
}

fn answer(attempt: &Attempt) -> Markup {
    let short: String = attempt.response_body.chars().take(EXCERPT).collect();
    let cut = attempt.response_truncated || short.len() < attempt.response_body.len();
    html! {
        @if let Some(error) = &attempt.error { div.small { (error) } }
        @if let Some(location) = &attempt.location { div.small { "redirects to " (location) } }
        @if !short.is_empty() { code.excerpt { (short) @if cut { "…" } } }
        @else if attempt.error.is_none() { span.quiet { "empty" } }
    }
}

/// Shows what is next, and what can be done about it: an attempt that another has followed is past.
fn next(attempt: &Attempt, now: Timestamp, followed: bool) -> Markup {
    html! {
        @if attempt.trigger == Trigger::Test { span.quiet { "nothing: a test" } }
        @else if attempt.is_delivered() { span.quiet { "nothing: it arrived" } }
        @else {
            @match attempt.next_attempt_at {
                None if followed => span.quiet { "given up, and sent again later" },
                Some(_) if followed => span.quiet { "tried again" },
                Some(at) if at <= now => { span { "was due " (time(at)) } " " (retry(attempt, false)) },
                Some(at) => { span { "next attempt " (time(at)) } " " (retry(attempt, false)) },
                None => { span { "given up" } " " (retry(attempt, false)) },
            }
        }
    }
}

/// The button that sends a delivery again.
pub fn retry(attempt: &Attempt, force: bool) -> Markup {
    html! {
        form.inline method="post"
            action={ "/webhooks/" (attempt.webhook_id) "/deliveries/" (attempt.delivery_id) "/retry" } {
            @if force { input type="hidden" name="force" value="true"; }
            button.small aria-label={ @if force { "Send again" } @else { "Retry" } " delivery " (attempt.delivery_id) } {
                @if force { "Send again" } @else { "Retry" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::cursor_key::CursorKey;
    use crate::store::entry::EntryId;

    fn failed() -> Attempt {
        serde_json::from_value(serde_json::json!({
            "delivery_id": "d", "event_id": "e", "event_type": "request.completed",
            "organization": "default", "webhook_id": "w", "url": "https://example.com/",
            "attempt": 1, "trigger": "event", "outcome": "rejected", "status_code": 500,
            "error": "<i>", "response_body": "<script>alert(1)</script>",
            "response_truncated": false, "started_at": "2026-01-01T00:00:00Z",
            "duration_ms": 1.5, "remote_addr": null, "next_attempt_at": null, "worker": "x"
        }))
        .unwrap()
    }

    #[test]
    fn what_is_due_may_never_have_come_and_can_be_sent_again() {
        let due: Timestamp = "2026-01-01T00:00:10Z".parse().unwrap();
        let attempt = Attempt {
            next_attempt_at: Some(due),
            ..failed()
        };
        let said = |now, followed| next(&attempt, now, followed).into_string();
        let (before, after) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
        for (said, what, again) in [
            (said(before, false), "next attempt", true),
            (said(after, false), "was due", true),
            (said(after, true), "tried again", false),
        ] {
            assert!(said.contains(what), "{said}");
            assert_eq!(said.contains("<form"), again, "{said}");
        }
    }

    #[test]
    fn what_a_receiver_answers_is_text() {
        let (entry, attempt) = (EntryId { major: 1, minor: 0 }, failed());
        let cursors = Cursors::new(
            &CursorKey::new([0; CursorKey::LENGTH]),
            &attempt.organization,
        );
        let row = row(
            &RecordedAttempt { entry, attempt },
            &cursors,
            Timestamp::UNIX_EPOCH,
            false,
        )
        .into_string();
        assert!(
            row.contains("&lt;script&gt;") && row.contains("&lt;i&gt;"),
            "{row}"
        );
        assert!(!row.contains("<script>"), "{row}");
        assert!(row.contains("/webhooks/w/deliveries/d/retry"), "{row}");
        let place = format!("/webhooks/w/attempts/{}", cursors.seal(entry));
        assert!(row.contains(&place), "{row}");
    }
}
